"""Stored initial inversions are those that training would make itself."""

from functools import partial

import jax
import numpy as np
import pytest
import tasks
from command import error_of, photo
from paths import ROOT

from hyperstyle_jax import images, trees
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.config import reading
from hyperstyle_jax.data import preparing
from hyperstyle_jax.data.examples import RecordSource
from hyperstyle_jax.offsets import to_w_plus
from hyperstyle_jax.training import (
    from_config,
    hyperstyle,
    inputs,
    iterations,
    pre_extract,
    run,
    sources,
)

COUNT = 22  # two files, and the last batch of each is short


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for i in range(COUNT):
        images.save_png(folder / "in" / f"{i:02d}.png", photo(i))
    preparing.prepare("folder", [str(folder / "in")], folder / "set", 16, 16,
        eval_count=3)  # fmt: skip
    return folder


def tiny(path):
    config = tasks.tiny("hyperstyle")
    config.model.generator.resolution = 16
    config.data.update(kind="tfds", path=str(path), size=16, flip=True)
    config.data.update(train=(0, 100), eval=(0, 100), eval_split="test")
    config.loss.update(lpips=0.0, id=0.0)
    config.num_devices, config.num_iters = 2, 1
    return config


@pytest.fixture(scope="module", autouse=True)
def small():
    """16 images a file; and a generator whose images stay within [-2, 2]."""
    functions = {"generator": from_config.load_generator,
                 "encoder": from_config.load_encoder}  # fmt: skip
    known = {}

    def once(name, config, load):  # to draw weights takes seconds
        if (name, config.seed) not in known:
            net = functions[name](config, load)
            params = trees.flatten(net.params)
            scaled = {k: 0.2 * v if "torgb" in k else v for k, v in params.items()}
            known[name, config.seed] = net.with_params(trees.unflatten(scaled))
        return known[name, config.seed]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pre_extract, "_SHARD_PIXELS", 0)
        for name in functions:
            patch.setattr(from_config, f"load_{name}", partial(once, name))
        yield


def networks(config):
    return {
        "generator": from_config.load_generator(config, sources.bundle_networks),
        "encoder": from_config.load_encoder(config, sources.bundle_networks),
    }


@pytest.fixture
def cheap(monkeypatch):
    """Another "inversion" that compiles at once."""

    def first(frozen, batch, dtype):
        x = batch["image"]
        return to_w_plus(x.mean((1, 2)), 2), x / 2

    monkeypatch.setattr(iterations, "initial_inversion", first)


@pytest.fixture(scope="module")
def stored(data):
    pre_extract.run(tiny(data / "set"), data / "inverted")
    return data / "inverted"


def test_the_images_are_the_same_in_the_same_order(data, stored):
    for split in ("train", "test"):
        a, b = (RecordSource(p, split) for p in (data / "set", stored))
        assert a.names() == b.names() and a.image_sums() == b.image_sums()
        every = np.arange(len(a))
        x, y = a.take(every), b.take(every)
        np.testing.assert_array_equal(x["image"], y["image"])
        assert y["w"].shape == (len(a), 6) and y["inversion"].dtype == np.int16


