"""Measures how long the steps of a run take here, before it is known how many to do."""

import math
import time
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from hyperstyle_jax.loop import fit, parallel
from hyperstyle_jax.training import run

_CYCLE = 64  # steps in which every kind of step occurs as often as it always does
_REPEATS = 3


def seconds_per_step(config: ConfigDict) -> float:
    """The mean time of a step on this machine, without compiling.

    Neither images nor weights are read: the networks hold one constant. The programs
    that are compiled for it are those of the run, and stay in the compilation cache.

    Args:
        config: of the run; with a schedule that does not depend on `num_steps`.
    """
    devices = parallel.devices(config.num_devices, config.batch_size)
    task, *shapes = run.abstract(config)
    place = parallel.replicated(devices)
    state, frozen = (jax.device_put(_filled(tree), place) for tree in shapes)
    batch = {k: _filled(v) for k, v in run.batch_shapes(config).items()}
    pieces = parallel.split(parallel.part(batch), len(parallel.local(devices)))
    steps = fit.Phases(task, devices, config.seed)
    kinds = Counter(tuple(sorted(task.phase(i).items())) for i in range(1, _CYCLE + 1))
    total = 0.0
    for kind, count in kinds.items():
        number = next(
            i
            for i in range(1, _CYCLE + 1)
            if tuple(sorted(task.phase(i).items())) == kind
        )
        seconds = []
        for _ in range(1 + _REPEATS):
            start = time.perf_counter()
            state, metrics = steps[number](state, frozen, pieces, np.int32(number))
            jax.block_until_ready(metrics)
            seconds.append(time.perf_counter() - start)
        total += count * float(np.median(seconds[1:]))  # the first one compiles
    return total / _CYCLE


def steps_within(seconds: float, per_step: float, most: int) -> int:
    """How many steps fit into some time; at least one, at most `most`."""
    return max(1, min(most, math.floor(seconds / per_step)))


def _filled(tree):
    """Arrays of these shapes that keep networks finite: 0.01, and 1 for integers."""

    def fill(x):
        value = 0.01 if jnp.issubdtype(x.dtype, jnp.floating) else 1
        return np.full(x.shape, value, x.dtype)

    return jax.tree.map(fill, tree)
