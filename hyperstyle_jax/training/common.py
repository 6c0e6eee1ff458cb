"""What several tasks share: modules from a config, pictures, criteria."""

import operator
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from hyperstyle_jax import faces, losses
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.models.encoders import WEncoder
from hyperstyle_jax.models.feature_extractor import FeatureExtractor, distances
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import sources


def images(batch: dict) -> jax.Array:
    """uint8 [B, H, W, 3] → float32 in [-1, 1], on the device."""
    return batch["image"].astype(jnp.float32) / 127.5 - 1.0


def generator(config: ConfigDict) -> Generator:
    return Generator(**config.model.generator)


def draw_z(generator: Generator, keys: jax.Array) -> jax.Array:
    """Gaussian latents [B, Z], one for each of B keys."""
    return jax.vmap(lambda key: jax.random.normal(key, (generator.z_dim,)))(keys)


def draw_noise(generator: Generator, keys: jax.Array) -> dict[str, jax.Array]:
    """Noise maps [B, r, r] of every layer as `synthesis` reads them, by B keys."""
    layers = [layer for layer in generator.layers() if layer.kernel == 3]

    def draw(key):
        maps = {}
        for layer, k in zip(layers, jax.random.split(key, len(layers)), strict=True):
            name = "/".join(layer.path.split("/")[1:3])
            maps[name] = jax.random.normal(k, 2 * (layer.resolution,))
        return maps

    return jax.vmap(draw)(keys)


def load_generator(config: ConfigDict) -> Net:
    return sources.net(
        "generator", config.init.generator, generator(config), config.seed
    )


def load_encoder(config: ConfigDict) -> Net:
    return sources.net(
        "encoder",
        config.init.encoder,
        encoder(config),
        config.seed,
        [image_shape(config)],
    )


def encoder(config: ConfigDict) -> WEncoder:
    c = config.model.encoder
    return WEncoder(config.model.generator.w_dim, c.widths, c.depths)


def feature_extractor(config: ConfigDict) -> FeatureExtractor:
    c = config.model.feature_extractor
    return FeatureExtractor(len(faces.ATTRIBUTES), c.widths, c.depths, c.dim)


def load_feature_extractor(config: ConfigDict) -> Net:
    return sources.net(
        "feature_extractor",
        config.init.feature_extractor,
        feature_extractor(config),
        config.seed,
        [image_shape(config)],
    )


def judges(config: ConfigDict) -> dict[str, Net]:
    """The networks that the losses ask for: none where only L2 counts.

    LPIPS and ArcFace where `init.lpips` and `init.arcface` name bundles with them,
    else the feature extractor of the domain.
    """
    weights, init = config.loss, config.init
    wanted = {"lpips": "lpips", "id": "arcface", "moco": "moco"}
    nets = {}
    for loss, name in wanted.items():
        if weights[loss] and init[name]:
            net = sources.released(name, init[name])
            raw = name == "moco" and not weights.moco_normalize
            nets["moco_raw" if raw else name] = net
        elif weights[loss] and loss == "moco":
            raise ValueError(
                f"config.loss.moco is {weights.moco} but config.init.moco is empty: "
                "name a bundle with MoCo's network, or set config.loss.moco=0"
            )
        elif weights[loss] and "feature_extractor" not in nets:
            nets["feature_extractor"] = load_feature_extractor(config)
    return nets


def image_shape(config) -> tuple[int, int, int]:
    """(H, W, 3) of the run's pictures."""
    return (*cfg.image_size(config.data), 3)


def without_released(frozen: dict[str, Net]) -> dict[str, Net]:
    """Without the networks that others have published: a bundle does not carry them."""
    released = ("lpips", "arcface", "moco", "moco_raw")
    return {k: v for k, v in frozen.items() if k not in released}


class _Judge(NamedTuple):
    """`describe(net, images)`, and distances {name: [B]} of two descriptions."""

    describe: Callable
    compare: Callable


