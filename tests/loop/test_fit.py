"""Laws of the training loop, with a toy task."""

import dataclasses
import json
import os
import shutil
import signal

import jax
import numpy as np
import pytest
import toy

from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.loop import checkpoint, logs
from hyperstyle_jax.loop import fit as loop


@pytest.fixture
def config():
    c = cfg.base("gan")
    c.num_steps, c.save_every, c.log_every = 12, 5, 3
    c.eval_every, c.image_every, c.num_devices, c.batch_size = 6, 0, 1, 8
    return c


def fit(config, workdir, data=None, **kw):
    data = data or toy.Data(config.batch_size)
    return loop.fit(toy.make_task(**kw), config, workdir, data, toy.eval_data)


def state(workdir, step=None):
    return checkpoint.load_arrays(workdir, "params", "opt", "ema", step=step)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def losses(workdir):
    timing = {"steps_per_second", "data_wait", "memory_gib"}
    return [
        {k: v for k, v in row.items() if k not in timing} for row in logs.read(workdir)
    ]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """One run of twelve steps on one device, with its images."""
    c = cfg.base("gan")
    c.num_steps, c.save_every, c.log_every = 12, 5, 3
    c.eval_every, c.image_every, c.num_devices, c.batch_size = 6, 12, 1, 8
    workdir = tmp_path_factory.mktemp("straight")
    assert fit(c, workdir) == 12
    return workdir


def test_metrics_have_one_row_per_logged_step(straight):
    rows = logs.read(straight)
    assert [row["step"] for row in rows] == [3, 6, 9, 12]
    assert all({"loss", "grad_norm"} <= row.keys() for row in rows)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert "eval/l2" in rows[1] and "eval/l2" not in rows[0]


def test_every_evaluation_image_counts_once(straight):
    batches = list(toy.eval_data())
    w = state(straight)["ema"]["w"]
    errors = [b["x"] @ w - b["y"] for b in batches]
    expected = np.mean(np.concatenate(errors) ** 2)
    assert logs.read(straight)[-1]["eval/l2"] == pytest.approx(expected, rel=1e-4)


def test_keeps_the_newest_checkpoints_and_the_last_step(straight):
    assert checkpoint.steps(straight) == [10, 12]


def test_stop_and_resume_is_one_run(straight, config, tmp_path):
    for num_steps in (1, 7, 7, 12):
        config.num_steps = num_steps
        assert fit(config, tmp_path) == num_steps
    same(state(tmp_path), state(straight))
    common = [row for row in losses(tmp_path) if row["step"] in (3, 6, 9, 12)]
    assert common == losses(straight)


def test_a_finished_run_says_so(straight, config, capsys):
    before = (straight / logs.METRICS).read_bytes()
    assert fit(config, straight) == 12
    assert "finished: step 12 of 12" in capsys.readouterr().out
    assert (straight / logs.METRICS).read_bytes() == before


@pytest.mark.parametrize("count", [2, 4])
def test_devices_share_the_batch(straight, config, tmp_path, count):
    config.num_devices = count
    fit(config, tmp_path)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)  # noqa: E731
    jax.tree.map(close, state(tmp_path), state(straight))
    got, want = logs.read(tmp_path)[-1], logs.read(straight)[-1]
    assert got["eval/l2"] == pytest.approx(want["eval/l2"], rel=1e-4)


def test_a_run_moves_to_other_devices(straight, config, tmp_path):
    config.num_devices, config.num_steps = 2, 6
    fit(config, tmp_path)
    config.num_devices, config.num_steps = 1, 12
    fit(config, tmp_path)
    np.testing.assert_allclose(
        state(tmp_path)["params"]["w"], state(straight)["params"]["w"], rtol=1e-5
    )


def test_devices_must_suffice_and_divide(config, tmp_path):
    config.num_devices = 64
    with pytest.raises(ValueError, match="num_devices is 64, but there are"):
        fit(config, tmp_path)
    config.num_devices, config.batch_size = 4, 6
    with pytest.raises(ValueError, match="batch_size is 6"):
        fit(config, tmp_path)


def test_a_step_that_is_not_finite_changes_nothing(config, tmp_path, capsys):
    config.num_steps = config.save_every = config.log_every = 4
    config.keep = 9
    fit(config, tmp_path, toy.Data(bad=4))
    config.num_steps = 5
    fit(config, tmp_path, toy.Data(bad=4))
    same(state(tmp_path, 4), state(tmp_path, 5))
    said = capsys.readouterr().err
    assert "step 5: grad_norm is nan, loss is nan" in said and "indices 32, 33" in said
    assert logs.read(tmp_path)[-1]["skipped_steps"] == 1


def test_stop_on_nonfinite_keeps_what_was_saved(config, tmp_path):
    config.on_nonfinite = "stop"
    with pytest.raises(FloatingPointError, match="step 8: .*indices 56, 57"):
        fit(config, tmp_path, toy.Data(bad=7))
    assert checkpoint.steps(tmp_path) == [5]


