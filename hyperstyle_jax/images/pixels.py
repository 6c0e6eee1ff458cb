"""Converts images of any mode of Pillow to RGB: upright, over white, in sRGB."""

import numpy as np
from PIL import Image

from hyperstyle_jax.images import colors

_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # grey of more than 8 bits
_READ = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK",
         "YCbCr", *_DEEP)  # fmt: skip
_ORIENTATION = 0x0112  # a tag of EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def rgb(image: Image.Image, profile: bytes | None) -> np.ndarray:
    """The pixels of a decoded image as a viewer shows them.

    Args:
        image: of Pillow, loaded.
        profile: the file's ICC profile, or None.

    Returns:
        [H, W, 3] uint8.

    Raises:
        ValueError: channels that have no known range or meaning.
    """
    if image.mode not in _READ:
        raise ValueError(
            f"its pixels are of the kind {image.mode}, which is not read; save it as "
            "RGB in PNG or JPEG"
        )
    turn = _TURNS.get(orientation(image))
    plain = _deep(image) if image.mode in _DEEP else _plain(image)
    colored = colors.to_srgb(plain, profile)
    if colored.mode == "RGBA":
        white = Image.new("RGBA", colored.size, (255, 255, 255, 255))
        colored = Image.alpha_composite(white, colored).convert("RGB")
    return np.array(colored if turn is None else colored.transpose(turn))


def orientation(image: Image.Image) -> int:
    """The orientation of the camera in the numbers of EXIF, in which 1 is upright."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # damaged EXIF data must not cost the image
        return 1


def _deep(image: Image.Image) -> Image.Image:
    """Converts grey of more than 8 bits to mode L, or LA if a level is transparent."""
    levels = np.asarray(image)
    if levels.max() > 65535:
        raise ValueError(
            f"got grey values up to {levels.max()}, expected at most 65535; save it as "
            "PNG of 16 bits"
        )
    levels = levels.clip(0).astype(np.uint32)
    # Mode I may hold 8-bit values; the others are 16-bit by definition.
    eight_bit = image.mode == "I" and levels.max() <= 255
    grey = levels if eight_bit else (levels + 128) // 257
    grey = Image.fromarray(grey.astype(np.uint8))
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        alpha = np.where(levels == hidden, 0, 255).astype(np.uint8)
        grey.putalpha(Image.fromarray(alpha))
    return grey


def _plain(image: Image.Image) -> Image.Image:
    """Converts any other image to mode L, LA, RGB, RGBA or CMYK."""
    if image.mode in ("RGBa", "La"):
        return image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    if image.mode in ("LA", "RGBA"):
        return image
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("L", "1") else "RGBA")
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")
