"""Arrays for editing: directions, GANSpace's components, StyleCLIP's statistics."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hyperstyle_jax.convert.sources import Source, has, is_tensors

DIRECTION_KINDS = ("direction",)
GANSPACE_KINDS = ("ganspace",)
STYLECLIP_KINDS = ("styleclip",)
# Names of mean, deviations and components, in a .pt file or in GANSpace's own .npz:
# there `lat_` is the latent space, and `act_` the activations, which are the same thing
# for the space W.
_GANSPACE_NAMES = (
    ("mean", "std", "comp"),
    ("lat_mean", "lat_stdev", "lat_comp"),
    ("act_mean", "act_stdev", "act_comp"),
)


def matches_direction(value: Any) -> bool:
    """Whether a file holds one edit direction, [D] or [L, D]."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return False
    shape = _latent_shape(value)
    return len(shape) == 1 and shape[0] >= 8 or len(shape) == 2 and shape[0] <= 20


def read_direction(value: np.ndarray, _: str) -> Source:
    """The edit direction of a file, the array `direction`."""
    arrays = {"direction": value.reshape(_latent_shape(value))}
    return Source(*DIRECTION_KINDS, {}, [], arrays)


def _latent_shape(value: np.ndarray) -> tuple[int, ...]:
    """[1, 512] → [512], [1, 18, 512] → [18, 512]."""
    shape = value.shape
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape


def matches_ganspace(value: Any) -> bool:
    """Whether a file holds GANSpace's components."""
    return _ganspace_names(value) is not None


def read_ganspace(value: Mapping[str, np.ndarray], _: str) -> Source:
    """GANSpace's components [N, D], with their mean [D] and deviations [N].

    Raises:
        ValueError: the arrays do not fit each other, or are not of the space W.
    """
    mean, std, components = (value[name] for name in _ganspace_names(value))
    if not components.ndim or not components.size:
        raise ValueError("a GANSpace file without components")
    count, width = components.shape[0], components.shape[-1]
    if mean.size != width or std.size != count:
        raise ValueError("a GANSpace file whose mean, std and comp do not fit")
    if components.size != count * width:
        raise ValueError(
            f"a GANSpace file of components of shape {components.shape[1:]}: only "
            "those of the latent space W are edit directions"
        )
    arrays = {
        "ganspace_mean": mean.reshape(width),
        "ganspace_std": std.reshape(count),
        "ganspace_directions": components.reshape(count, width),
    }
    return Source(*GANSPACE_KINDS, {}, [], arrays)


def _ganspace_names(value: Any) -> tuple[str, ...] | None:
    for names in _GANSPACE_NAMES:
        if has(value, *names) and is_tensors({name: value[name] for name in names}):
            return names
    return None


def matches_style_statistics(value: Any) -> bool:
    """Whether a file holds StyleCLIP's means and deviations of all styles."""
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(isinstance(v, (list, tuple)) and v for v in value)
        and all(isinstance(a, np.ndarray) and a.ndim == 1 for v in value for a in v)
    )


def read_style_statistics(value: list | tuple, _: str) -> Source:
    """StyleCLIP's means and deviations of all styles, an array for each layer.

    Raises:
        ValueError: means and deviations have different shapes.
    """
    mean, std = ([np.asarray(a) for a in group] for group in value)
    if [a.shape for a in mean] != [a.shape for a in std]:
        raise ValueError("StyleSpace means and deviations of different shapes")
    arrays = {f"styleclip_mean_{i}": a for i, a in enumerate(mean)}
    arrays |= {f"styleclip_std_{i}": a for i, a in enumerate(std)}
    return Source(*STYLECLIP_KINDS, {}, [], arrays)


def matches_style_effects(value: Any) -> bool:
    """Whether a file is StyleCLIP's fs3: every style channel's effect, seen by CLIP."""
    return isinstance(value, np.ndarray) and value.ndim == 2 and len(value) > 1000


def read_style_effects(value: np.ndarray, _: str) -> Source:
    """StyleCLIP's effects of style channels, the array `styleclip_effects`."""
    return Source(*STYLECLIP_KINDS, {}, [], {"styleclip_effects": value})
