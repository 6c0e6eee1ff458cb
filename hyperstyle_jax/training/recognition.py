"""Trains the feature extractor of a domain: identity, attributes, or without labels.

Identity by ArcFace's additive angular margin (https://arxiv.org/abs/1801.07698) over
the identities of the training set, attributes by regression. Where the shape of each
face is known, its regression from the embedding (`loss.shape`) helps a short training.
Images without labels teach by their views alone (`loss.contrastive`, contrastive.py).
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from hyperstyle_jax import faces
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.loop.fit import Task
from hyperstyle_jax.models.feature_extractor import FeatureExtractor
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import (
    common,
    contrastive,
    from_config,
    labels,
    sources,
)

_SCALE, _MARGIN = 16.0, 0.2
_SUPERVISED = ("id", "attributes", "shape")
_LOSSES = (*_SUPERVISED, "contrastive")


def make_task(config: ConfigDict, load: sources.Load = sources.bundle_networks) -> Task:
    """The task, for data with the labels that the losses need (see `labels.check`).

    Args:
        config: of the run.
        load: gives the networks of a source in `config.init`.

    Raises:
        ValueError: a source does not hold what the config describes.
    """
    known = labels.known(config)
    frozen = {
        "buffers": {
            "attribute_mean": jnp.asarray(known.mean, jnp.float32),
            "attribute_std": jnp.asarray(known.std, jnp.float32),
        }
    }
    steps = _Steps(
        module=from_config.feature_extractor(config),
        initial_network=lambda: from_config.load_feature_extractor(config, load),
        tx=from_config.optimizer(config),
        ema_decay=config.optim.ema,
        weights={name: config.loss[name] for name in _LOSSES},
        identities=known.identities or range(0),
    )
    names = known.attributes
    summary = partial(summarize, names=names)
    return Task(steps.init, steps.train_step, steps.eval_step, frozen, summary)


@dataclasses.dataclass(frozen=True, eq=False)
class _Steps:
    """The steps of the task.

    Attributes:
        module: the feature extractor. initial_network: gives the one to begin with.
        tx: the optimizer. ema_decay: of the averaged weights; 0 for none.
        weights: λ of the losses of `_LOSSES`; those of weight 0 are not computed.
        identities: those of the training set.
    """

    module: FeatureExtractor
    initial_network: Callable[[], Net]
    tx: optax.GradientTransformation
    ema_decay: float
    weights: dict[str, float]
    identities: range

    def init(self, key):
        variables = self.initial_network().variables
        keys, width = jax.random.split(key, 3), self.module.embedding
        params = {"net": variables["params"]}
        if self.weights["id"]:
            shape = (len(self.identities), width)
            params["class_centres"] = nn.initializers.normal(1.0)(keys[0], shape)
        if self.weights["shape"]:
            shape = (width, faces.IDENTITY_DIM)
            params["shape"] = nn.initializers.normal(0.1)(keys[1], shape)
        if self.weights["contrastive"]:
            draw = nn.initializers.normal(width**-0.5)
            first, second = draw(keys[2], (2, width, width))
            params["projection"] = {"first": first, "second": second}
        stats = variables["batch_stats"]
        return common.fresh_state(self.tx, self.ema_decay, params, stats)

    def train_step(self, state, frozen, batch, key):
        x = common.images(batch)
        keys = parallel.example_keys(key, len(x))
        inputs = [x] if any(self.weights[k] for k in _SUPERVISED) else []
        if self.weights["contrastive"]:
            view_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
            inputs += [contrastive.views(x, k) for k in view_keys]
        inputs = jnp.concatenate(inputs)
        module = self.module.clone(axis_name=parallel.AXIS)

        def objective(params):
            variables = {**frozen, "params": params["net"]}
            variables["batch_stats"] = state["batch_stats"]
            outputs, new = module.apply(
                variables, inputs, train=True, mutable=["batch_stats"]
            )
            terms = self._losses(params, *outputs, batch, frozen)
            loss = sum(self.weights[name] * value for name, value in terms.items())
            return loss, (terms, new["batch_stats"])

        gradient = jax.grad(objective, has_aux=True)
        grads, (terms, stats) = gradient(state["params"])
        grads, norm = common.average_gradients(grads)

        def update(state):
            return common.apply_gradients(self.tx, self.ema_decay, state, grads, stats)

        return update, terms | {"grad_norm": norm}

    def _losses(self, params, embedding, attributes, batch, frozen):
        """The losses by name, means over the batch.

        Args:
            embedding, attributes: of the images, and then of two views of each, as far
                as losses need them.
        """
        terms, count = {}, len(batch["image"])
        if self.weights["contrastive"]:
            views = _project(params["projection"], embedding[-2 * count :])
            terms["contrastive"] = contrastive.nt_xent(*jnp.split(views, 2))
        embedding, attributes = embedding[:count], attributes[:count]
        if self.weights["id"]:
            numbers = batch["identity"] - self.identities.start
            error = arcface(embedding, params["class_centres"], numbers)
            terms["id"] = error.mean()
        if self.weights["attributes"]:
            error = _attribute_error(attributes, batch, frozen)
            terms["attributes"] = jnp.nan_to_num(error).mean()
        if self.weights["shape"]:
            known = batch["latent"][:, : faces.IDENTITY_DIM]
            error = embedding @ params["shape"] - known
            terms["shape"] = jnp.square(error).mean()
        return terms

    def eval_step(self, state, frozen, batch, key):
        x = common.images(batch)
        net = _trained(self.module, state, frozen)
        embedding, attributes = net(x)
        per_image = {"embedding": embedding}
        if "identity" in batch:
            per_image["identity"] = batch["identity"]
        if "attributes" in batch and self.module.num_attributes:
            per_image["error"] = _attribute_error(attributes, batch, frozen)
        images = {"image": x}
        if self.weights["contrastive"]:
            keys = jax.vmap(jax.random.split, out_axes=1)(
                parallel.example_keys(key, len(x))
            )
            first, second = (contrastive.views(x, k) for k in keys)
            per_image["view0"], per_image["view1"] = net(first)[0], net(second)[0]
            recoloured = contrastive.recoloured(x, keys[0])
            distance = partial(net, method="distances")
            per_image["lpips_own"] = distance(x, recoloured)[0]
            per_image["lpips_other"] = distance(x, jnp.roll(recoloured, 1, axis=0))[0]
            images |= {"view 1": first, "view 2": second}
        return {"per_image": per_image, "images": images}


def export(config: ConfigDict, state: dict, frozen: dict) -> dict[str, Net]:
    """The feature extractor without the class centres."""
    module = from_config.feature_extractor(config)
    return {"feature_extractor": _trained(module, state, frozen)}


def _project(params, embedding):
    """SimCLR's projection head, two layers that only the loss sees: [B, E] → [B, E]."""
    width = embedding.shape[-1]
    hidden = nn.relu(math.sqrt(width) * embedding @ params["first"])
    return hidden @ params["second"]