def test_training_from_it_equals_training_on_the_fly(data, stored):
    """The same images, flips and initial inversions, and so the same steps."""
    config, other = tiny(data / "set"), tiny(stored)
    task = hyperstyle.make_task(config)
    pre_extract.check(other, task.frozen)
    first = jax.jit(iterations.initial_inversion)
    (fresh, _), (again, _) = (inputs.make_data(c) for c in (config, other))
    flips = 0
    for _ in range(3):
        a, b = next(fresh), next(again)
        np.testing.assert_array_equal(a["image"], b["image"])
        assert b.keys() == a.keys() | {"w", "inversion"}
        x = images.to_float(a["image"])
        ours, theirs = first(task.frozen, a | {"image": x}), first(task.frozen, b)
        np.testing.assert_allclose(theirs[0], ours[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(theirs[1], ours[1], atol=1e-4)
        plain = RecordSource(stored).take(b["index"])
        flips += int((plain["inversion"] != b["inversion"]).any((1, 2, 3)).sum())
    assert 0 < flips < 12
    (mine, metrics), (others, metrics2) = (
        tasks.train(task, config, 2, examples=batch) for batch in (a, b)
    )
    for one, two in zip(metrics, metrics2, strict=True):
        assert two == pytest.approx(one, rel=1e-3)
    flat = trees.flatten(others["params"])
    for path, value in trees.flatten(mine["params"]).items():
        np.testing.assert_allclose(flat[path], value, atol=1e-4, err_msg=path)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("name", ["set", "inverted"])
def test_a_dry_run_knows_of_it(data, stored, name, flip):
    config = tiny(data / name)
    config.data.flip = flip
    drawn = next(inputs.make_data(config)[0])
    assert ("inversion" in drawn) == (name == "inverted")
    assert run.batch_shapes(config) == jax.eval_shape(lambda: drawn)
    config.data.path = str(data / "elsewhere")
    assert run.batch_shapes(config).keys() == {"image", "index"}


def test_interrupted_it_goes_on(data, cheap, tmp_path, monkeypatch):
    whole = pre_extract.run(tiny(data / "set"), tmp_path / "whole")
    made, inverted = pre_extract._made_examples, []

    def stop(source, rows, positions, *rest):
        if positions[0]:
            raise KeyboardInterrupt
        return made(source, rows, positions, *rest)

    monkeypatch.setattr(pre_extract, "_made_examples", stop)
    with pytest.raises(KeyboardInterrupt):
        pre_extract.run(tiny(data / "set"), tmp_path / "out")

    def note(source, rows, positions, *rest):
        inverted.append((len(source), positions[0]))
        return made(source, rows, positions, *rest)

    monkeypatch.setattr(pre_extract, "_made_examples", note)
    report = pre_extract.run(tiny(data / "set"), tmp_path / "out")
    assert inverted == [(19, 16)] and report == whole


def test_other_networks_are_refused(stored, tmp_path, monkeypatch):
    config = tiny(stored)
    config.seed = 1
    frozen = networks(config)
    with pytest.raises(
        ValueError, match="inverted has the initial inversions of encoder"
    ):
        pre_extract.check(config, frozen)
    monkeypatch.setattr(run.fit, "fit", None)  # refused before
    with pytest.raises(ValueError, match="run `hyperstyle pre-extract`"):
        run.run(config, tmp_path)


def test_what_is_not_stored_is_refused(data, cheap, tmp_path):
    config = tiny(data / "set")
    config.data.flip = False
    pre_extract.run(config, tmp_path / "plain")
    frozen = networks(config)
    config.data.path = str(tmp_path / "plain")
    pre_extract.check(config, frozen)
    assert "w_flipped" not in RecordSource(tmp_path / "plain").take([0])
    config.data.flip = True
    with pytest.raises(ValueError, match="no initial inversions of mirrored images"):
        pre_extract.check(config, frozen)
    config.data.augment = 0.5
    with pytest.raises(ValueError, match="data.augment is 0.5"):
        pre_extract.check(config, frozen)


def test_damaged_images_are_skipped(data, cheap, tmp_path):
    import shutil

    copy = shutil.copytree(data / "set", tmp_path / "set")
    file = next(copy.glob("*train.array_record-00000*"))
    content = bytearray(file.read_bytes())
    content[content.index(b"IDAT") + 8] ^= 255
    file.write_bytes(content)
    report = pre_extract.run(tiny(copy), tmp_path / "out")
    assert report["counts"] == {"test": 3, "train": 18}
    assert report["skipped"].keys() == {"00.png"}


CONFIG = """
import tasks

def get_config():
    c = tasks.tiny("hyperstyle")
    c.model.generator.resolution = 16
    c.data.update(kind="tfds", size=16, path="none")
    return c
"""


def test_the_command(data, cheap, tmp_path, capsys):
    file = tmp_path / "configs" / "mine.py"
    file.parent.mkdir()
    file.write_text(CONFIG)
    argv = ["pre-extract", str(file), "--out", str(tmp_path / "out")]
    assert main(argv) == 1
    assert "none: not a prepared data set" in error_of(capsys)
    assert main([*argv, "--set", f"data.path={data / 'set'}", "num_devices=1"]) == 0
    assert "initial inversions of 19 train in" in capsys.readouterr().out
    assert main([*argv, "--set", "data.pth=x"]) == 1
    assert "unknown field; did you mean data.path?" in error_of(capsys)
    assert main(["pre-extract", "no.py", "--out", "x"]) == 1
    assert "no.py: there is no such file" in error_of(capsys)


def test_configs_that_have_no_use_for_it(tmp_path):
    config = tasks.tiny("hyperstyle")
    with pytest.raises(ValueError, match="data.kind is faces"):
        pre_extract.run(config, tmp_path / "out")
    with pytest.raises(ValueError, match="config.task is gan"):
        pre_extract.run(tasks.tiny("gan"), tmp_path / "out")


def test_a_config_that_builds_on_another_is_read():
    import sys

    before = list(sys.path)
    config = reading.read(ROOT / "configs" / "cars.py", ["optim.lr=0.5"])
    assert config.data.height == 192 and config.optim.lr == 0.5
    assert sys.path == before
