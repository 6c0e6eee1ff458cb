"""A photo as its file stores it: what is not edited keeps every bit.

Edits are made in upright sRGB; here they go back into the channels, depth, profile and
orientation of the file, and its notes (EXIF) go along.
"""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, JpegImagePlugin

from hyperstyle_jax.images import colors, pixels, reading
from hyperstyle_jax.system import atomic_files

_ORIENTATION = 0x0112
_DEEP = "I;16"
# Notes of a TIFF that hold for its content; the others describe how it is stored.
_TIFF_NOTES = (0x010E, 0x010F, 0x0110, 0x0112, 0x0131, 0x0132, 0x013B, 0x8298)
_ENDINGS = {"JPEG": ".jpg", "WEBP": ".webp", "PNG": ".png"}
_KINDS = {".jpeg": "JPEG", ".jpg": "JPEG", ".webp": "WEBP", ".png": "PNG"}


class Original(NamedTuple):
    """The content of an image file.

    Attributes:
        pixels: [H, W] or [H, W, C] uint8, or [H, W] uint16, turned as in the file.
        mode: "L", "LA", "RGB" or "RGBA"; "I;16" for grey of 16 bits. Palettes are RGB
            or RGBA here, CMYK is RGB.
        orientation: how the camera was held, as EXIF counts it, 1 to 8.
        profile: the ICC profile.
        exif: the notes of the camera.
        kind: of the file, "JPEG", "PNG", …
        saving: options with which a JPEG like it is written.
    """

    pixels: np.ndarray
    mode: str
    orientation: int
    profile: bytes | None
    exif: bytes
    kind: str
    saving: dict[str, Any]


def read(file: str | Path | bytes, name: str = "image") -> tuple[Original, np.ndarray]:
    """A file's content, and [H, W, 3] uint8 as `images.read` gives it.

    Raises:
        ValueError, MemoryError: as of `images.read`.
    """

    def convert(image, profile):
        return _original(image, profile), pixels.rgb(image, profile)

    return reading.read_with(convert, file, name)


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """A view of stored pixels [H, W, …] as the photo is looked at."""
    turned = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }
    return turned[orientation](values) if orientation in turned else values


def replace(
    original: Original,
    top: int,
    left: int,
    before: np.ndarray,
    image: np.ndarray,
    mask: np.ndarray,
) -> Original:
    """The original with an edited part.

    Only the change is carried over, so that what sRGB of 8 bits cannot hold stays.

    Args:
        top, left: where the part begins in the upright photo.
        before, image: [h, w, 3] uint8 in sRGB, the part before and after the edit.
        mask: [h, w] float32, 0 to 1, how much of the change is made; where it is 0 the
            original stays, bit for bit.
    """
    stored = original.pixels.copy()
    height, width = mask.shape
    upright_view = upright(stored, original.orientation)
    part = upright_view[top : top + height, left : left + width]
    old, new = (_in_numbers_of(original, values) for values in (before, image))
    channels = part[..., None] if part.ndim == 2 else part[..., : new.shape[-1]]
    changed = np.rint(channels + mask[..., None] * (new - old))
    channels[...] = changed.clip(0, np.iinfo(stored.dtype).max)
    return original._replace(pixels=stored)


def shown(original: Original) -> np.ndarray:
    """[H, W, 3] uint8, upright, in sRGB."""
    values = np.ascontiguousarray(upright(original.pixels, original.orientation))
    return pixels.rgb(Image.fromarray(values), original.profile)


def encode(original: Original, kind: str = "PNG") -> bytes:
    """The bytes of a file of kind "PNG", "JPEG" or "WEBP", with profile and EXIF."""
    options: dict[str, Any] = {"icc_profile": original.profile or b""}
    if original.exif:
        options["exif"] = original.exif
    if kind == "PNG":
        options["compress_level"] = 4
    elif kind == "JPEG" and original.saving:
        options |= original.saving
    else:
        options["quality"] = 95
    values = original.pixels
    if original.mode == _DEEP and kind != "PNG":
        values = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    image = Image.fromarray(values)
    if kind == "JPEG" and image.mode in ("LA", "RGBA"):
        raise ValueError(
            "JPEG has no transparency, but the photo has; choose the format png"
        )
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return out.getvalue()


