"""What several tasks share: modules from a config, pictures, criteria."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from hyperstyle_jax import losses
from hyperstyle_jax.data import faces
from hyperstyle_jax.models.encoders import WEncoder
from hyperstyle_jax.models.features import Features, distances
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import parallel, sources


def images(batch: dict) -> jax.Array:
    """uint8 [B, H, W, 3] → float32 in [-1, 1], on the device."""
    return batch["image"].astype(jnp.float32) / 127.5 - 1.0


def generator(config: ConfigDict) -> Generator:
    return Generator(**config.model.generator)


def load_generator(config: ConfigDict) -> Net:
    return sources.net(
        "generator", config.init.generator, generator(config), config.seed
    )


def load_encoder(config: ConfigDict) -> Net:
    return sources.net(
        "encoder", config.init.encoder, encoder(config), config.seed, [_shape(config)]
    )


def encoder(config: ConfigDict) -> WEncoder:
    c = config.model.encoder
    return WEncoder(config.model.generator.w_dim, c.widths, c.depths)


def features(config: ConfigDict) -> Features:
    c = config.model.features
    return Features(len(faces.ATTRIBUTES), c.widths, c.depths, c.dim)


def load_features(config: ConfigDict) -> Net:
    return sources.net(
        "features", config.init.features, features(config), config.seed,
        [_shape(config)],
    )  # fmt: skip


def judges(config: ConfigDict) -> dict[str, Net]:
    """The networks that the losses ask for: none where only L2 counts.

    LPIPS and ArcFace where `init.lpips` and `init.arcface` name bundles with them,
    else the features network of the domain.
    """
    weights, init = config.loss, config.init
    wanted = {"lpips": "lpips", "id": "arcface", "moco": "moco"}
    nets = {}
    for loss, name in wanted.items():
        if weights[loss] and init[name]:
            nets[name] = sources.released(name, init[name])
        elif weights[loss] and loss == "moco":
            raise ValueError(
                f"config.loss.moco is {weights.moco} but config.init.moco is empty: "
                "name a bundle with MoCo's network, or set config.loss.moco=0"
            )
        elif weights[loss] and "features" not in nets:
            nets["features"] = load_features(config)
    return nets


def _shape(config):
    return (config.data.size, config.data.size, 3)


def without_released(frozen: dict[str, Net]) -> dict[str, Net]:
    """Without the networks that others have published: a bundle does not carry them."""
    return {k: v for k, v in frozen.items() if k not in ("lpips", "arcface", "moco")}


class _Judge(NamedTuple):
    """`describe(net, images)`, and distances {name: [B]} of two descriptions."""

    describe: Callable
    compare: Callable


# Where two judge the same, the later one counts.
_JUDGES = {
    "features": _Judge(
        lambda net, x: net(x, method="describe"),
        lambda net, a, b: dict(zip(("lpips", "id"), _apart(a, b), strict=True)),
    ),
    "lpips": _Judge(
        lambda net, x: net(x, method="describe"),
        lambda net, a, b: {"lpips": net(a, b, method="compare")},
    ),
    "arcface": _Judge(
        losses.face_features, lambda net, a, b: {"id": losses.dissimilarity(a, b)}
    ),
    "moco": _Judge(
        losses.moco_features, lambda net, a, b: {"moco": losses.dissimilarity(a, b)}
    ),
}


def _apart(a, b):
    lpips, similarity = distances(a, b)
    return lpips, 1.0 - similarity


def describe(frozen: dict[str, Net], x):
    """A target picture as `compare` reads it, worked out once for all passes."""
    found = {
        name: judge.describe(frozen[name], x)
        for name, judge in _JUDGES.items()
        if name in frozen
    }
    return x, jax.lax.stop_gradient(found)


def compare(frozen: dict[str, Net], y_hat, target) -> dict[str, jax.Array]:
    """Distances of reconstructions, one number per image: l2, lpips, id … (all ≥ 0).

    Args:
        frozen: with the networks of `judges`; without, only l2.
        y_hat: [B, H, W, 3]. target: of `describe`.
    """
    x, descriptions = target
    apart = {"l2": losses.l2(y_hat, x)}
    for name, description in descriptions.items():
        judge, net = _JUDGES[name], frozen[name]
        apart |= judge.compare(net, judge.describe(net, y_hat), description)
    return apart


def weighted(config: ConfigDict, distances: dict[str, jax.Array]) -> jax.Array:
    """λ₂·L2 + λ_lpips·LPIPS + λ_id·L_id + λ_moco·L_moco, averaged over the batch."""
    weights = config.loss
    return sum(weights[name] * value.mean() for name, value in distances.items())


def step_parameters(tx, grads, opt, params):
    """One optimizer step with gradients averaged over the devices.

    Returns:
        new params, new optimizer state, the gradient's global norm.
    """
    grads = jax.lax.pmean(grads, parallel.AXIS)
    updates, opt = tx.update(grads, opt, params)
    return optax.apply_updates(params, updates), opt, optax.tree.norm(grads)


def ema(decay: float, average, params):
    """average ← decay·average + (1 − decay)·params."""
    return jax.tree.map(lambda a, p: a + (1 - decay) * (p - a), average, params)