def _attribute_error(predicted, batch, frozen):
    """Squared errors in units of each attribute's variance [B, A], NaN if unknown."""
    std, true = frozen["buffers"]["attribute_std"], batch["attributes"]
    unknown = jnp.isnan(true)
    error = jnp.square((predicted - jnp.where(unknown, predicted, true)) / std)
    return jnp.where(unknown, jnp.nan, error)


def arcface(
    embedding: jax.Array, class_centres: jax.Array, labels: jax.Array
) -> jax.Array:
    """Cross-entropy of s·cos θ, with s·cos(θ + m) for the image's own identity.

    Args:
        embedding: unit vectors [B, E].
        class_centres: [N, E], of any length.
        labels: [B], the images' identities 0 … N − 1.

    Returns:
        [B].
    """
    lengths = jnp.linalg.norm(class_centres, axis=1, keepdims=True)
    cosine = embedding @ (class_centres / lengths).T
    sine = jnp.sqrt(jnp.clip(1 - jnp.square(cosine), 1e-6))
    shifted = cosine * math.cos(_MARGIN) - sine * math.sin(_MARGIN)
    # Past the angle π − margin the shifted cosine would grow again.
    shifted = jnp.where(cosine > -math.cos(_MARGIN), shifted, cosine - _MARGIN)
    own = jax.nn.one_hot(labels, len(class_centres))
    logits = _SCALE * jnp.where(own > 0, shifted, cosine)
    return -jnp.sum(own * jax.nn.log_softmax(logits), axis=1)


def summarize(
    per_image: dict[str, np.ndarray], names: Sequence[str] = tuple(faces.ATTRIBUTES)
) -> dict[str, float]:
    """Explained variance of the attributes, and how well images are told apart.

    Args:
        per_image: "embedding" [N, E], and as far as they are known "identity" [N] and
            "error" [N, A]; of a training by views "view0" and "view1" [N, E],
            "lpips_own" and "lpips_other" [N].
        names: of the attributes [A].

    Returns:
        `attributes_r2` and `r2/ATTRIBUTE`; if an identity has two images also
        `same_identity_auc`, the chance that two images of one identity are more similar
        than two of different ones, and the mean cosines `similarity_same` and `_other`;
        and the scores of `contrastive`.
    """
    scores = {}
    if "error" in per_image:
        error = np.nanmean(per_image["error"], axis=0)
        scores["attributes_r2"] = float(1 - error.mean())
        for name, value in zip(names, error, strict=True):
            scores[f"r2/{name}"] = float(1 - value)
    if "identity" in per_image:
        scores |= _identity_scores(per_image["embedding"], per_image["identity"])
    if "view0" in per_image:
        scores |= contrastive.scores(per_image["view0"], per_image["view1"])
        scores |= contrastive.distance_scores(
            per_image["lpips_own"], per_image["lpips_other"]
        )
    return scores


def _identity_scores(embedding, identity) -> dict[str, float]:
    cosines = embedding @ embedding.T
    same = identity[:, None] == identity
    upper = np.triu(np.ones_like(same), 1)
    positive, negative = cosines[same & upper], np.sort(cosines[~same & upper])
    if not len(positive):
        return {}
    return {
        "same_identity_auc": float(
            np.searchsorted(negative, positive).mean() / max(len(negative), 1)
        ),
        "similarity_same": float(positive.mean()),
        "similarity_other": float(negative.mean()),
    }


def _trained(module, state, frozen) -> Net:
    """The network with its averaged weights, where there are any."""
    params = state.get("ema", state["params"])["net"]
    variables = {"params": params, "batch_stats": state["batch_stats"]}
    return Net(module, {**variables, **frozen})
