"""The training tasks by name, and the networks that a run has trained.

A task is a module with two functions: `make_task(config, load)` gives the pure
functions that `fit` drives, `export(config, state, frozen)` the trained networks.
"""

from pathlib import Path

import jax
from ml_collections import ConfigDict

from hyperstyle_jax.config import reading
from hyperstyle_jax.loop import checkpoint, fit
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import (
    encoder,
    flow,
    gan,
    hyperstyle,
    recognition,
    sources,
    style_encoder,
)

_TASKS = {
    "gan": gan,
    "recognition": recognition,
    "encoder": encoder,
    "style_encoder": style_encoder,
    "hyperstyle": hyperstyle,
    "flow": flow,
}


def make_task(config: ConfigDict) -> fit.Task:
    """The task of `config.task`; its networks may come from bundles and other runs.

    Raises:
        ValueError: a source in `config.init` does not hold what the config describes.
    """
    return _TASKS[config.task].make_task(config, load_networks)


def load_networks(source: str) -> dict[str, Net]:
    """The networks of a run (its workdir) or of a bundle, by name.

    Raises:
        ValueError: the source is neither, or cannot be read.
    """
    if (Path(source) / "config.json").exists():
        return run_nets(source)
    return sources.bundle_networks(source)


def run_nets(workdir: str | Path, best: bool = False) -> dict[str, Net]:
    """The networks that a run has trained so far, and those that it was trained with.

    Args:
        workdir: of the run.
        best: of the best evaluation (see `config.best`) and not of the newest step.

    Raises:
        ValueError: the run has no checkpoint, or none that can be read.
    """
    config = reading.read_run(workdir)
    if not checkpoint.steps(workdir):
        raise ValueError(f"{workdir} has no checkpoint yet; train it further first")
    task = make_task(config)
    like = fit.abstract_state(task, config.seed, jax.local_devices()[:1])
    restore = checkpoint.restore_best if best else checkpoint.restore
    _, state, _ = restore(workdir, like)
    return _TASKS[config.task].export(config, state, task.frozen)
