"""What several tasks share: modules from a config, images, criteria."""

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
from hyperstyle_jax.models.feature_extractor import FeatureExtractor, feature_distances
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


def loss_networks(config: ConfigDict) -> dict[str, Net]:
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
    """(H, W, 3) of the run's images."""
    return (*cfg.image_size(config.data), 3)


def without_released(frozen: dict[str, Net]) -> dict[str, Net]:
    """Without the networks that others have published: a bundle does not carry them."""
    released = ("lpips", "arcface", "moco", "moco_raw")
    return {k: v for k, v in frozen.items() if k not in released}


class _Criterion(NamedTuple):
    """How a loss network compares images.

    `extract_features(net, images)`, and `distances(net, a, b)` of such features: one
    number for each image, by the name of the loss.
    """

    extract_features: Callable
    distances: Callable


def _feature_distances(net, a, b):
    lpips, similarity = feature_distances(a, b)
    return {"lpips": lpips, "id": 1.0 - similarity}


# Where two networks give the same distance, the later one counts.
_CRITERIA = {
    "feature_extractor": _Criterion(
        lambda net, x: net(x, method="extract_features"), _feature_distances
    ),
    "lpips": _Criterion(
        lambda net, x: net(x, method="extract_features"),
        lambda net, a, b: {"lpips": net(a, b, method="distances")},
    ),
    "arcface": _Criterion(
        losses.face_features, lambda net, a, b: {"id": losses.dissimilarity(a, b)}
    ),
    "moco": _Criterion(
        losses.moco_features, lambda net, a, b: {"moco": losses.dissimilarity(a, b)}
    ),
    "moco_raw": _Criterion(
        lambda net, x: losses.moco_features(net, x, normalize=False),
        lambda net, a, b: {"moco": losses.dissimilarity(a, b)},
    ),
}


def extract_features(frozen: dict[str, Net], x, dtype=jnp.float32):
    """A target as `distances` reads it, worked out once for all iterations.

    Returns:
        x, and the features that each loss network extracts from it, by its name.
    """
    names = [name for name in _CRITERIA if name in frozen]
    features = {name: _extract(name, frozen[name], x, dtype) for name in names}
    return x, jax.lax.stop_gradient(features)


def distances(
    frozen: dict[str, Net], y_hat, target, dtype=jnp.float32
) -> dict[str, jax.Array]:
    """Distances of reconstructions, one number per image: l2, lpips, id … (all ≥ 0).

    Args:
        frozen: with the networks of `loss_networks`; without, only l2.
        y_hat: float32 [B, H, W, 3]. target: of `extract_features`.
        dtype: of the loss networks' feature maps; distances are float32.
    """
    x, features = target
    values = {"l2": losses.l2(y_hat, x)}
    for name, of_target in features.items():
        net = frozen[name]
        ours = _extract(name, net, y_hat, dtype)
        values |= _CRITERIA[name].distances(net, ours, of_target)
    return values


def _extract(name, net, x, dtype):
    features = _CRITERIA[name].extract_features(net, x.astype(dtype))
    return jax.tree.map(lambda a: a.astype(jnp.float32), features)


def loss_weights(config: ConfigDict) -> dict[str, float]:
    """λ of the distances between images, by name."""
    return {name: config.loss[name] for name in ("l2", "lpips", "id", "moco")}


def weighted(weights: dict[str, float], distances: dict[str, jax.Array]) -> jax.Array:
    """λ₂·L2 + λ_lpips·LPIPS + λ_id·L_id + λ_moco·L_moco of each image, [B]."""
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


def optimizer_step(tx, grads, opt, params):
    """One optimizer step: new params, new optimizer state."""
    updates, opt = tx.update(grads, opt, params)
    return optax.apply_updates(params, updates), opt


def apply_gradients(tx, decay: float, state, grads, stats):
    """The state after one optimizer step; its average, if it has one, with `decay`."""
    params, opt = optimizer_step(tx, grads, state["opt"], state["params"])
    new = {"params": params, "batch_stats": stats, "opt": opt}
    if "ema" in state:
        new["ema"] = ema(decay, state["ema"], params)
    return new


def ema(decay: float, average, params):
    """average ← decay·average + (1 − decay)·params."""
    return jax.tree.map(lambda a, p: a + (1 - decay) * (p - a), average, params)
