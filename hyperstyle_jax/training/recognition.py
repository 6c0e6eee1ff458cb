"""Trains a feature extractor for a labelled domain: identity and attributes.

Identity by ArcFace's additive angular margin (https://arxiv.org/abs/1801.07698) over
the identities of the training set, attributes by regression. Where the shape of each
face is known, its regression from the embedding (`loss.shape`) helps a short training.
"""

import dataclasses
import math
from collections.abc import Callable

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
from hyperstyle_jax.training import common, from_config, sources

_SCALE, _MARGIN = 16.0, 0.2


def make_task(config: ConfigDict, load: sources.Load = sources.bundle_networks) -> Task:
    """The task, for data with `identity` and `attributes`, several images of each one.

    Args:
        config: of the run.
        load: gives the networks of a source in `config.init`.

    Raises:
        ValueError: a source does not hold what the config describes.
    """
    (lo, hi), count = config.data.train, config.data.images_per_identity
    frozen = {"buffers": _attribute_statistics(lo, hi)}
    steps = _Steps(
        module=from_config.feature_extractor(config),
        initial_network=lambda: from_config.load_feature_extractor(config, load),
        tx=from_config.optimizer(config),
        ema_decay=config.optim.ema,
        weights={name: config.loss[name] for name in ("id", "attributes", "shape")},
        identities=range(lo // count, (hi - 1) // count + 1),
    )
    return Task(steps.init, steps.train_step, steps.eval_step, frozen, summarize)


@dataclasses.dataclass(frozen=True, eq=False)
class _Steps:
    """The steps of the task.

    Attributes:
        module: the feature extractor. initial_network: gives the one to begin with.
        tx: the optimizer. ema_decay: of the averaged weights; 0 for none.
        weights: λ of the losses "id", "attributes" and "shape".
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
        keys = jax.random.split(key)
        shape = (len(self.identities), self.module.embedding)
        centres = nn.initializers.normal(1.0)(keys[0], shape)
        params = {"net": variables["params"], "class_centres": centres}
        if self.weights["shape"]:
            shape = (self.module.embedding, faces.IDENTITY_DIM)
            params["shape"] = nn.initializers.normal(0.1)(keys[1], shape)
        stats = variables["batch_stats"]
        return {"params": params, "batch_stats": stats, "opt": self.tx.init(params)}

    def train_step(self, state, frozen, batch, key):
        x = common.images(batch)
        module = self.module.clone(axis_name=parallel.AXIS)

        def objective(params):
            variables = {**frozen, "params": params["net"]}
            variables["batch_stats"] = state["batch_stats"]
            outputs, new = module.apply(
                variables, x, train=True, mutable=["batch_stats"]
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
        """The losses by name, means over the batch."""
        labels = batch["identity"] - self.identities.start
        terms = {
            "id": arcface(embedding, params["class_centres"], labels).mean(),
            "attributes": _attribute_error(attributes, batch, frozen).mean(),
        }
        if self.weights["shape"]:
            known = batch["latent"][:, : faces.IDENTITY_DIM]
            error = embedding @ params["shape"] - known
            terms["shape"] = jnp.square(error).mean()
        return terms

    def eval_step(self, state, frozen, batch, key):
        x = common.images(batch)
        embedding, attributes = _trained(self.module, state, frozen)(x)
        per_image = {
            "embedding": embedding,
            "identity": batch["identity"],
            "error": _attribute_error(attributes, batch, frozen),
        }
        return {"per_image": per_image, "images": {"image": x}}


def export(config: ConfigDict, state: dict, frozen: dict) -> dict[str, Net]:
    """The feature extractor without the class centres."""
    module = from_config.feature_extractor(config)
    return {"feature_extractor": _trained(module, state, frozen)}


def _attribute_error(predicted, batch, frozen):
    """Squared errors in units of each attribute's variance, [B, A]."""
    std = frozen["buffers"]["attribute_std"]
    return jnp.square((predicted - batch["attributes"]) / std)


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


def summarize(per_image: dict[str, np.ndarray]) -> dict[str, float]:
    """Explained variance of the attributes, and how well identities are told apart.

    Args:
        per_image: "embedding" [N, E], "identity" [N], "error" [N, A].

    Returns:
        `attributes_r2` and `r2/ATTRIBUTE`; if an identity has two images also
        `same_identity_auc`, the chance that two images of one identity are more similar
        than two of different ones, and the mean cosines `similarity_same` and `_other`.
    """
    error = per_image["error"].mean(0)
    scores = {"attributes_r2": float(1 - error.mean())}
    for name, value in zip(faces.ATTRIBUTES, error, strict=True):
        scores[f"r2/{name}"] = float(1 - value)
    cosines = per_image["embedding"] @ per_image["embedding"].T
    same = per_image["identity"][:, None] == per_image["identity"]
    upper = np.triu(np.ones_like(same), 1)
    positive, negative = cosines[same & upper], np.sort(cosines[~same & upper])
    if len(positive):
        scores["same_identity_auc"] = float(
            np.searchsorted(negative, positive).mean() / len(negative)
        )
        scores["similarity_same"] = float(positive.mean())
        scores["similarity_other"] = float(negative.mean())
    return scores


def _attribute_statistics(lo: int, hi: int) -> dict[str, jax.Array]:
    """Mean and standard deviation of every attribute over the first training faces."""
    indices = np.arange(lo, min(hi, lo + 4096))
    values = np.stack(list(faces.attributes(faces.latents(indices)).values()), axis=1)
    std = np.maximum(values.std(0), 1e-6)
    return {
        "attribute_mean": jnp.asarray(values.mean(0)),
        "attribute_std": jnp.asarray(std),
    }


def _trained(module, state, frozen) -> Net:
    variables = {"params": state["params"]["net"], "batch_stats": state["batch_stats"]}
    return Net(module, {**variables, **frozen})
