"""The tasks by name, and runs as sources of networks."""

import jax
import pytest
import tasks

from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.loop import checkpoint, fit
from hyperstyle_jax.training import encoder, gan, sources
from hyperstyle_jax.training import tasks as training_tasks


def test_every_task_of_the_config_is_there():
    assert training_tasks._TASKS.keys() == set(cfg.TASKS)


def test_a_run_without_a_checkpoint_is_no_source(tmp_path):
    (tmp_path / "config.json").write_text(cfg.to_json(cfg.base("gan")))
    with pytest.raises(ValueError, match="has no checkpoint yet"):
        training_tasks.load_networks(str(tmp_path))


def test_a_run_gives_its_networks_to_the_next(tmp_path):
    """`training.tasks` loads networks of runs; a task alone loads those of bundles."""
    config = tasks.tiny("gan")
    config.loss.update(adversarial=0.0, lpips=0.0, attributes=0.0, render=1.0)
    (tmp_path / "config.json").write_text(cfg.to_json(config))
    state = fit.fresh_state(gan.make_task(config), 0, jax.local_devices()[:1])
    with checkpoint.Saver(tmp_path, keep=1) as saver:
        saver.save(1, state, {"data": None})
    successor = tasks.tiny("encoder")
    successor.loss.update(lpips=0.0, id=0.0)
    successor.init.generator = str(tmp_path)
    generator = training_tasks.make_task(successor).frozen["generator"]
    params = generator.params["synthesis"]["b4"]["const"]
    assert (params == state["ema"]["synthesis"]["b4"]["const"]).all()
    with pytest.raises(ValueError, match="is not a bundle"):
        encoder.make_task(successor, sources.bundle_networks)
