"""From a config to a trained run in a folder; with `describe`, what it would be."""

import functools
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from hyperstyle_jax import faces, trees
from hyperstyle_jax.config import checks
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.loop import checkpoint, fit, memory, parallel
from hyperstyle_jax.system import folder_lock
from hyperstyle_jax.training import (
    claims,
    inputs,
    labels,
    pre_extract,
    report,
    sources,
)
from hyperstyle_jax.training.tasks import make_task

# What a step holds on a CPU besides XLA's plan (threads, packed operands of its
# convolutions): 117, 159 and 172 MiB measured for plans of 216, 452 and 1666 MiB.
_BESIDES = {"cpu": 128 * 2**20}


def run(config: ConfigDict, workdir: str | Path, force: bool = False) -> int:
    """Trains, or goes on training, in `workdir`.

    Args:
        config: from a config file, see `hyperstyle_jax.config`.
        workdir: folder for `config.json`, checkpoints, metrics, images, curves and
            `report.html`.
        force: go on although `workdir` belongs to another config.

    Returns:
        The last step done.

    Raises:
        ValueError: a config that cannot work, or a workdir of another one.
    """
    _quiet()
    checks.check(config)
    labels.check(config)
    parallel.devices(config.num_devices, config.batch_size)
    workdir = Path(workdir)
    with folder_lock.hold(workdir) if parallel.is_writer() else nullcontext():
        return _run(config, workdir, force)


def _run(config: ConfigDict, workdir: Path, force: bool) -> int:
    claim = claims.Claim(workdir, config, force)
    task = make_task(config)
    claim.compare_networks(task.frozen)
    train_data, eval_data = _data(config)
    pre_extract.check(config, task.frozen)
    step = fit.fit(task, config, workdir, train_data, eval_data, claim.settle)
    progress = checkpoint.progress(workdir)  # read by all processes or by none
    if parallel.is_writer():
        print(
            f"report: {report.write(workdir, cfg.flatten(config), progress)}",
            flush=True,
        )
    return step


def describe(config: ConfigDict) -> str:
    """The resolved config, parameter counts, and the memory that a device needs.

    No images and no weights are read or drawn: they may be elsewhere, or take hours
    to prepare. A data set that is here may tell that it has initial inversions.
    """
    _quiet()
    checks.check(config)
    labels.check(config)
    devices = parallel.devices(config.num_devices, config.batch_size)
    task, *shapes = abstract(config)
    state, frozen = (parallel.abstract(tree, devices) for tree in shapes)
    lines = [cfg.text(config), ""]
    for title, tree in (("state", state), ("frozen", frozen)):
        for name, part in _parts(tree).items():
            numbers = trees.count(part)
            lines.append(f"{title} {name}: {numbers:,} numbers, {_size(part)}")
    needed = memory.needed_bytes(*busiest_step(config, task, devices, state, frozen))
    needed += _BESIDES.get(devices[0].platform, 0)
    what = f"{len(devices)} x {devices[0].device_kind}"
    lines += ["", f"memory per device ({what}): {_bytes(needed)} for a training step"]
    return "\n".join(lines)


def busiest_step(config: ConfigDict, task: fit.Task, devices, state, frozen) -> tuple:
    """The step that does the most, as one with every lazy regularization.

    Args:
        state, frozen: of `parallel.abstract`.

    Returns:
        It and its arguments as shapes, as `memory.needed_bytes` takes them.
    """
    split = functools.partial(parallel.split, count=len(devices))
    batch = jax.eval_shape(split, batch_shapes(config))
    busiest = max(range(1, 257), key=lambda i: sum(map(bool, task.phase(i).values())))
    step = fit.Phases(task, devices, config.seed)[busiest]
    return step, state, frozen, batch, np.int32(1)


def abstract(config: ConfigDict) -> tuple[fit.Task, Any, Any]:
    """A task that can only be compiled; shapes of its state and frozen networks."""
    config, made = config.copy_and_resolve_references(), []
    for name, source in config.init.items():
        config.init[name] = source and sources.RANDOM

    def make():
        made.append(make_task(config))
        return made[0].init(jax.random.key(config.seed)), made[0].frozen

    state, frozen = jax.eval_shape(make)
    return made[0], state, frozen


def batch_shapes(config: ConfigDict) -> dict[str, jax.ShapeDtypeStruct]:
    """What the training data of a config gives for one batch."""
    data, count = config.data, config.batch_size
    wanted = {
        "image": ((data.height or data.size, data.size, 3), np.uint8),
        "index": ((), np.int32),
        **pre_extract.shapes(config),
    }
    known = labels.known(config)
    if known.latents:
        wanted["latent"] = ((faces.LATENT_DIM,), np.float32)
    if known.latents or config.task == "recognition":
        if known.identities is not None:
            wanted["identity"] = ((), np.int32)
        if known.attributes:
            wanted["attributes"] = ((len(known.attributes),), np.float32)
    return {
        name: jax.ShapeDtypeStruct((count, *shape), dtype)
        for name, (shape, dtype) in wanted.items()
    }


def _data(config: ConfigDict):
    """Of several processes the first prepares the data set, for all on its disk."""
    if parallel.is_writer():
        data = inputs.make_data(config)
        parallel.wait_for_all("data")
    else:
        parallel.wait_for_all("data")
        data = inputs.make_data(config)
    return data


def _quiet() -> None:
    """Orbax logs a page per checkpoint and each error seven times; one line is ours."""
    if not os.environ.get("HYPERSTYLE_DEBUG"):
        logging.set_verbosity(logging.FATAL)


def _parts(tree) -> dict:
    return tree if isinstance(tree, dict) else {"": tree}


def _size(tree) -> str:
    leaves = jax.tree.leaves(tree)
    return _bytes(sum(x.size * x.dtype.itemsize for x in leaves))


def _bytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
