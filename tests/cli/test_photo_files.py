"""Which photos `hyperstyle invert` takes, and names of what it writes."""

import os
import zipfile
from pathlib import Path

import pytest

from hyperstyle_jax.cli import photo_files
from hyperstyle_jax.cli.names import unique_names


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_files_folders_and_zip_files_each_photo_once(tmp_path):
    folder = fill(tmp_path / "in", "a.png", "b/c.jpg", "d.heic")
    (tmp_path / "link").symlink_to(folder)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("./e.png", b"")
    inputs = [folder / "a.png", folder, tmp_path / "link", tmp_path / "set.zip"]
    photos = photo_files.collect(inputs, tmp_path / "out")
    expected = [folder / "a.png", folder / "b/c.jpg", tmp_path / "set.zip/e.png"]
    assert [file.path for file in photos.files] == list(map(str, expected))
    assert not photos.failed and photos.left_out == {".heic": 1}


def test_what_fails_is_named_and_the_rest_is_taken(tmp_path):
    folder = fill(tmp_path / "in", "a.png", "x.png/b.png")
    os.mkfifo(folder / "pipe.png")
    (tmp_path / "empty").mkdir()
    inputs = [folder, tmp_path / "none.png", tmp_path / "empty", folder / "pipe.png"]
    photos = photo_files.collect(inputs, tmp_path / "out")
    assert [file.name for file in photos.files] == ["a.png"]
    reasons = {Path(path).name: why for path, why in photos.failed.items()}
    assert "got nothing, expected a folder or a zip file" in reasons.pop("none.png")
    assert "empty: no image in it, expected .png, .jpg" in reasons.pop("empty")
    assert reasons == {
        "pipe.png": "a pipe, not an image",
        "x.png": "a folder, not an image",
    }


def test_results_are_no_photos(tmp_path):
    folder = fill(tmp_path / "in", "a.png", "out/a.png", "out/a_iterations.png")
    out = folder / "out"
    photos = photo_files.collect([folder], out)
    assert [file.name for file in photos.files] == ["a.png"] and not photos.failed
    photos = photo_files.collect([folder, out / "a.png"], out)
    assert [file.name for file in photos.files] == ["a.png", "out/a.png"]
    with pytest.raises(ValueError, match="out: only images of this folder of results"):
        photo_files.collect([out], out)


def test_nothing_to_read_is_one_error(tmp_path):
    folder = fill(tmp_path / "in", "a.heic")
    with pytest.raises(ValueError, match="in: no image in it.*left out: 1 .heic"):
        photo_files.collect([folder], tmp_path / "out")


def test_long_names_leave_room_for_endings():
    """File systems take 255 bytes; a letter may have several."""
    long = ["n" * 245, "n" * 244 + "m", "é" * 122, "n" * 200, "short"]
    names = unique_names([Path(f"{name}.png") for name in long], ("", "_iterations"))
    assert len(set(names)) == len(long) and names[3:] == long[3:]
    assert max(len(name.encode()) for name in names) <= 200
    assert names[0].startswith("n" * 150) and names[2].startswith("é" * 90)
