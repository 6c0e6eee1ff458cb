"""Reads images that were broken at random; none may end the program.

python scripts/reliability/broken_images.py --count 1000

Whole images of every format are bent, cut, mixed and patched, and read in a process of
their own, so that a crash of a C library and an endless loop are seen as well. Each
must be read, or be refused with an error of one line that names it. Prints the counts;
the exit code is 1 if anything else happened. The same seed breaks the same images.
"""

import argparse
import collections
import io
import os
import select
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from hyperstyle_jax import images

_SECONDS = 20  # for one image; whole ones of this size take milliseconds
_READ, _REFUSED, _NO_MEMORY, _WRONG = b"rfmx"


class Broken(NamedTuple):
    """A broken image, and how it came about."""

    name: str  # "0012_png_rgba_cut"
    data: bytes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for images that crashed")
    args = parser.parse_args()
    broken = list(broken_images(args.count, args.seed))
    outcomes, said = read_all(broken)
    names = {_READ: "read", _REFUSED: "refused with one line", _NO_MEMORY: "no memory"}
    counts = collections.Counter(names.get(o, "crashed") for o in outcomes)
    total = {name: counts[name] for name in (*names.values(), "crashed")}
    print(f"{len(broken)} broken images, seed {args.seed}:", total)
    print(f"lines that libtiff printed of its own: {len(said)}")
    crashed = [b for b, o in zip(broken, outcomes, strict=True) if o not in names]
    for one in crashed:
        print(f"crashed: {one.name}")
        if args.keep:
            args.keep.mkdir(parents=True, exist_ok=True)
            (args.keep / one.name).write_bytes(one.data)
    return 1 if crashed else 0


def broken_images(count: int, seed: int) -> Iterator[Broken]:
    """`count` broken images; the same for a seed."""
    rng = np.random.default_rng(seed)
    whole = whole_images(rng)
    kinds, changes = list(whole), list(_CHANGES.items())
    for i in range(count):
        kind = kinds[i % len(kinds)]
        data, names = whole[kind], []
        for _ in range(1 + rng.integers(2)):  # one change, or two of them
            name, change = changes[rng.integers(len(changes))]
            data = change(data or b"\0", rng, whole)
            names.append(name)
        yield Broken(f"{i:06d}_{kind}_{'_'.join(names)}", data)


def read_all(broken: list[Broken]) -> tuple[list[int], list[str]]:
    """Reads all, in as many processes one after the other as it takes.

    Returns:
        An outcome for each, and the lines that were printed meanwhile.
    """
    outcomes = []
    with tempfile.TemporaryFile() as said:
        while len(outcomes) < len(broken):
            outcomes += _read_until_death(broken[len(outcomes) :], said)
        said.seek(0)
        return outcomes, said.read().decode(errors="replace").splitlines()


