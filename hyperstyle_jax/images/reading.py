"""Reads image files as RGB arrays that look as they do in a viewer."""

import io
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, TiffImagePlugin, WebPImagePlugin

from hyperstyle_jax.images import kinds, pixels, png_chunks

SUFFIXES = kinds.SUFFIXES
T = TypeVar("T")
MIN_SIDE = 16
MAX_PIXELS = 80_000_000
_MOST_BYTES = 1 << 30  # no image file of 80 megapixels is longer; an endless one may be
# Decoders that run other programs or parse scripts are not used.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", WebPImagePlugin.WebPImageFile.format,
            TiffImagePlugin.TiffImageFile.format)  # fmt: skip
_DECODER_BYTES = 12  # per pixel, the most that a decoder holds at a time
# Pillow warns of large images, which are refused here, and of odd notes in files. A
# filter around every call would be slower, and mixed up by threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
_SUBFILE_TYPE = 0x00FE  # a tag of TIFF
# Photographs have these; those of documents and rare ones are refused.
_TIFF_COMPRESSIONS = ("raw", "packbits", "tiff_lzw", "tiff_deflate", "jpeg",
                      "tiff_adobe_deflate")  # fmt: skip


def read(file: str | Path | bytes, name: str = "image") -> np.ndarray:
    """Reads an image the way a person sees it: upright, over white, in sRGB.

    Args:
        file: a path, or the bytes of a file. Grey, palette, alpha, 16-bit and CMYK
            images are converted, colours through the file's ICC profile; of several
            frames the first is taken.
        name: what errors call the image where `file` is bytes.

    Returns:
        [H, W, 3] uint8.

    Raises:
        ValueError: no such file, no image, damaged, smaller than 16 pixels on a side
            or larger than 80 megapixels.
        MemoryError: names the image; with more memory it may be a good one.
    """
    return read_with(pixels.rgb, file, name)


def read_with(
    convert: Callable[[Image.Image, bytes | None], T],
    file: str | Path | bytes,
    name: str = "image",
) -> T:
    """What `convert` makes of the decoded image of Pillow and its ICC profile.

    Args and errors as of `read`.
    """
    name = name if isinstance(file, bytes) else str(file)
    try:
        data = file if isinstance(file, bytes) else read_bytes(file)
        profile = None
        if data.startswith(png_chunks.SIGNATURE):
            data, profile = png_chunks.split(data)
        image = _open(data)
        _check_size(*image.size)
        _decode(image)
        return convert(image, profile or image.info.get("icc_profile"))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    except MemoryError:
        raise MemoryError(
            f"{name}: not enough memory to read this image; close other programs, read "
            "fewer at a time or scale the image down"
        ) from None


def read_bytes(path: str | Path) -> bytes:
    """The content of a file, which may be of any kind, even one that never ends.

    Raises:
        ValueError: the file cannot be read; the text does not name it.
    """
    path = Path(path)
    try:
        status = path.stat()
        if what := special(status.st_mode):
            raise ValueError(f"got {what}, expected an image file")
        if status.st_size > _MOST_BYTES:
            raise ValueError(
                f"got {status.st_size} bytes, expected at most {_MOST_BYTES}"
            )
        return path.read_bytes()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ValueError(f"{why}, expected an image file") from error


def named_bytes(file: str | Path | bytes, name: str) -> tuple[bytes, str]:
    """The content of a file and what to call it.

    Args:
        file: a path, which is its own name; or the content of the file `name`.

    Raises:
        ValueError: the file cannot be read; names it.
    """
    if isinstance(file, bytes):
        return file, name
    try:
        return read_bytes(file), str(file)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def special(mode: int) -> str:
    """The kind of a special file by its mode, as "a pipe"; "" for a regular file."""
    names = {
        stat.S_IFREG: "",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
    }
    return names.get(stat.S_IFMT(mode), "a device")


def _open(data: bytes) -> Image.Image:
    size = _webp_size(data)
    if size and min(size):  # the decoder would take the memory before it tells
        _check_size(*size)
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise ValueError(f"{error}; scale it down first") from None
    except Exception as error:  # of data that is no image: whatever a decoder raises
        _check_memory(*size or (0, 0))
        raise ValueError(kinds.instead(data)) from error
    if image.format == "TIFF":
        _check_tiff(image)
    if image.format == "PNG" and (color := image.info.get("transparency")) is not None:
        image.info["transparency"] = png_chunks.hidden_color(data, color)
    return image


def _check_tiff(image: Image.Image) -> None:
    if image.info.get("compression") not in _TIFF_COMPRESSIONS:
        raise ValueError(
            f"a TIFF of the compression {image.info.get('compression')}, which is not "
            "read; convert it to PNG or JPEG"
        )
    preview = image.tag_v2.get(_SUBFILE_TYPE, 0)
    if isinstance(preview, int) and preview & 1:  # the others are of raw photographs
        raise ValueError("only a small preview can be read; convert it to PNG or JPEG")


def _decode(image: Image.Image) -> None:
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # of damaged data: whatever a decoder raises
        if "out of memory" in str(error):
            raise MemoryError from None
        _check_memory(*image.size)
        raise ValueError(
            f"damaged or cut off ({error}); fetch or save it again"
        ) from error


def _check_memory(width: int, height: int) -> None:
    """Raises MemoryError where a decoder may have failed for lack of memory.

    The decoders of JPEG, WebP and TIFF report it as they report damaged data.
    """
    np.empty(width * height * _DECODER_BYTES, np.uint8)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) in the header of a WebP file, None for other files.

    https://developers.google.com/speed/webp/docs/riff_container
    """
    kind, header = data[12:16], data[20:30].ljust(10, b"\0")
    if kinds.known(data) != "WebP":
        return None
    if kind == b"VP8X":
        return _number(header[4:7]) + 1, _number(header[7:10]) + 1
    if kind == b"VP8L":
        bits = _number(header[1:5])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return _number(header[6:8]) & 0x3FFF, _number(header[8:10]) & 0x3FFF


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _check_size(width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise ValueError(
            f"got {width} x {height} pixels, expected at least {MIN_SIDE} on each "
            "side; use a larger image"
        )
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"got {width} x {height} pixels, expected at most "
            f"{MAX_PIXELS // 10**6} megapixels; scale it down first"
        )
