"""Folders of images that a run prepares for itself."""

import numpy as np
import pytest

from hyperstyle_jax import images
from hyperstyle_jax.data import builders, preparing, shard_files
from hyperstyle_jax.data.examples import RecordSource


@pytest.fixture
def photos(tmp_path):
    """Nine images in two folders, and two broken ones."""
    folder = tmp_path / "My photos (1)"
    for i in range(9):
        image = np.full((20 + i, 30, 3), 20 * i, np.uint8)
        images.save_png(folder / ("sub" if i % 2 else ".") / f"{i}.png", image)
    (folder / "broken.png").write_text("no image")
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    return folder


def test_folder_skips_and_lists_what_it_cannot_read(photos, tmp_path, capsys):
    path = preparing.prepare_folder(photos, tmp_path / "data", 16)
    assert set(shard_files.skipped(path)) == {"broken.png", "cut.jpg"}
    assert "skipped 2 of 11 files" in capsys.readouterr().out
    records = RecordSource(path)
    batch = records.take(np.arange(len(records)))
    assert batch["image"].shape == (9, 16, 16, 3)
    assert batch["index"].tolist() == list(range(9))
    for name, image in zip(records.names(), batch["image"], strict=True):
        np.testing.assert_array_equal(
            image, images.fit(images.read(photos / name), 16, 16)
        )
    preparing.prepare_folder(photos, tmp_path / "data", 16)
    assert "broken.png" in capsys.readouterr().out  # said again when reused


def test_a_changed_folder_is_prepared_anew(photos, tmp_path):
    before = preparing.prepare_folder(photos, tmp_path / "data", 16)
    images.save_png(photos / "new.png", np.zeros((20, 20, 3), np.uint8))
    after = preparing.prepare_folder(photos, tmp_path / "data", 16)
    assert before != after and len(RecordSource(after)) == 10


def test_bad_folders(photos, tmp_path):
    with pytest.raises(ValueError, match="expected a folder or a zip"):
        preparing.prepare_folder(tmp_path / "none", tmp_path / "data", 16)
    for path in photos.rglob("*.png"):
        path.write_text("no image")
    with pytest.raises(ValueError, match="no readable image"):
        preparing.prepare_folder(photos, tmp_path / "data", 16)
    with pytest.raises(ValueError, match="not a prepared data set"):
        len(RecordSource(tmp_path / "none"))
    with pytest.raises(ValueError, match="first < end"):
        builders.prepare_faces(tmp_path, (5, 5), 16)