def _read_until_death(broken: list[Broken], said) -> list[int]:
    """Reads in a child; if it dies or hangs, the image that it was at has crashed."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(said.fileno(), 2)
        for one in broken:
            os.write(into, bytes([outcome(one)]))
        os._exit(0)
    os.close(into)
    outcomes = []
    while len(outcomes) < len(broken):
        ready, _, _ = select.select([out], [], [], _SECONDS)
        byte = os.read(out, 1) if ready else b""
        if not byte:
            os.kill(child, 9)
            outcomes.append(_WRONG)
            break
        outcomes += byte
    os.close(out)
    os.waitpid(child, 0)
    return outcomes


def outcome(broken: Broken) -> int:
    """What reading does; anything but an image or one line is wrong."""
    try:
        image = images.read(broken.data, broken.name)
    except ValueError as error:
        text = str(error)
        good = text.startswith(f"{broken.name}: ") and "\n" not in text
        return _REFUSED if good and len(text) < 400 else _WRONG
    except MemoryError as error:
        return _NO_MEMORY if str(error).startswith(f"{broken.name}: ") else _WRONG
    except BaseException as error:
        print(f"{broken.name}: {error!r}", file=sys.stderr, flush=True)
        return _WRONG
    height, width, channels = image.shape
    good = image.dtype == np.uint8 and channels == 3 and min(height, width) >= 16
    return _READ if good else _WRONG


def whole_images(rng: np.random.Generator) -> dict[str, bytes]:
    """Whole images of every format and of the modes, packings and notes that it has."""
    pixels = rng.integers(0, 256, (5, 6, 3), np.uint8)
    rgb = Image.fromarray(pixels).resize((48, 40), Image.Resampling.BICUBIC)
    grey, alpha = rgb.convert("L"), rgb.convert("RGBA")
    alpha.putalpha(grey)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = made[:24] + bytes(12) + made[36:]  # without the time of its making
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Raw profile type exif", "x" * 50, zip=True)
    notes.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>', zip=True)
    noted = {"exif": exif, "icc_profile": profile}
    frames = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    whole = {
        "png_rgb": (rgb, "PNG", {**noted, "pnginfo": notes}),
        "png_rgba": (alpha, "PNG", {}),
        "png_palette": (rgb.quantize(16), "PNG", {"transparency": 3}),
        "png_deep": (deep, "PNG", {"transparency": 257}),
        "png_bits": (rgb.convert("1"), "PNG", {}),
        "png_frames": (rgb, "PNG", frames),
        "jpeg": (rgb, "JPEG", noted),
        "jpeg_progressive": (rgb, "JPEG", {"progressive": True, "subsampling": 0}),
        "jpeg_cmyk": (rgb.convert("CMYK"), "JPEG", {}),
        "jpeg_grey": (grey, "JPEG", {"restart_marker_rows": 1}),
        "jpeg_two": (rgb, "MPO", frames),
        "webp": (rgb, "WEBP", noted),
        "webp_lossless": (alpha, "WEBP", {"lossless": True}),
        "webp_frames": (rgb, "WEBP", frames),
        "bmp": (rgb, "BMP", {}),
        "bmp_palette": (rgb.quantize(200), "BMP", {}),
        "gif": (rgb.quantize(32), "GIF", {"transparency": 1}),
        "gif_frames": (rgb, "GIF", frames),
        "tiff": (rgb, "TIFF", noted),
        "tiff_deep": (deep, "TIFF", {}),
        "tiff_lzw": (alpha, "TIFF", {"compression": "tiff_lzw"}),
        "tiff_deflate": (grey, "TIFF", {"compression": "tiff_deflate"}),
        "tiff_jpeg": (rgb, "TIFF", {"compression": "jpeg"}),
        "tiff_fax": (rgb.convert("1"), "TIFF", {"compression": "group4"}),
        "tiff_packed": (rgb.convert("CMYK"), "TIFF", {"compression": "packbits"}),
    }
    return {name: _encoded(*given) for name, given in whole.items()}


def _encoded(image: Image.Image, kind: str, options: dict) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _flip_bits(data, rng, whole):
    changed = np.frombuffer(data, np.uint8).copy()
    places = rng.integers(0, len(data), 1 + rng.integers(8))
    changed[places] ^= (1 << rng.integers(0, 8, len(places))).astype(np.uint8)
    return changed.tobytes()


def _change_bytes(data, rng, whole):
    changed = bytearray(data)
    for place in rng.integers(0, len(data), 1 + rng.integers(20)):
        changed[place] = rng.choice((0, 1, 127, 128, 255, rng.integers(256)))
    return bytes(changed)


def _change_header(data, rng, whole):
    return _change_bytes(data[:64], rng, whole) + data[64:]


def _cut(data, rng, whole):
    return data[: rng.integers(len(data))]


def _take_out(data, rng, whole):
    start, length = rng.integers(len(data)), rng.integers(1, 64)
    return data[:start] + data[start + length :]


def _put_in(data, rng, whole):
    start = rng.integers(len(data))
    return data[:start] + rng.bytes(rng.integers(1, 64)) + data[start:]


def _blank(data, rng, whole):
    start, length = rng.integers(len(data)), rng.integers(1, 200)
    return (data[:start] + bytes(length) + data[start + length :])[: len(data)]


def _repeat(data, rng, whole):
    start, end = sorted(rng.integers(0, len(data) + 1, 2))
    return data[:end] + data[start:end] * rng.integers(1, 4) + data[end:]


def _other_header(data, rng, whole):
    """The start of one format before the rest of another."""
    other = whole[list(whole)[rng.integers(len(whole))]]
    length = rng.integers(2, 64)
    return other[:length] + data[length:]


def _large_number(data, rng, whole):
    """A length, count or size that is far too large."""
    start = rng.integers(max(1, min(len(data), 400)))
    number = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f",
              b"\0\0\xff\xff", b"\x80\0\0\0")[rng.integers(5)]  # fmt: skip
    return data[:start] + number + data[start + 4 :]


def _mend_checksums(data, rng, whole):
    """A PNG file whose damage its checksums do not show."""
    changed, start = bytearray(_change_bytes(data, rng, whole)), 8
    while changed[:4] == b"\x89PNG" and start + 12 <= len(changed):
        length = int.from_bytes(changed[start : start + 4], "big")
        end = start + 8 + length
        if end + 4 > len(changed):
            break
        checksum = zlib.crc32(changed[start + 4 : end])
        changed[end : end + 4] = checksum.to_bytes(4, "big")
        start = end + 4
    return bytes(changed)


_CHANGES: dict[str, Callable] = {
    "bits": _flip_bits,
    "bytes": _change_bytes,
    "header": _change_header,
    "cut": _cut,
    "out": _take_out,
    "in": _put_in,
    "blank": _blank,
    "repeat": _repeat,
    "other": _other_header,
    "large": _large_number,
    "checksums": _mend_checksums,
}

if __name__ == "__main__":
    sys.exit(main())