def save(path: str | Path, original: Original) -> Path:
    """Writes a PNG, JPEG or WebP file by the ending of its name, whole or not at all.

    Raises:
        ValueError: another ending. OSError: the file cannot be written.
    """
    kind = _KINDS.get(Path(path).suffix.lower())
    if kind is None:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(_KINDS)}")
    return atomic_files.write_whole(path, encode(original, kind))


def same_ending(original: Original) -> str:
    """The ending of a file of the original's kind, ".png" where it cannot be written.

    A JPEG or WebP stays what it is; everything else becomes PNG, which loses nothing.
    """
    return _ENDINGS.get(original.kind, ".png")


def notes(original: Original) -> dict[str, str | int | float]:
    """EXIF's main tags by name, as "Model", those that are text or numbers."""
    if not original.exif:
        return {}
    exif = Image.Exif()
    exif.load(original.exif)
    return {
        ExifTags.TAGS.get(tag, f"0x{tag:04x}"): value
        for tag, value in exif.items()
        if isinstance(value, (str, int, float))
    }


def _original(image: Image.Image, profile: bytes | None) -> Original:
    exif, orientation = _exif(image)
    saving = _jpeg_options(image)
    kind = image.format or "PNG"
    one_level = "transparency" in image.info and image.mode not in ("P", "RGBA")
    if image.mode.startswith(_DEEP) and not one_level:
        deep = np.asarray(image).astype(np.uint16)
        return Original(deep, _DEEP, orientation, profile, exif, kind, {})
    if image.mode == "P":
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode not in ("L", "LA", "RGB", "RGBA") or one_level:
        # CMYK, two colours, one transparent level: kept as they look.
        values = upright_to_stored(pixels.rgb(image, profile), orientation)
        return Original(values, "RGB", orientation, None, exif, kind, {})
    values = np.array(image)
    return Original(values, image.mode, orientation, profile, exif, kind, saving)


def upright_to_stored(values: np.ndarray, orientation: int) -> np.ndarray:
    """The inverse of `upright`."""
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    return upright(values, inverse)


def _exif(image: Image.Image) -> tuple[bytes, int]:
    """The notes as bytes, and the orientation that readers of the new file will see."""
    shown = pixels.orientation(image)
    shown = shown if shown in range(1, 9) else 1
    try:
        exif = image.getexif()
    except MemoryError:
        raise
    except Exception:  # of damaged notes, for which no photo is given up
        return b"", shown
    if image.format == "TIFF":
        kept = Image.Exif()
        for tag in _TIFF_NOTES:
            if tag in exif:
                kept[tag] = exif[tag]
        exif = kept
    raw = image.info.get("exif")
    if isinstance(raw, bytes) and image.format != "TIFF":
        if shown == exif.get(_ORIENTATION, 1):
            return raw, shown
    if shown != 1:
        exif[_ORIENTATION] = shown  # it stood in XMP, which is not kept
    return (exif.tobytes() if len(exif) else b""), shown


def _jpeg_options(image: Image.Image) -> dict[str, Any]:
    """Quantization and subsampling of a JPEG, so that it is saved as fine as it was."""
    if image.format != "JPEG" or image.mode not in ("L", "RGB"):
        return {}
    sampling = JpegImagePlugin.get_sampling(image)
    options: dict[str, Any] = {"qtables": image.quantization}
    return options | ({"subsampling": sampling} if sampling >= 0 else {})


def _in_numbers_of(original: Original, image: np.ndarray) -> np.ndarray:
    """[h, w, 3] uint8 in sRGB → [h, w, 1 or 3] float32 in the original's numbers."""
    mode = "RGB" if original.mode.startswith("RGB") else "L"
    srgb = Image.fromarray(np.ascontiguousarray(image))
    values = np.asarray(colors.from_srgb(srgb, original.profile, mode), np.float32)
    values = values.reshape(*image.shape[:2], -1)
    return values * 257 if original.mode == _DEEP else values
