"""What a run writes for people."""

import json
import sys
import types

import numpy as np
import pytest
from PIL import Image

from hyperstyle_jax import plots
from hyperstyle_jax.loop import logs


def test_one_row_per_step(tmp_path):
    with logs.Log(tmp_path, "run", 0, 4) as log:
        log.train(2, {"loss": 1.0})
        log.evaluation(2, {"l2": 3.0})
        log.train(4, {"loss": 0.5, "bad": float("nan")})
    lines = (tmp_path / logs.METRICS).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows[0] == {"step": 2, "loss": 1.0, "eval/l2": 3.0}
    assert rows[1]["loss"] == 0.5 and "bad" not in rows[1]


def test_means_survive_a_checkpoint():
    whole, first = logs.Means(), logs.Means()
    values = [{"a": 0.1, "b": 3.0}, {"a": 0.7, "b": 1.0}, {"a": 0.2, "b": 0.0}]
    for value in values:
        whole.add(value)
    first.add(values[0])
    rest = logs.Means(json.loads(json.dumps(first.state)))
    for value in values[1:]:
        rest.add(value)
    assert rest.values() == whole.values()
    assert rest.values()["b"] == pytest.approx(4 / 3)


def test_rates_leave_out_the_first_report(monkeypatch):
    now = iter([10.0, 11.0, 13.0, 14.0])
    monkeypatch.setattr(logs.time, "perf_counter", lambda: next(now))
    clock = logs.Clock()
    assert clock.rates(5) == {}
    with clock.waiting():  # from 11 to 13
        pass
    assert clock.rates(9) == {"steps_per_second": 1.0, "data_wait": 0.5}


@pytest.mark.parametrize("columns, rows", [(1, 3), (3, 9)])
def test_grids(tmp_path, columns, rows):
    grids = {f"c{i}": np.zeros((9, 96, 96, 3), np.float32) for i in range(columns)}
    with logs.Log(tmp_path, "run", 0, 4) as log:
        log.images(7, grids)
    with Image.open(tmp_path / "images" / "00000007.png") as image:
        assert round(image.width / 98) == 3
        assert round((image.height - 20 * (columns > 1)) / 98) == rows


def test_progress_elsewhere_than_on_a_terminal(tmp_path, capsys):
    with logs.Log(tmp_path, "demo", 0, 200) as log:
        log.step(50)
        log.train(50, {"loss": 0.25})
    said = capsys.readouterr().err
    assert "demo:  25%" in said and "50/200" in said and "loss=0.25" in said


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    with logs.Log(tmp_path, "run", 0, 4) as log:
        log.train(2, {"loss": 1.0})
    (events,) = (tmp_path / "tensorboard").glob("events*")
    assert events.stat().st_size > 50


def test_curves(tmp_path):
    rows = [{"step": i, "loss": 10.0**-i, "eval/loss": 1.0} for i in range(5)]
    plots.curves([*rows, {"step": 9, "only": -1.0}], tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width > 400
    plots.curves([], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


class FakeRun:
    """What a W&B run was told."""

    def __init__(self, **options):
        self.options, self.rows, self.axes, self.finished = options, [], {}, False

    def define_metric(self, name, step_metric=None):
        self.axes[name] = step_metric

    def log(self, row):
        self.rows.append(row)

    def finish(self):
        self.finished = True


@pytest.fixture
def wandb(monkeypatch):
    module = types.ModuleType("wandb")
    module.runs = []
    module.Image = lambda image: image.dtype
    module.init = lambda **options: (
        module.runs.append(FakeRun(**options)) or (module.runs[-1])
    )
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_weights_and_biases_get_every_row_and_image(wandb, tmp_path):
    (tmp_path / "config.json").write_text('{"seed": 3}')
    with logs.Log(tmp_path, "run", 0, 4, wandb="faces") as log:
        log.train(2, {"loss": 1.0})
        log.images(2, {"target": np.zeros((4, 96, 96, 3))}, "train")
    (run,) = wandb.runs
    assert run.options["project"] == "faces" and run.options["config"] == {"seed": 3}
    assert run.axes["*"] == "step" and run.finished
    image = {"step": 2, "train: target": np.uint8}
    assert run.rows == [image, {"step": 2, "loss": 1.0}]


def test_a_resumed_run_is_the_same_run_there(wandb, tmp_path):
    for start in (0, 2):
        with logs.Log(tmp_path, "run", start, 4, wandb="faces"):
            pass
    first, second = (run.options for run in wandb.runs)
    assert first["id"] == second["id"] and second["resume"] == "allow"


def test_without_wandb_installed_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ValueError, match=r"pip install 'hyperstyle_jax\[wandb\]'"):
        logs.Log(tmp_path, "run", 0, 4, wandb="faces")
