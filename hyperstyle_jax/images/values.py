"""Converts images between their two value ranges: uint8, and float in [-1, 1]."""

import numpy as np


def to_float(image: np.ndarray) -> np.ndarray:
    """Converts uint8 to float32 in [-1, 1]."""
    return np.asarray(image, np.float32) / np.float32(127.5) - np.float32(1)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Converts float in [-1, 1] to uint8, clipped and rounded; uint8 stays as it is.

    Raises:
        ValueError: NaN or infinity.
    """
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    if not np.isfinite(image).all():
        raise ValueError("image: got NaN or infinity, expected numbers in [-1, 1]")
    scaled = (np.clip(np.asarray(image, np.float32), -1, 1) + 1) * np.float32(127.5)
    return np.rint(scaled).astype(np.uint8)
