"""Converts the colours of an image to sRGB, by its ICC profile and lcms.

ICC profiles: https://www.color.org/specification/ICC.1-2022-05.pdf
"""

import functools
import io

import numpy as np
from PIL import Image, ImageCms

# What a profile describes by its bytes 16 to 19, and Pillow's mode of such images.
_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_DESCRIBED = {"RGB": ("RGB", "RGBA", "L", "LA"), "L": ("L", "LA"), "CMYK": ("CMYK",)}
_LEVELS = (0, 16, 32, 64, 96, 128, 160, 192, 224, 255)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Converts an image to sRGB.

    Args:
        image: of Pillow, mode L, LA, RGB, RGBA or CMYK.
        profile: the file's ICC profile. None, a damaged one and one for other channels
            than the image has count as sRGB.

    Returns:
        Mode RGB, or RGBA where there is an alpha channel, which stays as it is. The
        numbers of an sRGB image are not changed at all.
    """
    alpha = image.mode in ("LA", "RGBA")
    mode = _MODES.get(profile[16:20]) if profile else None
    fits = image.mode in _DESCRIBED.get(mode, ())
    transform = _transform(profile, mode) if fits else None
    if transform is None:
        target = "RGBA" if alpha else "RGB"
        return image if image.mode == target else image.convert(target)
    converted = ImageCms.applyTransform(image.convert(mode), transform)
    if alpha:
        converted.putalpha(image.getchannel("A"))
    return converted


def from_srgb(image: Image.Image, profile: bytes | None, mode: str) -> Image.Image:
    """The inverse of `to_srgb`: an image in the numbers of another file.

    Args:
        image: of Pillow, mode RGB in sRGB.
        profile: the file's ICC profile, or None.
        mode: of the result, "L" or "RGB".
    """
    described = _MODES.get(profile[16:20]) if profile else None
    if mode not in _DESCRIBED.get(described, ()) or not _transform(profile, described):
        return image.convert(mode)
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        "RGB",
        described,
    )
    return ImageCms.applyTransform(image, transform).convert(mode)


@functools.lru_cache(maxsize=16)  # the photos of one camera have one profile
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB; None if it changes nothing or is not possible."""
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
        )
        return transform if _changes(transform, mode) else None
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None


def _changes(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform changes more than the rounding between sRGB profiles does."""
    if mode == "CMYK":
        return True
    levels = np.array(_LEVELS, np.uint8)
    if mode == "L":
        samples = levels[None]
    else:
        samples = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
    before = Image.fromarray(samples)
    after = ImageCms.applyTransform(before, transform)
    difference = np.asarray(after, int) - np.asarray(before.convert("RGB"), int)
    return bool(np.abs(difference).max() > 1)
