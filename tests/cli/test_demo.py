"""The demo around a training that is over at once, and once with a real one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jax
import pytest
from networks import random_net
from paths import ROOT

from configs import tiny
from hyperstyle_jax import trees
from hyperstyle_jax.cli import demo
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.evaluation import held_out_faces, tables
from hyperstyle_jax.loop import checkpoint
from hyperstyle_jax.training import from_config, hyperstyle
from hyperstyle_jax.weights import bundle

ROLES = ("generator", "encoder", "feature_extractor")
CONFIG = """
from configs import tiny

def get_config():
    c = tiny.get_config()
    c.log_every, c.eval_every, c.image_every = 1, 0, 0
    c.init.update(generator={0!r}, encoder={0!r}, feature_extractor={0!r})
    return c
"""
# Stands in for train.py: "trains" by copying the run that lies beside it.
TRAIN = """
import shutil, sys
arguments = dict(a.split("=") for a in sys.argv[1:] if "=" in a)
workdir = sys.argv[sys.argv.index("--workdir") + 1]
print("training", arguments, flush=True)
shutil.copytree("prepared", workdir, dirs_exist_ok=True)
"""
STUBBORN = """
import pathlib, signal, sys, time
def stop(*_):
    time.sleep(0.5)
    pathlib.Path("saved").touch()
    sys.exit()
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
pathlib.Path("started").touch()
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("HYPERSTYLE_CACHE", "off")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A folder of shipped bundles with one for configs/tiny.py in it."""
    config = tiny.get_config()
    shape = (config.data.size, config.data.size, 3)
    modules = {role: getattr(from_config, role)(config) for role in ROLES}
    modules["hypernet"] = from_config.hypernet(config)
    inputs = {"generator": None, "hypernet": [shape] * 2}
    nets = {
        role: random_net(module, 0, inputs.get(role, [shape]), 0.1)
        for role, module in modules.items()
    }
    folder = tmp_path_factory.mktemp("bundles")
    bundle.save(folder / "demo", nets, info={"num_iters": config.num_iters})
    return folder


@pytest.fixture(scope="module")
def clone(shipped, tmp_path_factory):
    """A repository whose train.py is over at once."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "configs").mkdir()
    (folder / "configs" / "demo.py").touch()
    (folder / "train.py").write_text(TRAIN)
    config = tiny.get_config()
    config.init.update(dict.fromkeys((*ROLES, "hypernet"), str(shipped / "demo")))
    state = hyperstyle.make_task(config).init(jax.random.key(0))
    state["params"] = jax.tree.map(lambda p: 2 * p, state["params"])
    with checkpoint.Saver(folder / "prepared", 2) as saver:
        saver.save(7, state, {"data": None, "means": None})
    (folder / "prepared" / "config.json").write_text(cfg.to_json(config))
    rows = [{"step": s, "loss": 1 / s, "l2": 0.5, "l2/iteration1": 0.5} for s in (1, 7)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "prepared" / "metrics.jsonl").write_text(lines)
    return folder


@pytest.fixture
def here(shipped, clone, tmp_path, monkeypatch):
    """A copy of the clone to work in; two faces per domain."""
    shutil.copytree(clone, tmp_path / "clone")
    monkeypatch.chdir(tmp_path / "clone")
    monkeypatch.setattr(bundle, "SHIPPED", shipped)
    monkeypatch.setattr(demo, "_COUNT", 2)
    return tmp_path / "clone"


def test_a_run_is_a_model(here):
    loaded, demo = held_out_faces.load("prepared"), bundle.load("demo")
    assert set(loaded.nets) == {"hypernet", *ROLES}
    assert loaded.image_size == (16, 16) and loaded.info["num_iters"] == 2
    ours, theirs = (trees.flatten(m.nets["hypernet"].params) for m in (loaded, demo))
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == 2 * theirs[name]).all() for name in ours)


def test_a_run_without_a_checkpoint_is_refused(here):
    shutil.rmtree(here / "prepared" / "checkpoints")
    with pytest.raises(ValueError, match="no checkpoint yet"):
        held_out_faces.load("prepared")


