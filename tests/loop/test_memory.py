"""The memory that a step needs, and that a process has used."""

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.loop import memory, parallel


def test_memory_counts_arguments_without_running():
    def step(state, frozen, batch, key):
        return state * 2, {"x": batch["x"].mean()}

    devices = jax.local_devices()[:1]
    million = parallel.abstract(jnp.zeros(1_000_000), devices)
    batch = {"x": np.zeros((1, 4), np.float32)}
    run = parallel.train_step(step, devices, seed=0)
    needed = memory.needed_bytes(run, million, million, batch, np.int32(1))
    assert 4e6 <= needed <= 13e6


def test_memory_of_the_fullest_device():
    class Device:
        def __init__(self, peak):
            self.memory_stats = lambda: {"peak_bytes_in_use": peak}

    assert memory.peak_bytes([Device(3), Device(7)]) == 7
