import errno
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hyperstyle_jax import images


def image(height=24, width=32):
    """A smooth image whose corners all differ."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.rint(np.stack([x, y, (x + y) / 2], -1) * 200 + 20).astype(np.uint8)


def save(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def test_png_is_read_exactly(tmp_path):
    path = images.save_png(tmp_path / "new" / "a.png", image())
    np.testing.assert_array_equal(images.read(path), image())
    np.testing.assert_array_equal(images.read(path.read_bytes()), image())


@pytest.mark.parametrize(
    "name, options",
    [
        ("a.jpg", {"quality": 95, "subsampling": 0}),
        ("a.webp", {"quality": 95}),
        ("a.webp", {"lossless": True}),
    ],
)
def test_lossy_formats(tmp_path, name, options):
    read = images.read(save(tmp_path / name, image(), **options))
    assert np.abs(read.astype(int) - image()).mean() < 4


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
    Image.fromarray(image()).save(path, quality=100, subsampling=0, exif=exif)
    read, upright = images.read(path), turn(image())
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).max() < 12


def test_cmyk(tmp_path):
    read = images.read(save(tmp_path / "a.jpg", image(), "CMYK", quality=100))
    assert read.shape == (24, 32, 3)
    assert np.abs(read.astype(int) - image()).mean() < 4


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
    read = images.read(save(tmp_path / "a.png", image(), mode))
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
    jpeg = save(folder / "whole.jpg", image(200, 200)).read_bytes()
    bomb = io.BytesIO()
    Image.new("1", (30000, 30000)).save(bomb, format="PNG")
    contents = {
        "text.png": b"this is a letter, not an image\n" * 20,
        "empty.png": b"",
        "cut.png": whole[: len(whole) // 2],
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "header.png": whole[:20],
        "bomb.png": bomb.getvalue(),
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
        images.encode_png(image()),
        save(tmp_path / "a.jpg", image()).read_bytes(),
        save(tmp_path / "a.webp", image()).read_bytes(),
    ]
    for data in good * 60:
        damaged = np.frombuffer(data, np.uint8).copy()
        where = rng.integers(0, len(damaged), 6)
        damaged[where] = rng.integers(0, 256, 6)
        try:
            images.read(damaged.tobytes())
        except ValueError:
            pass


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        images.read(tmp_path / "none.png")
    with pytest.raises(ValueError, match="expected a folder"):
        images.find(tmp_path / "none")
    with pytest.raises(ValueError, match="no image in it"):
        images.find(tmp_path)


def test_find_is_recursive_and_sorted(tmp_path):
    names = ["b.PNG", "a.jpg", "sub/c.webp", "sub/deep/d.jpeg"]
    for name in [*names, "notes.txt", ".hidden.png", "sub/.trash/e.png"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    found = [str(path.relative_to(tmp_path)) for path in images.find(tmp_path)]
    assert sorted(found) == sorted(names) and found == sorted(found)


def test_crop_takes_the_centre():
    assert images.crop(image(20, 40)).shape == (20, 20, 3)
    np.testing.assert_array_equal(images.crop(image(40, 20)), image(40, 20)[10:30])


def test_resize_is_antialiased_and_keeps_constants():
    checker = np.indices((64, 64)).sum(0) % 2 * 255
    image = np.repeat(checker[..., None], 3, -1).astype(np.uint8)
    small = images.resize(image, 16, 16)[2:-2, 2:-2]
    assert np.abs(small.astype(int) - 127.5).max() < 3
    flat = np.full((30, 20, 3), 77, np.uint8)
    assert (images.resize(flat, 7, 90) == 77).all()


def test_uint8_round_trip_is_exact_and_rounds():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, -1)
    floats = images.to_float(levels)
    assert floats.dtype == np.float32 and floats.min() == -1 and floats.max() == 1
    np.testing.assert_array_equal(images.to_uint8(floats), levels)
    np.testing.assert_array_equal(images.to_uint8(floats + 0.0038), levels)
    assert images.to_uint8(np.array([-7.0, 7.0])).tolist() == [0, 255]
    with pytest.raises(ValueError, match="NaN"):
        images.to_uint8(np.array([np.nan]))


def test_grid_places_every_image():
    rows = [
        [np.full((32, 32, 3), 10 * r + c, np.uint8) for c in range(3 - r)]
        for r in range(2)
    ]
    plain = images.grid(rows, gap=2)
    assert plain.shape == (2 + 2 * 34, 2 + 3 * 34, 3)
    labelled = images.grid(
        rows, ["target", "first", "a very long label"], ["x", "y"], scale=2
    )
    for value in (0, 1, 2, 10, 11):
        assert (labelled == value).all(-1).sum() >= 64 * 64
        assert (plain == value).all(-1).sum() == 32 * 32
    with pytest.raises(ValueError, match="one size"):
        images.grid([[image(), image(20, 20)]])


def test_error_map_grows_with_the_error():
    a = np.zeros((3, 20, 20, 3), np.uint8)
    b = a + np.array([0, 20, 60], np.uint8)[:, None, None, None]
    brightness = images.error_map(a, b).astype(int).sum((1, 2, 3))
    assert brightness[0] < brightness[1] < brightness[2]
    np.testing.assert_array_equal(
        images.error_map(images.to_float(a), b), images.error_map(a, b)
    )
    with pytest.raises(ValueError, match="one size"):
        images.error_map(a, b[:, :10])


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = images.save_png(tmp_path / "a.png", image())
    before = path.read_bytes()

    def full(self, data):
        self.open("wb").write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="could not write .No space left.*a.png"):
        images.save_png(path, image() // 2)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
