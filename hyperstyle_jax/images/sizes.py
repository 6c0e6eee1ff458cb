"""Crops and resizes images."""

import numpy as np
from PIL import Image

from hyperstyle_jax.images.values import to_uint8


def crop(image: np.ndarray, ratio: float = 1.0) -> np.ndarray:
    """The largest centred part of [H, W, 3] with height / width = `ratio`."""
    height, width = image.shape[:2]
    rows = min(height, max(1, round(width * ratio)))
    columns = min(width, max(1, round(height / ratio)))
    top, left = (height - rows) // 2, (width - columns) // 2
    return image[top : top + rows, left : left + columns]


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes [H, W, 3] uint8 to [height, width, 3] by Lanczos, with anti-aliasing.

    Raises:
        ValueError: a size below 1 pixel.
    """
    if height < 1 or width < 1:
        raise ValueError(f"size: got {height} x {width}, expected at least 1 x 1")
    if image.shape[:2] == (height, width):
        return image
    full = Image.fromarray(to_uint8(image))
    return np.asarray(full.resize((width, height), Image.Resampling.LANCZOS))


def fit(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Crops the centre and resizes: [H, W, 3] uint8 → [height, width, 3]."""
    return resize(crop(image, height / width), height, width)
