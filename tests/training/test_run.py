"""From a config to a run in a folder, with the toy task."""

import json
import os
import subprocess
import sys
import threading

import jax
import pytest
import tasks
import toy
import toy_config
from paths import ROOT, SUPPORT

from hyperstyle_jax.loop import checkpoint
from hyperstyle_jax.system import folder_lock
from hyperstyle_jax.training import inputs, run


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setattr(run, "make_task", lambda config: toy.make_task())
    data = (toy.Data(), toy.eval_data)
    monkeypatch.setattr(run.inputs, "make_data", lambda config: data)
    return toy_config.get_config()


def test_a_run_leaves_its_config_metrics_and_curves(config, tmp_path, capsys):
    assert run.run(config, tmp_path / "new") == 12
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert {"config.json", "metrics.jsonl", "curves.png", "checkpoints"} <= names
    assert f"report: {tmp_path / 'new' / 'report.html'}\n" in capsys.readouterr().out
    saved = json.loads((tmp_path / "new" / "config.json").read_text())
    assert saved["optim"]["lr"] == 0.1


def test_another_config_is_refused_with_the_differences(config, tmp_path):
    config.num_steps = 2
    run.run(config, tmp_path)
    config.num_steps, config.optim.lr, config.seed = 3, 0.2, 9
    with pytest.raises(ValueError) as error:
        run.run(config, tmp_path)
    assert "optim.lr: 0.1 there, 0.2 here; seed: 0 there, 9 here" in str(error.value)
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 0
    assert checkpoint.steps(tmp_path) == [2]
    assert run.run(config, tmp_path, force=True) == 3
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 9


def test_a_workdir_in_use_is_left_as_it_is(config, tmp_path):
    half_written = tmp_path / "checkpoints" / "5.orbax-checkpoint-tmp" / "state"
    half_written.mkdir(parents=True)  # by the run that goes on there
    begun, done = threading.Event(), threading.Event()

    def hold():
        with folder_lock.hold(tmp_path):
            begun.set()
            done.wait(60)

    other = threading.Thread(target=hold)
    other.start()
    begun.wait(60)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="is in use by process"):
        run.run(config, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    done.set()
    other.join()
    config.num_steps = 1
    assert run.run(config, tmp_path) == 1
    assert not half_written.exists() and not (tmp_path / ".lock").exists()


def test_a_start_that_failed_does_not_refuse_the_corrected_one(
    config, tmp_path, monkeypatch
):
    def fail(*_):
        raise ValueError("no image in the folder")

    with monkeypatch.context() as patch:
        patch.setattr(run.inputs, "make_data", fail)
        config.seed = 3
        with pytest.raises(ValueError, match="no image"):
            run.run(config, tmp_path)
    config.seed, config.num_steps = 4, 1
    assert run.run(config, tmp_path) == 1
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 4


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("num_devices", 8, "num_devices is 8, but there are 4"),
        ("batch_size", 7, "batch_size is 7, which 4 devices cannot share"),
        ("num_steps", -1, "num_steps is -1"),
    ],
)
def test_nothing_is_written_for_a_run_that_cannot_be(
    config, tmp_path, field, value, message
):
    config.num_devices = 0
    config[field] = value
    with pytest.raises(ValueError, match=message):
        run.run(config, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_description_needs_no_data(config, monkeypatch):
    def untouched(config):
        raise AssertionError("the data set was asked for")

    monkeypatch.setattr(run.inputs, "make_data", untouched)
    shapes = jax.eval_shape(lambda: toy.examples(0, config.batch_size))
    monkeypatch.setattr(run, "batch_shapes", lambda config: shapes)
    text = run.describe(config)
    assert "optim.lr = 0.1" in text
    assert "state params: 3 numbers" in text
    assert "state opt: 7 numbers" in text
    assert "memory per device (1 x cpu)" in text


def test_a_description_needs_no_weights(monkeypatch):
    """Neither are those read that the config names, nor are fresh ones drawn."""

    def untouched(*_):
        raise AssertionError("weights were asked for")

    monkeypatch.setattr(run.sources.bundle, "load", untouched)
    monkeypatch.setattr(run.memory, "needed_bytes", lambda *_: 2**20)
    for task in ("encoder", "gan", "hyperstyle"):
        config = tasks.tiny(task)
        for name in config.init:
            config.init[name] = "not/there"
        text = run.describe(config)
        assert "init.generator = 'not/there'" in text
        assert "memory per device (4 x cpu): 129.0 MiB" in text


MIDDLE = (
    "base batch_size=2 data.size=128 model.generator.resolution=128 "
    "model.generator.channel_base=8192 model.generator.channel_max=256 "
    "model.hypernet.widths=(32,64,128,256) model.hypernet.depths=(2,2,2,2) "
    "model.hypernet.embedding_dim=256 init.lpips=random accumulation_steps=2"
)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("what", ["demo batch_size=32", MIDDLE])
def test_the_estimated_memory_is_near_the_measured_peak(what):
    command = [
        sys.executable,
        f"{SUPPORT}/memory_of_step.py",
        *what.split(),
        "num_iters=1",
    ]
    environment = {"PYTHONPATH": ".", "XLA_FLAGS": "", "HYPERSTYLE_CACHE": "off"}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "0"
    done = subprocess.run(
        command,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    estimate, measured = map(int, done.stdout.split())
    assert estimate == pytest.approx(measured, rel=0.25)


@pytest.mark.parametrize("images_per_identity", [1, 2])
def test_the_shapes_of_a_batch_are_those_of_the_data(images_per_identity):
    config = tasks.tiny("recognition")
    config.data.update(cache_dir="", images_per_identity=images_per_identity)
    drawn = next(inputs.make_data(config)[0])
    assert run.batch_shapes(config) == jax.eval_shape(lambda: drawn)


def test_the_shapes_of_images_that_are_not_square(config):
    config.data.update(kind="folder", path="cars", height=48)
    shapes = {k: v.shape for k, v in run.batch_shapes(config).items()}
    assert shapes.items() >= {"image": (8, 48, 64, 3), "index": (8,)}.items()
