"""Reads the sizes of networks off the shapes of official tensors."""

import re
from typing import Any

import numpy as np

from hyperstyle_jax.convert.sources import Tensors
from hyperstyle_jax.models.synthesis import channels


def tensor(tensors: Tensors, name: str, rank: int | None = None) -> np.ndarray:
    """A tensor whose shape tells the architecture.

    Raises:
        ValueError: it is missing, empty, or of another rank.
    """
    if name not in tensors:
        raise ValueError(f"the tensor {name} is missing, and with it the architecture")
    array = tensors[name]
    if rank is not None and (array.ndim != rank or not all(array.shape)):
        raise ValueError(f"{name} has the shape {array.shape}, expected rank {rank}")
    return array


def numbered(tensors: Tensors, pattern: str) -> int:
    """One more than the largest number that the pattern's group matches in a name."""
    matches = (re.match(pattern, name) for name in tensors)
    return 1 + max((int(match[1]) for match in matches if match), default=-1)


def style_convs(tensors: Tensors, name: str) -> int:
    """How many convolutions a block `name` has; activations stand between them."""
    return (numbered(tensors, re.escape(name) + r"\.(\d{1,2})\.weight") + 1) // 2


def channel_fields(widths: list[int]) -> dict[str, Any]:
    """The fields `channel_base` and `channel_max` of a StyleGAN2 network.

    Args:
        widths: channels at 4², 8², 16², …

    Raises:
        ValueError: the widths are not min(base / resolution, max).
    """
    resolutions = [4 << i for i in range(len(widths))]
    largest = max(widths)
    narrow = [w * r for w, r in zip(widths, resolutions, strict=True) if w < largest]
    # Without a narrower layer any sufficient base would do; 32768 is the usual one.
    base = narrow[0] if narrow else max(32768, largest * resolutions[-1])
    for width, resolution in zip(widths, resolutions, strict=True):
        if channels(resolution, base, largest) != width:
            raise ValueError(
                f"widths {widths} at 4², 8², … are not min(base / resolution, max), "
                "which the published networks follow"
            )
    return {"channel_base": base, "channel_max": largest}
