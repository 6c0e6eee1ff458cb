"""Writes images as PNG files."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from hyperstyle_jax.images.values import to_uint8
from hyperstyle_jax.system import atomic_files


def encode_png(image: np.ndarray, texts: Mapping[str, str] | None = None) -> bytes:
    """Encodes [H, W, 3], uint8 or float in [-1, 1], as the bytes of a PNG file.

    Args:
        image: the pixels.
        texts: notes by keyword, in Latin letters, which `png_chunks.text` reads.
    """
    notes = PngImagePlugin.PngInfo()
    for keyword, text in (texts or {}).items():
        notes.add_text(keyword, text)
    out = io.BytesIO()
    picture = Image.fromarray(to_uint8(image))
    picture.save(out, format="PNG", compress_level=4, pnginfo=notes)
    return out.getvalue()


def encode_webp(image: np.ndarray, quality: int = 90) -> bytes:
    """Encodes [H, W, 3], uint8 or float in [-1, 1], as the bytes of a WebP file."""
    out = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(out, format="WEBP", quality=quality)
    return out.getvalue()


def encode_jpeg(image: np.ndarray, quality: int = 92) -> bytes:
    """Encodes [H, W, 3], uint8 or float in [-1, 1], as the bytes of a JPEG file."""
    out = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(out, format="JPEG", quality=quality)
    return out.getvalue()


def save_png(path: str | Path, image: np.ndarray) -> Path:
    """Writes [H, W, 3] as PNG, the whole file or none; makes the folder if needed.

    Raises:
        OSError: says which file could not be written, and why.
    """
    return atomic_files.write_whole(path, encode_png(image))
