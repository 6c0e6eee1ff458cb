"""StyleCLIP's global directions turn a change of text into a shift of styles.

https://arxiv.org/abs/2103.17249. The styles of all layers are the generator's S space.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from hyperstyle_jax import trees
from hyperstyle_jax.models.generator import Layer
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion


def global_direction(
    effects: np.ndarray,
    text: np.ndarray,
    std: Mapping[str, np.ndarray],
    layers: Sequence[Layer],
    beta: float,
    last_resolution: int = 128,
) -> dict[str, np.ndarray]:
    """The shift of styles that moves an image along a direction of CLIP's space.

    Args:
        effects: [N, C], how one standard deviation of each channel of the convolutions
            (without toRGB) moves an image in CLIP's space.
        text: [C], the target text's vector minus that of a neutral text, of any length.
        std: {path of the layer's kernel: [I]}, standard deviation of each channel.
        layers: `Generator.layers()`.
        beta: channels with a smaller effect do not move; published are 0.08 to 0.2.
        last_resolution: finer layers do not move.

    Returns:
        {path of the layer's kernel: [I]}, for `shift_styles`.

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
    layer_relevance = np.split(relevance, ends[:-1])
    return {
        layer.path: values * np.asarray(std[layer.path], np.float32)
        for layer, values in zip(convolutions, layer_relevance, strict=True)
        if layer.resolution <= last_resolution
    }


def shift_styles(
    inversion: Inversion,
    generator: Net,
    shifts: Mapping[str, ArrayLike],
    strength: ArrayLike = 1.0,
) -> Inversion:
    """Shifts styles to s + strength·shift; latents and offsets stay.

    A style is an affine function of w, s = w·A + b: its shift is one of b.

    Args:
        inversion: of B images.
        generator: Net of the Generator whose styles are shifted.
        shifts: {path of a layer's kernel: [I]}.
        strength: a number, or one for each image [B].

    Returns:
        The inversion with the shifted b [B, I] among its `replaced` weights.

    Raises:
        ValueError: the generator has no such layer, or another number of channels.
    """
    params, batch = trees.flatten(generator.params), len(inversion.w_plus)
    strength = jnp.reshape(jnp.asarray(strength, jnp.float32), (-1, 1))
    biases = {}
    for kernel_path, shift in shifts.items():
        path = bias_path(kernel_path)
        if path not in params:
            raise ValueError(
                f"shift for {kernel_path!r}: the generator has no such layer"
            )
        if np.shape(shift) != params[path].shape:
            raise ValueError(
                f"shift for {kernel_path!r} has shape {np.shape(shift)}, expected "
                f"{params[path].shape}: it was made for another generator"
            )
        bias = inversion.replaced.get(path, params[path]) + strength * jnp.asarray(
            shift
        )
        biases[path] = jnp.broadcast_to(bias, (batch, *np.shape(shift)))
    return inversion.replace(replaced={**inversion.replaced, **biases})


def styles(generator: Net, w_plus: jax.Array) -> dict[str, jax.Array]:
    """The styles of all layers, toRGB included.

    Args:
        generator: Net of a Generator.
        w_plus: [B, L, D], or w [B, D] for the same row in every layer.

    Returns:
        {path of the layer's kernel: s [B, I]}.
    """
    params = trees.flatten(generator.params)
    styles_by_path = {}
    for layer in generator.module.layers():
        affine = _affine_path(layer.path)
        w = w_plus if w_plus.ndim == 2 else w_plus[:, layer.w_index]
        weight = params[f"{affine}/weight"] / np.sqrt(w.shape[-1]).astype(np.float32)
        styles_by_path[layer.path] = w @ weight + params[f"{affine}/bias"]
    return styles_by_path


def bias_path(kernel_path: str) -> str:
    """The path of the parameter that shifts the style of a convolution."""
    return f"{_affine_path(kernel_path)}/bias"


def _affine_path(kernel_path: str) -> str:
    """The path of the layer that makes the style of a convolution."""
    return kernel_path.removesuffix("weight") + "affine"
