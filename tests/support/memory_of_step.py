"""Estimate and measured peak of a step, in MiB: memory_of_step.py BASE FIELD=VALUE …

On one CPU device and Linux. What the interpreter, the libraries and the compiler hold
is measured before and taken off.
"""

import ast
import ctypes
import gc
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.config import checks
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.loop import memory, parallel
from hyperstyle_jax.training import run


def main(base: str, *changes: str) -> None:
    config = getattr(cfg, base)("hyperstyle")
    for change in changes:
        name, _, value = change.partition("=")
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            pass
        config.update_from_flattened_dict({name: value})
    checks.check(config)
    devices = jax.local_devices()[:1]
    task, *shapes = run.abstract(config)
    shapes = [parallel.abstract(tree, devices) for tree in shapes]
    step, *arguments = run.busiest_step(config, task, devices, *shapes)
    estimate = memory.needed_bytes(step, *arguments) + run._BESIDES["cpu"]
    step = step.lower(*arguments).compile()
    before = settled("VmRSS")
    state, frozen, batch = jax.tree.map(ones, tuple(arguments[:3]))
    jax.block_until_ready((state, frozen, batch))
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    for _ in range(2):
        state, _ = jax.block_until_ready(step(state, frozen, batch, np.int32(1)))
    measured = status("VmHWM") - before
    print(f"{estimate / 2**20:.0f} {measured / 2**20:.0f}")


def ones(x: jax.ShapeDtypeStruct) -> jax.Array:
    return jax.device_put(jnp.ones(x.shape, x.dtype), x.sharding)


def settled(name: str) -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return status(name)


def status(name: str) -> int:
    """Bytes of an entry in this process's /proc/self/status."""
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
