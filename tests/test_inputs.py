"""The batches that a config describes."""

import numpy as np
import pytest

from hyperstyle_jax import config as cfg
from hyperstyle_jax import images
from hyperstyle_jax.training import inputs


@pytest.fixture
def config(tmp_path):
    c = cfg.base("gan")
    c.batch_size, c.data.size, c.data.cache_dir = 4, 16, ""
    c.data.train, c.data.eval = (0, 12), (1_000_000, 1_000_006)
    return c


@pytest.fixture
def folder(tmp_path, config):
    draw = np.random.default_rng(0)
    for i in range(10):
        picture = draw.integers(0, 255, (20, 24, 3), dtype=np.uint8)
        images.save_png(tmp_path / "pictures" / f"{i}.png", picture)
    config.data.kind, config.data.path = "folder", str(tmp_path / "pictures")
    config.data.cache_dir = str(tmp_path / "cache")
    config.data.train, config.data.eval = (0, 6), (6, 100)
    return config


def test_faces(config):
    train, evaluation = inputs.make_data(config)
    batch = next(train)
    assert batch["image"].shape == (4, 16, 16, 3)
    assert {"index", "latent", "identity", "attributes"} <= batch.keys()
    found = [b["index"] for b in evaluation()]
    assert [len(x) for x in found] == [4, 2]
    assert np.concatenate(found).tolist() == list(range(1_000_000, 1_000_006))
    assert len(list(evaluation())) == 2  # starts anew


def test_training_goes_on_where_it_stopped(config):
    config.data.flip = True
    train, _ = inputs.make_data(config)
    for _ in range(5):
        next(train)
    state = train.get_state()
    expected = [next(train) for _ in range(3)]
    again, _ = inputs.make_data(config)
    again.set_state(state)
    for want in expected:
        got = next(again)
        for name in want:
            np.testing.assert_array_equal(got[name], want[name])


def test_a_cache_changes_nothing(config, tmp_path):
    drawn = next(inputs.make_data(config)[0])
    config.data.cache_dir = str(tmp_path)
    cached = next(inputs.make_data(config)[0])
    for name in drawn:
        np.testing.assert_array_equal(cached[name], drawn[name])


def test_a_folder_in_two_parts(folder):
    train, evaluation = inputs.make_data(folder)
    seen = {int(i) for _ in range(6) for i in next(train)["index"]}
    held_out = {int(i) for batch in evaluation() for i in batch["index"]}
    assert seen <= set(range(6)) and held_out == {6, 7, 8, 9}


def test_mistakes(folder):
    folder.data.eval = (10, 20)
    with pytest.raises(ValueError, match="data.eval is .10, 20., but .* 10 pictures"):
        inputs.make_data(folder)
    folder.data.eval = (6, 10)
    folder.data.path = str(inputs._records(folder.data)._path)
    folder.data.kind, folder.data.size = "tfds", 32
    with pytest.raises(ValueError, match="data.size is 32, but .* are 16 x 16"):
        inputs.make_data(folder)
