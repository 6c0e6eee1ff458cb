"""Writes images as PNG files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from hyperstyle_jax.images.values import to_uint8
from hyperstyle_jax.system import atomic_files


def encode_png(image: np.ndarray) -> bytes:
    """Encodes [H, W, 3], uint8 or float in [-1, 1], as the bytes of a PNG file."""
    out = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(out, format="PNG", compress_level=4)
    return out.getvalue()


def encode_webp(image: np.ndarray, quality: int = 90) -> bytes:
    """Encodes [H, W, 3], uint8 or float in [-1, 1], as the bytes of a WebP file."""
    out = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(out, format="WEBP", quality=quality)
    return out.getvalue()


def save_png(path: str | Path, image: np.ndarray) -> Path:
    """Writes [H, W, 3] as PNG, the whole file or none; makes the folder if needed.

    Raises:
        OSError: says which file could not be written, and why.
    """
    return atomic_files.write_whole(path, encode_png(image))
