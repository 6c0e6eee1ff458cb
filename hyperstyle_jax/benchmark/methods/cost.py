"""What an inversion costs: seconds, compilation, memory; in processes of their own.

`python -m hyperstyle_jax.benchmark.methods.cost` measures one method and prints its
figures as JSON. The first process finds no compiled program, and gives the seconds of
compilation; the second finds it, and gives all others.
"""

import json
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.benchmark import process
from hyperstyle_jax.benchmark.methods.plan import Plan, base, kept, key
from hyperstyle_jax.inversion import methods
from hyperstyle_jax.loop import memory
from hyperstyle_jax.system import compilation_cache, huge_pages
from hyperstyle_jax.weights import bundle
from hyperstyle_jax.weights.bundle import Bundle

_RUNS, _SECONDS = 5, 2.0  # timed runs at most, unless they take fewer seconds
_MOST_RUNS = 50
_BUDGET = 120.0  # seconds after which no larger batch is tried
_GAIN = 0.97  # a larger batch is better if an image takes less than this share


def measure(plan: Plan, method: str) -> dict[str, Any]:
    """The costs of a method, unless they are on disk.

    Returns:
        `seconds` and `best_batch_seconds` per image, medians; `best_batch`;
        `compile_seconds`; `peak_memory_gib` of a process that inverts one image;
        `device`; or `error`.
    """
    size = next(iter(plan.x.values())).shape
    name = key(
        plan.model.id, base(method), plan.settings(method), size, process.device()
    )
    return kept(plan.file(method, "cost.json"), name, partial(_measure, plan, method))


def _measure(plan: Plan, method: str) -> dict[str, Any]:
    targets = [str(plan.target(name).resolve()) for name in plan.names]
    question: dict[str, Any] = {
        "model": plan.source,
        "method": base(method),
        "settings": plan.methods[method],
    }
    with tempfile.TemporaryDirectory() as cache:
        environment = {**huge_pages.environment(), "HYPERSTYLE_CACHE": cache}
        ask = partial(process.figures, __name__, environment=environment)
        cold = ask([json.dumps(question | {"targets": targets[:1]})])
        if "error" in cold:
            return cold
        warm = ask([json.dumps(question | {"targets": targets})])
    compiling = max(0.0, cold["first_seconds"] - cold["seconds"])
    return warm if "error" in warm else warm | {"compile_seconds": round(compiling, 3)}


def figures(
    model: Bundle, x: np.ndarray, method: str, settings: dict[str, Any]
) -> dict[str, Any]:
    """Times a method in this process.

    Args:
        model: the bundle.
        x: [N, h, w, 3] in [-1, 1]; batches are doubled up to N images, as long as each
            takes less time.
        method: its name.
        settings: that differ from its defaults.

    Returns:
        As `measure`, with `first_seconds` of the first call and `batches` {batch:
        seconds per image}.
    """

    def call(batch: int) -> float:
        start = time.perf_counter()
        given = jnp.asarray(x[:batch])
        jax.block_until_ready(methods.invert(model, given, method, **settings))
        return (time.perf_counter() - start) / batch

    begun = time.perf_counter()
    found: dict[str, Any] = {"first_seconds": call(1)}
    times = {1: _median(partial(call, 1))}
    peak = memory.peak_bytes(jax.local_devices()[:1])
    batch = 2
    while batch <= len(x) and time.perf_counter() - begun < _BUDGET:
        call(batch)  # compiles
        times[batch] = _median(partial(call, batch))
        if times[batch] > _GAIN * times[batch // 2]:
            break
        batch *= 2
    best = min(times, key=lambda b: times[b])
    return found | {
        "seconds": times[1],
        "best_batch": best,
        "best_batch_seconds": times[best],
        "batches": times,
        "peak_memory_gib": peak / 2**30,
        "device": process.device(),
    }


def _median(call) -> float:
    """Of the seconds of several runs; slow ones run once or twice."""
    times, begun = [], time.perf_counter()
    while not times or (
        len(times) < _MOST_RUNS
        and (time.perf_counter() - begun < _SECONDS or len(times) < _RUNS)
        and time.perf_counter() - begun < _BUDGET / 4
    ):
        times.append(call())
    return statistics.median(times)


def _main(question: dict[str, Any]) -> None:
    compilation_cache.enable()
    targets = [images.read(Path(path)) for path in question["targets"]]
    x = images.to_float(np.stack(targets))
    model = bundle.load(question["model"])
    print(json.dumps(figures(model, x, question["method"], question["settings"])))


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
