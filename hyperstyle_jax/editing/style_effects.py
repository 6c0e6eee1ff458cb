"""How each style channel moves an image in CLIP's space, measured by rendering.

StyleCLIP (https://arxiv.org/abs/2103.17249, section 6) looks these effects up when a
text is given; its files call them fs3, and the statistics of the styles S_mean_std.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.editing import styleclip
from hyperstyle_jax.models.generator import Layer
from hyperstyle_jax.net import Net

_STRENGTH = 5.0  # standard deviations, up and down, as published


class StyleStatistics(NamedTuple):
    """Mean and deviation of each style channel, {path of a layer's kernel: [I]}."""

    mean: dict[str, np.ndarray]
    std: dict[str, np.ndarray]


def measure_styles(
    generator: Net, count: int = 20_000, seed: int = 0, batch_size: int = 1000
) -> StyleStatistics:
    """Mean and deviation of the styles of random latents; nothing is rendered.

    Args:
        generator: Net of a Generator.
        count: the number of latents.
        seed: of the latents.
        batch_size: latents at a time.
    """
    keys = jax.random.split(jax.random.key(seed), -(-count // batch_size))
    parts = [jax.device_get(_styles(generator, key, batch_size)) for key in keys]
    values = {path: np.concatenate([p[path] for p in parts]) for path in parts[0]}
    return StyleStatistics(
        {path: v.mean(0) for path, v in values.items()},
        {path: v.std(0) for path, v in values.items()},
    )


def _draw(generator: Net, key, count: int) -> jax.Array:
    z = jax.random.normal(key, (count, generator.module.z_dim))
    return generator(z, method="mapping")


@partial(jax.jit, static_argnums=2)
def _styles(generator, key, count):
    return styleclip.styles(generator, _draw(generator, key, count))


def convolutions(generator: Net) -> list[Layer]:
    """The layers whose channels have effects: all but toRGB, in the files' order."""
    return [layer for layer in generator.module.layers() if layer.kernel > 1]


def measure_layer(
    generator: Net,
    clip: Net,
    layer: Layer,
    std: Mapping[str, np.ndarray],
    *,
    images: int = 100,
    seed: int = 0,
    batch_size: int = 10,
) -> np.ndarray:
    """The effects [I, E] of a layer's channels.

    Each image is rendered with a channel raised and lowered by five standard
    deviations. The difference of the two vectors in CLIP's space, scaled to length one,
    is averaged over images and scaled again.

    Args:
        generator: Net of a Generator.
        clip: Net of a CLIP.
        layer: of `convolutions`.
        std: of `StyleStatistics`.
        images: their number.
        seed: of the images.
        batch_size: images at a time.
    """
    w = _draw(generator, jax.random.key(seed), images)
    count = len(std[layer.path])
    totals = jnp.zeros((count, clip.module.embedding))
    for start in range(0, images, batch_size):
        part = w[start : start + batch_size]
        totals += jnp.stack(
            [
                _effect(generator, clip, part, _shift(std, layer.path, channel))
                for channel in range(count)
            ]
        )
    return np.asarray(_unit(totals))


def _shift(std, path: str, channel: int) -> dict[str, np.ndarray]:
    """One channel of all, so that one program does for all channels."""
    shifts = {p: np.zeros_like(v) for p, v in std.items()}
    shifts[path][channel] = _STRENGTH * std[path][channel]
    return shifts


@jax.jit
def _effect(generator, clip, w, shifts):
    """The sum over images w [B, D] of unit differences in CLIP's space, [E]."""
    params = trees.flatten(generator.params)

    def embed(sign):
        biases = {}
        for kernel_path, shift in shifts.items():
            path = styleclip.bias_path(kernel_path)
            biases[path] = params[path] + sign * shift
        shifted = generator.with_params(trees.unflatten(params | biases))
        return _unit(clip(shifted(w, method="synthesis"), method="image"))

    return _unit(embed(1.0) - embed(-1.0)).sum(0)


def _unit(vectors):
    length = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / jnp.maximum(length, 1e-12)