# Where two judge the same, the later one counts.
_JUDGES = {
    "feature_extractor": _Judge(
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
    "moco_raw": _Judge(
        lambda net, x: losses.moco_features(net, x, normalize=False),
        lambda net, a, b: {"moco": losses.dissimilarity(a, b)},
    ),
}


def _apart(a, b):
    lpips, similarity = distances(a, b)
    return lpips, 1.0 - similarity


def describe(frozen: dict[str, Net], x, dtype=jnp.float32):
    """A target picture as `compare` reads it, worked out once for all passes."""
    names = [name for name in _JUDGES if name in frozen]
    found = {name: _described(name, frozen[name], x, dtype) for name in names}
    return x, jax.lax.stop_gradient(found)


def compare(
    frozen: dict[str, Net], y_hat, target, dtype=jnp.float32
) -> dict[str, jax.Array]:
    """Distances of reconstructions, one number per image: l2, lpips, id … (all ≥ 0).

    Args:
        frozen: with the networks of `judges`; without, only l2.
        y_hat: float32 [B, H, W, 3]. target: of `describe`.
        dtype: of the judges' feature maps; distances are float32.
    """
    x, descriptions = target
    apart = {"l2": losses.l2(y_hat, x)}
    for name, description in descriptions.items():
        net = frozen[name]
        seen = _described(name, net, y_hat, dtype)
        apart |= _JUDGES[name].compare(net, seen, description)
    return apart


def _described(name, net, x, dtype):
    found = _JUDGES[name].describe(net, x.astype(dtype))
    return jax.tree.map(lambda a: a.astype(jnp.float32), found)


def weighted(config: ConfigDict, distances: dict[str, jax.Array]) -> jax.Array:
    """λ₂·L2 + λ_lpips·LPIPS + λ_id·L_id + λ_moco·L_moco of each picture, [B]."""
    weights = config.loss
    return sum(weights[name] * value for name, value in distances.items())


def in_parts(step: Callable, stats, batch, count: int):
    """Gradients of a batch in `count` equal parts, one after another: less memory.

    Batch normalization sees one part at a time.

    Args:
        step: (stats, part) → (gradients, stats, aux).
        batch: pytree of [B, …].

    Returns:
        The parts' mean gradients, the last stats, aux stacked [count, …].
    """
    if count == 1:
        grads, stats, aux = step(stats, batch)
        return grads, stats, jax.tree.map(lambda a: jnp.asarray(a)[None], aux)

    def body(carry, part):
        stats, total = carry
        grads, stats, aux = step(stats, part)
        return (stats, jax.tree.map(jnp.add, total, grads)), aux

    parts = jax.tree.map(lambda a: a.reshape(count, -1, *a.shape[1:]), batch)
    shapes = jax.eval_shape(step, stats, jax.tree.map(lambda a: a[0], parts))[0]
    total = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
    # A scan on every backend: unrolled, XLA would keep all parts in memory at once.
    (stats, total), aux = loop(body, (stats, total), parts, count, scanned=True)
    return jax.tree.map(lambda g: g / count, total), stats, aux


def loop(body: Callable, carry, xs, length: int, scanned: bool | None = None):
    """`lax.scan`, or on a CPU (by default) its body `length` times.

    XLA has slow convolution gradients inside loops there: 64², 0.75 s for 0.15 s.
    """
    if scanned is None:
        scanned = jax.default_backend() != "cpu"
    if scanned:
        return jax.lax.scan(body, carry, xs, length)
    outs = []
    for i in range(length):
        carry, out = body(carry, jax.tree.map(operator.itemgetter(i), xs))
        outs.append(out)
    return carry, jax.tree.map(lambda *values: jnp.stack(values), *outs)


def averaged(grads):
    """Gradients averaged over the devices, and their global norm."""
    if jax.lax.axis_size(parallel.AXIS) > 1:  # the mean of one is a copy
        grads = jax.lax.pmean(grads, parallel.AXIS)
    return grads, optax.tree.norm(grads)


def stepped(tx, grads, opt, params):
    """One optimizer step: new params, new optimizer state."""
    updates, opt = tx.update(grads, opt, params)
    return optax.apply_updates(params, updates), opt


def renewed(tx, decay: float, state, grads, stats):
    """The state after one optimizer step; its average, if it has one, with `decay`."""
    params, opt = stepped(tx, grads, state["opt"], state["params"])
    new = {"params": params, "batch_stats": stats, "opt": opt}
    if "ema" in state:
        new["ema"] = ema(decay, state["ema"], params)
    return new


def ema(decay: float, average, params):
    """average ← decay·average + (1 − decay)·params."""
    return jax.tree.map(lambda a, p: a + (1 - decay) * (p - a), average, params)