def test_endless_skipping_stops(config, tmp_path):
    config.num_steps = 100
    with pytest.raises(FloatingPointError, match="in a row"):
        fit(config, tmp_path, lr=float("inf"))


class Interrupting(toy.Data):
    """Sends a signal to this process while batch `at` is drawn."""

    def __init__(self, number, at):
        super().__init__()
        self.number, self.at = number, at

    def __next__(self):
        if self.next_index == self.at:
            os.kill(os.getpid(), self.number)
        return super().__next__()


def test_sigterm_saves_and_the_same_call_resumes(straight, config, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    assert fit(config, tmp_path, Interrupting(signal.SIGTERM, 7)) == 8
    assert checkpoint.steps(tmp_path) == [5, 8]
    assert signal.getsignal(signal.SIGTERM) == before
    fit(config, tmp_path)
    same(state(tmp_path), state(straight))
    assert losses(tmp_path) == losses(straight)


def test_ctrl_c_saves_too(config, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(config, tmp_path, Interrupting(signal.SIGINT, 3))
    assert checkpoint.steps(tmp_path) == [4]


def test_a_resumed_run_forgets_rows_that_it_does_again(straight, config, tmp_path):
    config.num_steps = 5
    fit(config, tmp_path)
    with open(tmp_path / logs.METRICS, "a") as file:
        file.write(json.dumps({"step": 6, "loss": 99.0}) + "\n" + '{"step": 9, "lo')
    config.num_steps = 12
    fit(config, tmp_path)
    assert [r for r in losses(tmp_path) if r["step"] != 5] == losses(straight)


def test_images_are_written(straight):
    from PIL import Image

    for name in ("00000012.png", "train_00000012.png"):
        with Image.open(straight / "images" / name) as image:
            width, height = image.size
        assert width >= 8 and height >= 32  # two columns, eight rows of 4 x 4


def test_memory_is_logged_and_shown(config, tmp_path, capsys):
    fit(config, tmp_path)
    assert all(0.01 < row["memory_gib"] < 1000 for row in logs.read(tmp_path))
    assert "memory_gib=" in capsys.readouterr().err


class Scores:
    """An evaluation whose score is the next of a list."""

    def __init__(self, *values):
        self.values = list(values)

    def __call__(self, per_image):
        value = self.values[0]
        if per_image["l2"].any():  # not only asked for the names of the scores
            self.values.pop(0)
        return {"score": value}


def scored(config, workdir, scores, data=None):
    task = dataclasses.replace(toy.make_task(), summarize=scores)
    return loop.fit(task, config, workdir, data or toy.Data(8), toy.eval_data)


@pytest.fixture
def keeps_best(config):
    config.num_steps, config.eval_every, config.save_every, config.keep = 8, 1, 99, 1
    config.best = "eval/score"
    return config


def best(workdir):
    return checkpoint.restore_best(workdir, like())[0]


def like():
    return loop.abstract_state(toy.make_task(), 0, jax.local_devices()[:1])


def test_the_best_checkpoint_is_kept_besides_the_newest(keeps_best, tmp_path, capsys):
    nan = float("nan")
    scored(keeps_best, tmp_path, Scores(nan, 5, 3, 1, nan, -float("inf"), 2, 4))
    assert checkpoint.steps(tmp_path) == [4, 8]
    assert best(tmp_path) == 4
    said = capsys.readouterr().err
    assert "best eval/score so far: 1 at step 4, before 3 at 3" in said


def test_the_best_is_remembered_by_a_resumed_run(keeps_best, tmp_path):
    values = Scores(5, 1, 3, 2, 4, 6, 8, 7)
    for keeps_best.num_steps in (1, 3, 5, 8):
        scored(keeps_best, tmp_path, values)
    assert checkpoint.steps(tmp_path) == [2, 8]
    assert best(tmp_path) == 2


def test_a_best_checkpoint_that_is_gone_does_not_count(keeps_best, tmp_path):
    keeps_best.num_steps = 3
    scored(keeps_best, tmp_path, Scores(3, 1, 5))
    shutil.rmtree(tmp_path / "checkpoints" / "2")
    keeps_best.num_steps = 5
    scored(keeps_best, tmp_path, Scores(4, 6))
    assert (checkpoint.steps(tmp_path), best(tmp_path)) == ([4, 5], 4)


def test_an_unknown_score_is_refused_before_the_first_step(keeps_best, tmp_path):
    keeps_best.best = "eval/lpips"
    with pytest.raises(ValueError, match="'eval/lpips', expected one .* eval/score$"):
        scored(keeps_best, tmp_path, Scores(1))
    assert checkpoint.steps(tmp_path) == []


def test_without_a_best_score_there_is_no_best_checkpoint(straight):
    with pytest.raises(ValueError, match="no best checkpoint.*set config.best"):
        best(straight)
