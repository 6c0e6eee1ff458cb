"""Images: files in and out, sizes, value ranges, grids. The only user of Pillow."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps, WebPImagePlugin

from hyperstyle_jax.system import atomic_files

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
# Decoders that run other programs or parse scripts stay shut.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", WebPImagePlugin.WebPImageFile.format)
MIN_SIDE = 16
MAX_PIXELS = 80_000_000
# Dark to bright, readable without colour too.
_HEAT = ((0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10))


def read(file: str | Path | bytes) -> np.ndarray:
    """Reads an image the way a person sees it: turned upright, over white, in RGB.

    Args:
        file: a path, or the bytes of a file. Grey, palette, alpha, 16-bit and CMYK
            images are converted; of several frames the first is taken.

    Returns:
        [H, W, 3] uint8.

    Raises:
        ValueError: no such file, no image, damaged, smaller than 16 pixels on a
            side or larger than 80 megapixels.
    """
    name = "image" if isinstance(file, bytes) else str(file)
    data = file if isinstance(file, bytes) else _bytes(Path(file))
    try:
        with warnings.catch_warnings():
            # Pillow warns of large images; we refuse them below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name}: {error}; scale it down first") from None
    except Exception as error:
        what = "an empty file" if not data else "not an image that can be read"
        raise ValueError(
            f"{name}: {what} (expected PNG, JPEG or WebP); leave it out or save it anew"
        ) from error
    _check_size(name, *image.size)
    try:
        # Whatever a decoder may raise on damaged data, it means one thing here.
        return _rgb(ImageOps.exif_transpose(image))
    except Exception as error:
        raise ValueError(
            f"{name}: damaged or cut off ({error}); fetch or save it again"
        ) from error


def find(folder: str | Path) -> list[Path]:
    """All PNG, JPEG and WebP files under a folder, sorted; hidden ones are left out.

    Raises:
        ValueError: no such folder, or no such file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        got = "a file" if folder.exists() else "nothing"
        raise ValueError(f"{folder}: got {got}, expected a folder of images")
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not files:
        raise ValueError(f"{folder}: no image in it, expected {', '.join(SUFFIXES)}")
    return files


def crop(image: np.ndarray, ratio: float = 1.0) -> np.ndarray:
    """The largest centred part of [H, W, 3] with height / width = `ratio`."""
    height, width = image.shape[:2]
    rows = min(height, max(1, round(width * ratio)))
    columns = min(width, max(1, round(height / ratio)))
    top, left = (height - rows) // 2, (width - columns) // 2
    return image[top : top + rows, left : left + columns]


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Lanczos, anti-aliased when shrinking: [H, W, 3] uint8 → [height, width, 3]."""
    if height < 1 or width < 1:
        raise ValueError(f"size: got {height} x {width}, expected at least 1 x 1")
    if image.shape[:2] == (height, width):
        return image
    pillow_image = Image.fromarray(to_uint8(image))
    return np.asarray(pillow_image.resize((width, height), Image.Resampling.LANCZOS))


def fit(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Crops the centre and resizes: [H, W, 3] uint8 → [height, width, 3]."""
    return resize(crop(image, height / width), height, width)


def to_float(image: np.ndarray) -> np.ndarray:
    """uint8 → float32 in [-1, 1]."""
    return np.asarray(image, np.float32) / np.float32(127.5) - np.float32(1)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """float in [-1, 1] (clipped, rounded) → uint8; uint8 passes through."""
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    if not np.isfinite(image).all():
        raise ValueError("image: got NaN or infinity, expected numbers in [-1, 1]")
    scaled = (np.clip(np.asarray(image, np.float32), -1, 1) + 1) * np.float32(127.5)
    return np.rint(scaled).astype(np.uint8)


def encode_png(image: np.ndarray) -> bytes:
    """[H, W, 3] uint8 or float in [-1, 1] → the bytes of a PNG file."""
    out = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(out, format="PNG", compress_level=4)
    return out.getvalue()


def save_png(path: str | Path, image: np.ndarray) -> Path:
    """Writes [H, W, 3] as PNG, the whole file or none; makes the folder if needed.

    Raises:
        OSError: says which file could not be written, and why.
    """
    return atomic_files.write_whole(path, encode_png(image))


