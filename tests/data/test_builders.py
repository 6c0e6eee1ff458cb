"""Faces are prepared as a data set, which is opened again record by record."""

import shutil
import sys

import numpy as np
import pytest
from example_sources import same

from hyperstyle_jax import faces
from hyperstyle_jax.data import builders
from hyperstyle_jax.data.examples import FaceSource, RecordSource


def test_prepared_faces_are_the_drawn_ones(faces_dir):
    records = RecordSource(faces_dir)
    drawn = FaceSource((10, 33), 16, seed=2, images_per_identity=3)
    assert len(records) == len(drawn) == 23
    positions = np.array([4, 0, 22])
    a, b = records.take(positions), drawn.take(positions)
    assert same(a, b)
    assert {k: v.dtype for k, v in a.items()} == {k: v.dtype for k, v in b.items()}
    assert a["index"].tolist() == [14, 10, 32]
    assert a["identity"].tolist() == [4, 3, 10]


def test_prepared_data_is_reused(faces_dir, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("drawn again")

    monkeypatch.setattr(faces, "draw", refuse)
    root = faces_dir.parents[2]
    again = builders.prepare_faces(root, (10, 33), 16, seed=2, images_per_identity=3)
    assert again == faces_dir


def test_interrupted_preparation_starts_over(tmp_path, monkeypatch):
    draw = faces.draw

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(faces, "draw", stop)
    with pytest.raises(KeyboardInterrupt):
        builders.prepare_faces(tmp_path, (0, 4), 16)
    monkeypatch.setattr(faces, "draw", draw)
    assert len(RecordSource(builders.prepare_faces(tmp_path, (0, 4), 16))) == 4


def test_accessories_are_another_data_set(tmp_path):
    paths = [
        builders.prepare_faces(tmp_path, (0, 4), 32, accessories=a) for a in (0, 1)
    ]
    plain, worn = (RecordSource(p).take(np.arange(4)) for p in paths)
    assert (plain["image"] != worn["image"]).any() and paths[0] != paths[1]


def test_styles_are_data_sets_of_their_own(tmp_path):
    paths = [
        builders.prepare_faces(tmp_path, (0, 4), 32, style=s)
        for s in ("portrait", "cartoon")
    ]
    portraits, cartoons = (RecordSource(p).take(np.arange(4)) for p in paths)
    assert (portraits["image"] != cartoons["image"]).any() and paths[0] != paths[1]
    np.testing.assert_array_equal(portraits["latent"], cartoons["latent"])


def test_no_tensorflow(faces_dir):
    RecordSource(faces_dir).take(np.arange(2))
    assert "tensorflow" not in sys.modules


def test_a_missing_record_file_is_reported(faces_dir, tmp_path):
    copy = shutil.copytree(faces_dir, tmp_path / "copy")
    next(copy.glob("*array_record*")).unlink()
    with pytest.raises(Exception, match="array_record|No such|not found"):
        RecordSource(copy).take(np.arange(1))