def test_the_demo_leaves_everything_and_says_where(here, capfd):
    """Twice: the second time it trains on and evaluates anew."""
    assert main(["demo", "--steps", "9"]) == 0
    said = capfd.readouterr().out
    assert "training {'--config.num_steps': '9'}" in said
    assert "3/3" in said and "In demo_output:" in said and "All together" in said
    out = here / "demo_output"
    for file in out.glob("*.*"):
        assert file.name in said
    names = {file.name for file in out.iterdir()}
    assert {"run", "metrics.md", "metrics.json", "training.png"} <= names
    assert {f"grid_in-domain_{m}.png" for m in ("trained", "shipped")} <= names
    assert "iterations_accessories_l2.png" in names
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["trained_steps"] == 7 and len(metrics["stages"]) == 4
    methods = [row["method"] for row in metrics["domains"]["in-domain"]["rows"]]
    assert methods == [tables.INITIAL, "trained, T = 2", "shipped, T = 2"]
    assert (out / "metrics.md").read_text() in said
    (out / "metrics.md").unlink()
    assert main(["demo"]) == 0
    assert (out / "metrics.md").exists() and "training {}" in capfd.readouterr().out


def test_outside_a_clone_it_is_one_line(here, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "a" / "b" / "demo.py"))
    (here / "configs" / "demo.py").unlink()
    assert main(["demo"]) == 1
    text = capsys.readouterr().err
    assert "run the demo in a clone of the repository" in text
    assert text.count("\n") == 1 and not (here / "demo_output").exists()


def test_a_training_that_fails_ends_the_demo(here, capfd):
    (here / "train.py").write_text("raise SystemExit('error: the disk is full')")
    assert main(["demo"]) == 1
    text = capfd.readouterr().err
    assert "error: the disk is full\nerror: training ended with exit code 1" in text


def test_without_a_shipped_bundle_nothing_is_trained(here, monkeypatch, capfd):
    monkeypatch.setattr(bundle, "SHIPPED", here)
    assert main(["demo"]) == 1
    said = capfd.readouterr()
    assert "demo is not a bundle" in said.err and "training" not in said.out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_training_may_save_before_the_demo_stops(tmp_path, number):
    """SIGTERM is passed on; Ctrl-C reaches both processes at once."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "demo.py").touch()
    (tmp_path / "train.py").write_text(STUBBORN)
    # Where the tests run in the background, Ctrl-C would be ignored from the start.
    code = "import pathlib, signal; from hyperstyle_jax.cli import demo;"
    code += "signal.signal(signal.SIGINT, signal.default_int_handler);"
    code += "from hyperstyle_jax.system import program; here = pathlib.Path.cwd();"
    code += "train = lambda: demo._train(here, pathlib.Path('run'), None);"
    code += "raise SystemExit(program.run(train))"
    running = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.time() + 60
    while not (tmp_path / "started").exists():
        assert time.time() < deadline and running.poll() is None
        time.sleep(0.02)
    if number == signal.SIGINT:
        os.killpg(running.pid, number)  # as a terminal does
    else:
        running.send_signal(number)
    _, text = running.communicate(timeout=60)
    assert (tmp_path / "saved").exists() and b"stopped by " in text
    assert running.returncode == 128 + number


@pytest.mark.slow
def test_with_a_real_training(shipped, tmp_path, monkeypatch, capfd):
    (tmp_path / "demo.py").write_text(CONFIG.format(str(shipped / "demo")))
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(demo, "_CONFIG", tmp_path / "demo.py")
    monkeypatch.setattr(demo, "_COUNT", 2)
    monkeypatch.setattr(bundle, "SHIPPED", shipped)
    for steps in ("2", "3"):
        assert main(["demo", "--out", str(tmp_path / "out"), "--steps", steps]) == 0
    assert "resuming from step 2 of 3" in capfd.readouterr().out
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["trained_steps"] == 3
    first, trained, ours = metrics["domains"]["accessories"]["rows"]
    assert trained["l2"] != ours["l2"] and first["method"] == tables.INITIAL
