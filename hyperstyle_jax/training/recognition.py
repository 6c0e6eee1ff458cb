"""Trains the network that knows a labelled domain: identity and attributes.

Identity by ArcFace's additive angular margin (https://arxiv.org/abs/1801.07698) over
the people of the training set, attributes by regression. Where the shape of each face
is known, its regression from the identity vector (`loss.shape`) helps a short training.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict

from hyperstyle_jax import faces
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.loop.fit import Task
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import common, optimizers

_SCALE, _MARGIN = 16.0, 0.2


def make_task(config: ConfigDict) -> Task:
    """Needs data with `identity` and `attributes`, several images per person."""
    module = common.feature_extractor(config).clone(axis_name=parallel.AXIS)
    lo, hi = config.data.train
    people = (hi - 1) // config.data.images_per_identity + 1 - _first(config)
    tx = optimizers.make(config.optim, config.num_steps)
    frozen = {"buffers": _statistics(lo, hi)}

    def init(key):
        variables = common.load_feature_extractor(config).variables
        keys = jax.random.split(key)
        head = nn.initializers.normal(1.0)(keys[0], (people, module.embedding))
        params = {"net": variables["params"], "people": head}
        if config.loss.shape:
            shape = (module.embedding, faces.IDENTITY_DIM)
            params["shape"] = nn.initializers.normal(0.1)(keys[1], shape)
        stats = variables["batch_stats"]
        return {"params": params, "batch_stats": stats, "opt": tx.init(params)}

    def train_step(state, frozen, batch, key):
        x = common.images(batch)
        labels = batch["identity"] - _first(config)

        def objective(params):
            variables = {**frozen, "params": params["net"]}
            variables["batch_stats"] = state["batch_stats"]
            (identity, attributes), new = module.apply(
                variables, x, train=True, mutable=["batch_stats"]
            )
            found = {
                "id": arcface(identity, params["people"], labels).mean(),
                "attributes": _attribute_error(attributes, batch, frozen).mean(),
            }
            if config.loss.shape:
                known = batch["latent"][:, : faces.IDENTITY_DIM]
                error = identity @ params["shape"] - known
                found["shape"] = jnp.square(error).mean()
            value = sum(config.loss[name] * term for name, term in found.items())
            return value, (found, new["batch_stats"])

        (_, (found, stats)), grads = jax.value_and_grad(objective, has_aux=True)(
            state["params"]
        )
        grads, norm = common.averaged(grads)

        def update(state):
            return common.apply_gradients(tx, config.optim.ema, state, grads, stats)

        return update, found | {"grad_norm": norm}

    def eval_step(state, frozen, batch, key):
        net = _net(common.feature_extractor(config), state, frozen)
        identity, attributes = net(common.images(batch))
        error = _attribute_error(attributes, batch, frozen)
        per_image = {"identity": identity, "person": batch["identity"], "error": error}
        return {"per_image": per_image, "images": {"image": common.images(batch)}}

    return Task(init, train_step, eval_step, frozen, summarize)


def export(config: ConfigDict, state: dict, frozen: dict) -> dict[str, Net]:
    """The feature extractor without the people it was trained on."""
    return {"feature_extractor": _net(common.feature_extractor(config), state, frozen)}


def _attribute_error(found, batch, frozen):
    """Squared, in units of each attribute's variance, [B, A]."""
    std = frozen["buffers"]["attribute_std"]
    return jnp.square((found - batch["attributes"]) / std)


def arcface(identity, people, labels):
    """Cross-entropy over people with an angular margin for the right one, [B].

    Args:
        identity: unit vectors [B, E]. people: [N, E], any length. labels: [B].
    """
    centres = people / jnp.linalg.norm(people, axis=1, keepdims=True)
    cosine = identity @ centres.T
    sine = jnp.sqrt(jnp.clip(1 - jnp.square(cosine), 1e-6))
    shifted = cosine * math.cos(_MARGIN) - sine * math.sin(_MARGIN)
    # Past the angle π − margin the shifted cosine would grow again.
    shifted = jnp.where(cosine > -math.cos(_MARGIN), shifted, cosine - _MARGIN)
    right = jax.nn.one_hot(labels, len(people))
    logits = _SCALE * jnp.where(right > 0, shifted, cosine)
    return -jnp.sum(right * jax.nn.log_softmax(logits), axis=1)


def summarize(per_image: dict[str, np.ndarray]) -> dict[str, float]:
    """Explained variance of the attributes, and how well people are told apart.

    `same_person_auc`: the chance that two images of one person are more similar than
    two of different people; `similarity_same` and `_other` are mean cosines.
    """
    error = per_image["error"].mean(0)
    scores = {"attributes_r2": float(1 - error.mean())}
    for name, value in zip(faces.ATTRIBUTES, error, strict=True):
        scores[f"r2/{name}"] = float(1 - value)
    cosines = per_image["identity"] @ per_image["identity"].T
    same = per_image["person"][:, None] == per_image["person"]
    upper = np.triu(np.ones_like(same), 1)
    positive, negative = cosines[same & upper], np.sort(cosines[~same & upper])
    if len(positive):
        scores["same_person_auc"] = float(
            np.searchsorted(negative, positive).mean() / len(negative)
        )
        scores["similarity_same"] = float(positive.mean())
        scores["similarity_other"] = float(negative.mean())
    return scores


def _first(config):
    return config.data.train[0] // config.data.images_per_identity


def _statistics(lo: int, hi: int) -> dict[str, jax.Array]:
    """Mean and spread of every attribute, in the order of `faces.ATTRIBUTES`."""
    indices = np.arange(lo, min(hi, lo + 4096))
    values = np.stack(list(faces.attributes(faces.latents(indices)).values()), axis=1)
    spread = np.maximum(values.std(0), 1e-6)
    return {
        "attribute_mean": jnp.asarray(values.mean(0)),
        "attribute_std": jnp.asarray(spread),
    }


def _net(module, state, frozen) -> Net:
    variables = {"params": state["params"]["net"], "batch_stats": state["batch_stats"]}
    return Net(module, {**variables, **frozen})