def grid(
    rows: Sequence[Sequence[np.ndarray]],
    column_labels: Sequence[str] | None = None,
    row_labels: Sequence[str] | None = None,
    scale: int = 1,
    gap: int = 2,
) -> np.ndarray:
    """One image of many.

    Args:
        rows: images [H, W, 3] of one size, uint8 or float in [-1, 1]; rows may be of
            different length. An array [R, C, H, W, 3] will do.
        column_labels: text above each column. row_labels: text left of each row.
        scale: enlarges every image this many times, without smoothing.
        gap: white pixels between images.

    Returns:
        [height, width, 3] uint8.
    """
    rows = [[to_uint8(image) for image in row] for row in rows]
    shapes = {image.shape for row in rows for image in row}
    if len(shapes) != 1:
        raise ValueError(
            f"grid: got images of {sorted(shapes) or 'no size'}, expected one size"
        )
    height, width = (side * scale for side in shapes.pop()[:2])
    font = ImageFont.load_default(max(10, min(20, width // 7)))
    left = top = gap
    if row_labels:
        left += 2 * gap + max(_text_width(font, text) for text in row_labels)
    if column_labels:
        top += 2 * gap + round(font.size)
    columns = max(len(row) for row in rows)
    canvas = np.full(
        (top + len(rows) * (height + gap), left + columns * (width + gap), 3),
        255,
        np.uint8,
    )
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            y, x = top + i * (height + gap), left + j * (width + gap)
            big = image.repeat(scale, axis=0).repeat(scale, axis=1)
            canvas[y : y + height, x : x + width] = big
    sheet = Image.fromarray(canvas)
    pen = ImageDraw.Draw(sheet)
    for j, text in enumerate(column_labels or ()):
        middle = left + j * (width + gap) + width // 2
        pen.text((middle, gap), _fit(font, text, width), "black", font, anchor="ma")
    for i, text in enumerate(row_labels or ()):
        middle = top + i * (height + gap) + height // 2
        pen.text((left - 2 * gap, middle), text, "black", font, anchor="rm")
    return np.asarray(sheet)


def error_map(target: np.ndarray, image: np.ndarray, limit: float = 0.25) -> np.ndarray:
    """Where two images differ, as heat.

    Args:
        target, image: [..., H, W, 3] uint8 or float in [-1, 1].
        limit: the difference shown brightest, as a part of the full range.

    Returns:
        [..., H, W, 3] uint8: the mean over the channels of |target − image|.
    """
    a, b = (to_uint8(x).astype(np.float32) for x in (target, image))
    if a.shape != b.shape:
        raise ValueError(f"error map: got {a.shape} and {b.shape}, expected one size")
    heat = np.clip(np.abs(a - b).mean(-1) / (255 * limit), 0, 1) * (len(_HEAT) - 1)
    anchors = np.array(_HEAT, np.float32)
    channels = [np.interp(heat, range(len(_HEAT)), anchors[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"{path}: {(error.strerror or str(error)).lower()}, expected an image file"
        ) from error


def _check_size(name: str, width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise ValueError(
            f"{name}: got {width} x {height} pixels, expected at least {MIN_SIDE} on "
            "each side; use a larger image"
        )
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"{name}: got {width} x {height} pixels, expected at most "
            f"{MAX_PIXELS // 10**6} megapixels; scale it down first"
        )


def _rgb(image: Image.Image) -> np.ndarray:
    """Any Pillow mode → uint8 RGB over white."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "I;16N"):
        deep = np.asarray(image).astype(np.int64)
        # Mode I may hold 8-bit values; the others are 16-bit by definition.
        eight_bit = image.mode == "I" and deep.max() <= 255
        levels = deep if eight_bit else np.rint(deep / 257)
        grey = np.clip(levels, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    if image.mode == "F":
        raise ValueError("floating-point images have no known range")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def _text_width(font, text: str) -> int:
    return int(np.ceil(font.getlength(text)))


def _fit(font, text: str, width: int) -> str:
    while text and _text_width(font, text) > width:
        text = text[:-1]
    return text
