"""StyleCLIP's global directions: a change of text → a shift of style channels.

https://arxiv.org/abs/2103.17249. A shift of a layer's style is a shift of the bias of
its `affine` layer: the generator itself needs no change.
"""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.models.generator import Layer
from hyperstyle_jax.net import Net


def global_direction(
    effects: np.ndarray,
    text: np.ndarray,
    std: Mapping[str, np.ndarray],
    layers: Sequence[Layer],
    beta: float,
    last_resolution: int = 128,
) -> dict[str, np.ndarray]:
    """The channels that move an image along a direction of CLIP's space.

    Args:
        effects: [N, C], what one standard deviation of every channel of the
            convolutions (toRGB left out) does in CLIP's space.
        text: [C], target minus neutral text, of any length.
        std: {path of the layer's kernel: [I]} standard deviation of every channel.
        layers: `Generator.layers()`.
        beta: channels with less effect than this are left alone; the published range
            is 0.08 to 0.2.
        last_resolution: finer layers are left alone.

    Returns:
        {path: [I]}, to be scaled by a strength and given to `shift_styles`.

    Raises:
        ValueError: `effects` does not fit the layers.
    """
    text = np.asarray(text, np.float32)
    relevance = np.asarray(effects, np.float32) @ (text / np.linalg.norm(text))
    relevance = np.where(np.abs(relevance) < beta, np.float32(0), relevance)
    largest = np.abs(relevance).max(initial=0)
    relevance = relevance / largest if largest > 0 else relevance
    convolutions = [layer for layer in layers if layer.kernel > 1]
    if len(effects) != (total := sum(layer.in_channels for layer in convolutions)):
        raise ValueError(
            f"effects of {len(effects)} channels, but the generator's layers have "
            f"{total}: they were measured on another generator"
        )
    ends = np.cumsum([layer.in_channels for layer in convolutions])
    parts = np.split(relevance, ends[:-1])
    return {
        layer.path: part * np.asarray(std[layer.path], np.float32)
        for layer, part in zip(convolutions, parts, strict=True)
        if layer.resolution <= last_resolution
    }


def shift_styles(generator: Net, shifts: Mapping[str, jax.Array]) -> Net:
    """The generator whose styles are shifted.

    Args:
        generator: Net of a Generator.
        shifts: {path of a layer's kernel: [I]}.
    """
    flat = trees.flatten(generator.params)
    for path, shift in shifts.items():
        bias = path.removesuffix("weight") + "affine/bias"
        if bias not in flat:
            raise ValueError(f"shift for {path!r}: the generator has no such layer")
        flat[bias] = flat[bias] + shift
    return generator.with_params(trees.unflatten(flat))


def styles(generator: Net, w_plus: jax.Array) -> dict[str, jax.Array]:
    """The styles [B, I] of every layer by the path of its kernel, toRGB included."""
    params = trees.flatten(generator.params)
    found = {}
    for layer in generator.module.layers():
        root = layer.path.removesuffix("weight") + "affine/"
        w = w_plus if w_plus.ndim == 2 else w_plus[:, layer.w_index]
        weight = params[f"{root}weight"] / np.sqrt(w.shape[-1]).astype(np.float32)
        found[layer.path] = w @ weight + params[f"{root}bias"]
    return found
