"""Image files of every kind, whole, odd and damaged."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import png
import pytest
from gradient import gradient
from PIL import Image, ImageFile

from hyperstyle_jax import images
from hyperstyle_jax.images import reading


def save(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def test_png_is_read_exactly(tmp_path):
    path = images.save_png(tmp_path / "new" / "a.png", gradient())
    np.testing.assert_array_equal(images.read(path), gradient())
    np.testing.assert_array_equal(images.read(path.read_bytes()), gradient())


@pytest.mark.parametrize(
    "name, options",
    [
        ("a.jpg", {"quality": 95, "subsampling": 0}),
        ("a.webp", {"quality": 95}),
        ("a.webp", {"lossless": True}),
    ],
)
def test_lossy_formats(tmp_path, name, options):
    read = images.read(save(tmp_path / name, gradient(), **options))
    assert np.abs(read.astype(int) - gradient()).mean() < 4


@pytest.mark.parametrize(
    "orientation, turn",
    [
        (3, lambda a: np.rot90(a, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (8, lambda a: np.rot90(a, 1)),
        (2, lambda a: a[:, ::-1]),
    ],
)
def test_exif_turns_upright(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    Image.fromarray(gradient()).save(path, quality=100, subsampling=0, exif=exif)
    read, upright = images.read(path), turn(gradient())
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).max() < 12


def test_cmyk(tmp_path):
    read = images.read(save(tmp_path / "a.jpg", gradient(), "CMYK", quality=100))
    assert read.shape == (24, 32, 3)
    assert np.abs(read.astype(int) - gradient()).mean() < 4


def test_sixteen_bit_grey_keeps_its_range(tmp_path):
    deep = np.linspace(0, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)
    read = images.read(save(tmp_path / "a.png", deep))
    assert read.min() == 0 and read.max() == 255
    np.testing.assert_array_equal(read[..., 1], np.rint(deep / 257))


def test_dark_sixteen_bit_stays_dark(tmp_path):
    deep = np.full((24, 32), 200, np.uint16)
    assert images.read(save(tmp_path / "a.png", deep)).max() <= 1


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA"])
def test_modes_become_rgb(tmp_path, mode):
    read = images.read(save(tmp_path / "a.png", gradient(), mode))
    assert read.shape == (24, 32, 3) and read.dtype == np.uint8


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_lies_over_white(tmp_path, mode):
    image = Image.fromarray(np.zeros((20, 20, 3), np.uint8)).convert(mode)
    alpha = np.zeros((20, 20), np.uint8)
    alpha[:, 10:] = 255
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "a.png")
    read = images.read(tmp_path / "a.png")
    assert (read[:, :10] == 255).all() and (read[:, 10:] == 0).all()


def test_transparent_palette(tmp_path):
    image = Image.new("P", (20, 20), 0)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.paste(1, (0, 0, 10, 20))
    image.save(tmp_path / "a.png", transparency=0)
    read = images.read(tmp_path / "a.png")
    assert (read[0, 0] == (10, 200, 30)).all() and (read[0, 15] == 255).all()


def bad_files(folder: Path) -> dict[str, Path]:
    whole = images.encode_png(
        np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    )
    jpeg = save(folder / "whole.jpg", gradient(200, 200)).read_bytes()
    bomb = bytearray(whole)
    bomb[16:24] = struct.pack(">II", 30_000, 30_000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    contents = {
        "text.png": b"this is a letter, not an image\n" * 20,
        "empty.png": b"",
        "cut.png": whole[: len(whole) // 2],
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "header.png": whole[:20],
        "bomb.png": bomb,
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n",
        "small.png": images.encode_png(np.zeros((1, 1, 3), np.uint8)),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in contents}


def test_bad_files_are_one_line_errors(tmp_path):
    for name, path in bad_files(tmp_path).items():
        with pytest.raises(ValueError) as error:
            images.read(path)
        message = str(error.value)
        assert name in message and "\n" not in message, message


def test_damaged_bytes_never_escape_as_another_error(tmp_path):
    rng = np.random.default_rng(0)
    good = [
        images.encode_png(gradient()),
        save(tmp_path / "a.jpg", gradient()).read_bytes(),
        save(tmp_path / "a.webp", gradient()).read_bytes(),
    ]
    for data in good * 60:
        damaged = np.frombuffer(data, np.uint8).copy()
        where = rng.integers(0, len(damaged), 6)
        damaged[where] = rng.integers(0, 256, 6)
        try:
            images.read(damaged.tobytes())
        except ValueError:
            pass


def test_missing_and_endless_files(tmp_path):
    """A pipe waits for ever and a device never ends: neither is opened."""
    os.mkfifo(tmp_path / "pipe.png")
    cases = {
        tmp_path / "none.png": "none.png: no such file",
        tmp_path: "got a folder, expected an image file",
        tmp_path / "pipe.png": "pipe.png: got a pipe",
        "/dev/zero": "/dev/zero: got a device",
    }
    for path, message in cases.items():
        with pytest.raises(ValueError, match=message):
            images.read(path)


@pytest.mark.parametrize("start, message", [
    (b"\0\0\0\x18ftypheic", "a HEIC file, which is not read; convert it"),
    (b"\0\0\0\x1cftypavif", "an AVIF file, which is not read; convert it"),
    (b"<!DOCTYPE html>", "a web page, not an image; fetch the image itself"),
    (b"version https://git-lfs.github.com", "a pointer of Git LFS, not an image"),
    (b"\x89PNG\r\n\x1a\n", "a damaged or cut off PNG"),
    (b"RIFF\0\0\0\0WEBP", "a damaged or cut off WebP"),
    (b"letter", r"expected PNG, JPEG, WebP, BMP, GIF or TIFF\); leave it out"),
])  # fmt: skip
def test_what_a_file_is_instead(start, message):
    with pytest.raises(ValueError, match=f"^a.jpg: .*{message}"):
        images.read(start + bytes(40), "a.jpg")


@pytest.mark.parametrize("suffix", images.SUFFIXES)
def test_every_kind_that_is_promised(tmp_path, suffix):
    kind = Image.registered_extensions()[suffix]
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(kind, {})
    shown = images.read(save(tmp_path / f"a{suffix}", gradient(), **options))
    assert np.abs(shown.astype(int) - gradient()).mean() < 4


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "jpeg"])
def test_tiff_as_programs_write_it(tmp_path, compression):
    path = save(tmp_path / "a.tif", gradient(), compression=compression)
    assert np.abs(images.read(path).astype(int) - gradient()).mean() < 4


def test_tiff_of_a_fax_is_not_read(tmp_path):
    path = save(tmp_path / "a.tif", gradient(), "1", compression="group4")
    with pytest.raises(ValueError, match="a TIFF of the compression group4, which is"):
        images.read(path)


def test_phones_append_a_second_image(tmp_path):
    """A .jpg may hold several images (MPO); the first is the photo."""
    more = [Image.fromarray(gradient()[:16, :16])]
    image = Image.fromarray(gradient())
    image.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=more)
    assert images.read(tmp_path / "a.jpg").shape == gradient().shape


def test_a_raw_photographs_preview_is_no_photo(tmp_path):
    """Their first image is a small one; the photo itself is not read."""
    path = save(tmp_path / "a.tif", gradient(), tiffinfo={254: 1})
    with pytest.raises(ValueError, match="only a small preview"):
        images.read(path)


def test_numbers_without_a_known_range(tmp_path):
    for array, what in (
        (np.zeros((20, 20), np.float32), "of the kind F, which is not read"),
        (np.full((20, 20), 1 << 20, np.int32), "got grey values up to 1048576"),
    ):
        with pytest.raises(ValueError, match=what):
            images.read(save(tmp_path / "a.tif", array))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_one_level_of_grey_is_transparent(depth):
    """Levels 0 to the highest side by side, the fifth of them (or the last) hidden."""
    highest = 2**depth - 1
    levels = [i * highest // 31 for i in range(32)]
    bits = "".join(f"{level:0{depth}b}" for level in levels)
    rows = [int(bits, 2).to_bytes(len(bits) // 8, "big")] * 16
    hidden = levels[20]
    shown = images.read(png.file(32, rows, depth, 0, struct.pack(">H", hidden)))
    expected = [255 if v == hidden else round(v * 255 / highest) for v in levels]
    np.testing.assert_array_equal(shown[0, :, 0], expected)


@pytest.mark.parametrize("depth", [8, 16])
def test_one_color_is_transparent(depth):
    highest, form = 2**depth - 1, ">3B" if depth == 8 else ">3H"
    colors = [(i * highest // 31, highest // 5, highest - i) for i in range(32)]
    rows = [b"".join(struct.pack(form, *color) for color in colors)] * 16
    shown = images.read(png.file(32, rows, depth, 2, struct.pack(">3H", *colors[7])))
    assert (shown[:, 7] == 255).all()
    expected = np.array(colors[:7]) * 255 / highest
    assert np.abs(shown[0, :7] - expected).max() < 1


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_note_of_the_camera_costs_no_image(tmp_path):
    for note in (b"", b"MM\0*\0\0\0\x08\xff\xff", b"x" * 99):
        path = save(tmp_path / "a.jpg", gradient(), exif=b"Exif\0\0" + note)
        assert images.read(path).shape == gradient().shape


# --- memory


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif"])
def test_too_little_memory_is_never_damage(tmp_path, kind, monkeypatch):
    """Pillow raises MemoryError, or what it raises of damaged data."""
    path = save(tmp_path / f"a.{kind}", gradient())

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(MemoryError, match=f"a.{kind}: not enough memory"):
        images.read(path)


def test_an_unclear_failure_is_put_down_to_memory_if_there_is_too_little(
    tmp_path, monkeypatch
):
    """libjpeg calls both "broken data": whether its pixels fit decides."""
    path = save(tmp_path / "a.jpg", gradient())

    def fail(*_):
        raise OSError("broken data stream when reading image file")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(ValueError, match="a.jpg: damaged"):
        images.read(path)
    monkeypatch.setattr(reading, "_DECODER_BYTES", 1 << 50)
    with pytest.raises(MemoryError, match="a.jpg: not enough memory"):
        images.read(path)


def test_a_large_webp_is_refused_before_it_takes_memory():
    """By all three headers that the format has."""
    sizes = {
        b"VP8X": bytes(4) + (9999).to_bytes(3, "little") * 2,
        b"VP8L": b"\x2f" + (9999 | 9999 << 14).to_bytes(4, "little"),
        b"VP8 ": bytes(3) + b"\x9d\x01\x2a" + (10000).to_bytes(2, "little") * 2,
    }
    for kind, header in sizes.items():
        data = b"RIFF\0\0\0\0WEBP" + kind + bytes(4) + header + bytes(9)
        with pytest.raises(ValueError, match="got 10000 x 10000 pixels"):
            images.read(data)
