"""The batches that a config describes."""

import numpy as np
import pytest

from hyperstyle_jax import images
from hyperstyle_jax.config import checks
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.data import preparing
from hyperstyle_jax.training import inputs


@pytest.fixture
def config(tmp_path):
    c = cfg.base("recognition")
    c.batch_size, c.data.size, c.data.cache_dir = 4, 16, ""
    c.data.train, c.data.eval = (0, 12), (1_000_000, 1_000_006)
    return c


def fill(folder, names):
    for name in names:
        draw = np.random.default_rng([*name.encode()])
        image = draw.integers(0, 255, (20, 24, 3), dtype=np.uint8)
        images.save_png(folder / name, image)
    return folder


@pytest.fixture
def folder(tmp_path, config):
    names = [f"{i}.png" for i in range(10)]
    config.data.kind, config.data.path = "folder", str(fill(tmp_path / "in", names))
    config.data.cache_dir = str(tmp_path / "cache")
    config.data.train, config.data.eval = (0, 6), (6, 100)
    return config


@pytest.fixture
def prepared(tmp_path, config):
    """A data set with a test split, wider than high."""
    names = [f"cars_{s}/{s}{i}.png" for s in ("train", "test") for i in range(5)]
    source = fill(tmp_path / "in", names)
    out = tmp_path / "cars"
    preparing.prepare("stanford-cars", [str(source)], out, 20, 16, accept_partial=True)
    config.data.update(kind="tfds", path=str(out), size=20, height=16)
    config.data.update(train=(0, 100), eval=(0, 100), eval_split="test")
    checks.check(config)
    return config


def held_out(config) -> int:
    return sum(len(b["index"]) for b in inputs.make_data(config)[1]())


def test_faces(config):
    train, evaluation = inputs.make_data(config)
    batch = next(train)
    assert batch["image"].shape == (4, 16, 16, 3)
    assert {"index", "latent", "identity", "attributes"} <= batch.keys()
    indices = [b["index"] for b in evaluation()]
    assert [len(x) for x in indices] == [4, 2]
    assert np.concatenate(indices).tolist() == list(range(1_000_000, 1_000_006))
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
    rest = {int(i) for batch in evaluation() for i in batch["index"]}
    assert seen <= set(range(6)) and rest == {6, 7, 8, 9}


def test_two_folders_and_zip_files(folder, tmp_path):
    import shutil

    other = fill(tmp_path / "other", ["a.png", "b.png"])
    folder.data.eval_path = shutil.make_archive(str(tmp_path / "z"), "zip", other)
    folder.data.eval = (0, 100)
    checks.check(folder)
    assert held_out(folder) == 2


def test_splits_of_images_wider_than_high(prepared):
    train, _ = inputs.make_data(prepared)
    batch = next(train)
    assert batch["image"].shape == (4, 16, 20, 3)
    assert held_out(prepared) == 5
    prepared.data.eval_split = "validation"
    with pytest.raises(ValueError, match="no split 'validation', but test, train"):
        inputs.make_data(prepared)


def test_the_log_gets_rates_and_what_cannot_be_read(prepared):
    from pathlib import Path

    file = next(Path(prepared.data.path).glob("*-test.array_record*"))
    data = bytearray(file.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 255
    file.write_bytes(data)
    train, evaluation = inputs.make_data(prepared)
    next(train)
    assert sum(len(b["index"]) for b in evaluation()) == 4
    numbers, lines = train.report()
    assert numbers["data_images_per_second_per_core"] > 0
    assert numbers["data_unreadable"] == 1
    assert len(lines) == 1 and "record 0" in lines[0]
    assert train.report()[1] == []


def test_a_image_in_both_parts(folder, tmp_path, capsys):
    """Found by its pixels, though the files differ; refused, or left out."""
    same = images.read(tmp_path / "in" / "2.png")
    from PIL import Image

    Image.fromarray(same).save(tmp_path / "in" / "9.png", compress_level=1)
    with pytest.raises(ValueError, match=r"1 images are in .*in: 2.png = .*in: 9.png"):
        inputs.make_data(folder)
    folder.data.leaks = "drop"
    train, _ = inputs.make_data(folder)
    assert "1 images are left out of training" in capsys.readouterr().err
    seen = {int(i) for _ in range(10) for i in next(train)["index"]}
    assert seen == {0, 1, 3, 4, 5}


def test_one_image_in_two_folders(folder, tmp_path):
    folder.data.eval_path = str(fill(tmp_path / "other", ["a.png", "3.png"]))
    folder.data.eval = (0, 100)
    with pytest.raises(ValueError, match="in: 3.png = .*other: 3.png"):
        inputs.make_data(folder)


def test_mistakes(folder):
    folder.data.eval = (10, 20)
    with pytest.raises(ValueError, match="data.eval is .10, 20., but .* 10 images"):
        inputs.make_data(folder)
    folder.data.eval = (6, 10)
    folder.data.path = inputs.records_path(folder.data, folder.data.path)
    folder.data.kind, folder.data.size = "tfds", 32
    with pytest.raises(ValueError, match="images of 32 x 32 .* are 16 x 16"):
        inputs.make_data(folder)


def test_images_in_memory_come_in_the_same_batches(folder):
    folder.data.flip = True
    read = inputs.make_data(folder)[0]
    folder.data.in_memory = True
    kept = inputs.make_data(folder)[0]
    for _ in range(4):
        a, b = next(read), next(kept)
        assert a.keys() == b.keys()
        for name, values in a.items():
            np.testing.assert_array_equal(values, b[name])
