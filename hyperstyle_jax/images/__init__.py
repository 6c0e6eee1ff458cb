"""Reads, writes, crops, resizes and draws images.

Pillow is imported by the modules of this folder and by no others.
"""

from hyperstyle_jax.images.animation import save_animation
from hyperstyle_jax.images.arrows import arrows
from hyperstyle_jax.images.drawing import error_map, grid
from hyperstyle_jax.images.outlines import outlines
from hyperstyle_jax.images.reading import (
    MAX_PIXELS,
    MIN_SIDE,
    SUFFIXES,
    named_bytes,
    read,
    read_bytes,
    special,
)
from hyperstyle_jax.images.sizes import crop, fit, resize
from hyperstyle_jax.images.values import to_float, to_uint8
from hyperstyle_jax.images.writing import encode_jpeg, encode_png, encode_webp, save_png

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE",
    "SUFFIXES",
    "arrows",
    "crop",
    "encode_jpeg",
    "encode_png",
    "encode_webp",
    "error_map",
    "fit",
    "grid",
    "named_bytes",
    "outlines",
    "read",
    "read_bytes",
    "resize",
    "save_animation",
    "save_png",
    "special",
    "to_float",
    "to_uint8",
]
