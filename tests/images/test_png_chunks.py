"""What a PNG file may carry besides its pixels, and what of it may be broken."""

import zlib

import numpy as np
import png
import pytest
from gradient import gradient
from PIL import Image

from hyperstyle_jax import images
from hyperstyle_jax.images import png_chunks

WHOLE = images.encode_png(gradient())
LONG = zlib.compress(b'{"node": 1}, ' * 200_000)


@pytest.mark.parametrize(
    "extra",
    [
        png.chunk(b"tEXt", b"workflow\0" + b"x" * 3_000_000),
        png.chunk(b"zTXt", b"workflow\0\0" + LONG),
        png.chunk(b"iTXt", b"workflow\0\1\0\0\0" + LONG),
        png.chunk(b"zTXt", b"XML:com.adobe.xmp\0\0" + LONG),
        png.chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG),
        png.chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2_000_000))),
        png.chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(99_000_000))),
        png.chunk(b"iCCP", b"x\0\0broken"),
        png.chunk(b"iCCP", b""),
        png.chunk(b"tEXt", b"a\0b", damage=1),
        png.chunk(b"iCCP", b"a\0b", damage=1),
        png.chunk(b"tRNS", b"123456", damage=1),
        png.chunk(b"gAMA", b"1"),
        png.chunk(b"pHYs", b"1"),
        png.chunk(b"eXIf", b"broken"),
        png.chunk(b"acTL", b""),
        png.chunk(b"prVt", b"of some program"),
        b"".join([png.chunk(b"zTXt", b"a\0\0" + LONG)] * 80),
    ],
)
def test_no_extra_costs_the_image(extra):
    for data in (png.insert(WHOLE, extra), WHOLE[:-12] + extra + WHOLE[-12:]):
        np.testing.assert_array_equal(images.read(data), gradient())


def test_a_file_without_extras_is_not_copied():
    assert png_chunks.split(WHOLE)[0] is WHOLE


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
def test_damaged_pixels_are_found_by_their_checksum(kind):
    damaged = bytearray(WHOLE)
    damaged[WHOLE.index(kind) + 7] ^= 1
    with pytest.raises(ValueError, match="^a.png: damaged.*fetch or save it again"):
        images.read(bytes(damaged), "a.png")


@pytest.mark.parametrize("where", ["eXIf", "xmp", "raw"])
def test_orientation_is_kept(where):
    """However a program notes it."""
    exif = Image.Exif()
    exif[0x0112] = 3
    xmp = b'<x xmlns:tiff="t" tiff:Orientation="3"/>'
    raw = b"\nexif\n" + b"%8d\n" % len(exif.tobytes()) + exif.tobytes().hex().encode()
    chunks = {
        "eXIf": png.chunk(b"eXIf", exif.tobytes()[6:]),
        "xmp": png.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
        "raw": png.chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw)),
    }
    turned = images.read(png.insert(WHOLE, chunks[where]))
    np.testing.assert_array_equal(turned, np.rot90(gradient(), 2))
