"""n steps, stop, resume = a straight run, bit for bit: every task, through its data."""

import os
import signal

import jax
import jax.experimental.compilation_cache.compilation_cache as compiled
import numpy as np
import pytest
import tasks

from hyperstyle_jax.loop import checkpoint, logs
from hyperstyle_jax.training import run

STEPS, STOP = 4, 2


def config_of(task):
    """Everything that a state can hold: averages, statistics, lazy terms, keys."""
    config = tasks.tiny(task)
    config.num_steps, config.save_every, config.log_every = STEPS, STOP, STEPS
    config.eval_every, config.image_every, config.num_devices = 2, 0, 1
    config.data.update(eval=(100, 105), cache_dir="", flip=True)
    config.data.train = (0, 10)
    config.optim.update(ema=0.9, clip=1.0, schedule="cosine", warmup_steps=2)
    if task in ("encoder", "hyperstyle"):
        config.best, config.accumulation_steps = "eval/loss", 2
        config.optim.name = "ranger"
    if task == "hyperstyle":
        config.num_iters, config.data.augment = 1, 0.5
    if task == "encoder":
        config.loss.update(latent=0.3, w_adversarial=0.1)
    if task == "gan":
        config.best = "eval/render_l2"
        config.loss.update(render=1.0, lpips=0.0, attributes=0.0)
        config.loss.update(r1_every=2, path_length_every=3)
    if task == "recognition":
        config.loss.shape = 0.1
        config.data.images_per_identity = 2
    return config


class Interrupted:
    """Batches of a run that gets SIGTERM while it waits for the one of step STOP."""

    def __init__(self, batches):
        self.batches, self.drawn = batches, 0
        self.get_state, self.set_state = batches.get_state, batches.set_state

    def __next__(self):
        self.drawn += 1
        if self.drawn == STOP:
            os.kill(os.getpid(), signal.SIGTERM)
        return next(self.batches)


def left(task, workdir):
    """The newest checkpoint whole, and the rows of the log."""
    (step,) = checkpoint.steps(workdir)[-1:]
    names = jax.eval_shape(run.make_task(config_of(task)).init, jax.random.key(0))
    rows = logs.read(workdir)
    rows = [{k: v for k, v in r.items() if k not in tasks.MEASURED} for r in rows]
    state = checkpoint.load_arrays(workdir, *names)
    progress = checkpoint.progress(workdir)
    progress.pop("seconds")
    return step, state, progress, rows


@pytest.fixture(autouse=True)
def compile_once(tmp_path):
    """The three runs of a test compile the same programs, quickly: they are tiny."""
    new = {
        "jax_compilation_cache_dir": str(tmp_path / "compiled"),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_disable_most_optimizations": True,
    }
    old = {name: jax.config.values[name] for name in new}
    for values in (new, old):
        for name, value in values.items():
            jax.config.update(name, value)
        compiled.reset_cache()
        if values is not old:
            yield


SLOW = [
    pytest.param(t, marks=pytest.mark.slow) for t in ("encoder", "gan", "hyperstyle")
]


@pytest.mark.parametrize("task", ["recognition", *SLOW])
def test_stop_and_resume_is_a_straight_run(task, tmp_path, monkeypatch, capsys):
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    assert run.run(config_of(task), straight) == STEPS
    with monkeypatch.context() as patch:
        batches, evaluation = run.inputs.make_data(config_of(task))
        data = Interrupted(batches), evaluation
        patch.setattr(run.inputs, "make_data", lambda _: data)
        assert run.run(config_of(task), parts) == STOP
    assert run.run(config_of(task), parts) == STEPS
    assert f"resuming from step {STOP} of {STEPS}" in capsys.readouterr().out
    step, state, progress, rows = left(task, straight)
    again, resumed, *others = left(task, parts)
    assert step == again == STEPS and [progress, rows] == others
    jax.tree.map(np.testing.assert_array_equal, state, resumed)
    assert progress["best"] or not config_of(task).best
