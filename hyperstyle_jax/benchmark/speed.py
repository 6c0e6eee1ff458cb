"""Times networks at full width, each item in a process of its own.

The weights are random: the time does not depend on them. `python -m
hyperstyle_jax.benchmark.speed NAME` measures one item and prints its figures as JSON.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hyperstyle_jax.benchmark import flops, process
from hyperstyle_jax.benchmark.speed_items import EVERY, GROWTH
from hyperstyle_jax.loop import memory
from hyperstyle_jax.system import compilation_cache, huge_pages

_RUNS = 5  # timed runs at least
_SECONDS = 3.0  # of timed runs at least
_YARDSTICK = "yardstick"


def measure(name: str) -> dict[str, Any]:
    """Times one item in this process.

    Returns:
        `median_s`, `runs`, `min_s`, `images_per_s`, `peak_gib`, `dtype`, `device`; of
        compiled items `compile_s` and `gflop`; of the machine `copy_gb_s` and
        `matmul_gflops`, in the item's dtype.
    """
    item = EVERY[name]
    figures: dict[str, Any] = {"dtype": item.dtype}
    if item.make is None:
        times = _times(item.stream())
    else:
        function, args = item.make()
        program = function if hasattr(function, "lower") else jax.jit(function)
        start = time.perf_counter()
        compiled = program.lower(*args).compile()
        figures["compile_s"] = time.perf_counter() - start
        figures["gflop"] = flops.count(function, *args) / 1e9
        times = _times(_caller(compiled, list(args), item.renews))
    median = statistics.median(times)
    figures |= {"median_s": median, "runs": len(times), "min_s": min(times)}
    figures["images_per_s"] = item.images / median
    figures["peak_gib"] = memory.peak_bytes(jax.local_devices()[:1]) / 2**30
    figures["device"] = process.device()
    # These come last: their large arrays would count in the peak.
    return figures | _limits(item.dtype)


def run(names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Times items one after another, each in two fresh processes.

    The second one finds the compiled program of the first on disk: `compile_warm_s`.
    Before them a process without large memory pages measures `yardstick_s`, the speed
    of the machine itself. A failure gives {"error": its last line}.
    """
    for name in names:
        with tempfile.TemporaryDirectory() as cache:
            figures = _in_process(_YARDSTICK, cache) | _in_process(name, cache)
            if "compile_s" in figures:
                again = _in_process(name, cache)
                figures["compile_warm_s"] = again.get("compile_s")
        yield name, figures


def _work(name: str) -> dict[str, Any]:
    return {"yardstick_s": _yardstick()} if name == _YARDSTICK else measure(name)


def _in_process(name: str, cache: str) -> dict[str, Any]:
    environment = {}
    if name != _YARDSTICK:
        flags = f"--xla_force_host_platform_device_count={EVERY[name].devices}"
        flags = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
        environment = huge_pages.environment() | {"XLA_FLAGS": flags}
    environment["HYPERSTYLE_CACHE"] = cache
    return process.figures("hyperstyle_jax.benchmark.speed", [name], environment)


def summary(items: dict[str, dict]) -> dict[str, Any]:
    """The content of the JSON file: items, the median yardstick, the device."""
    succeeded = [v for v in items.values() if "error" not in v]
    yardsticks = [v["yardstick_s"] for v in succeeded]
    return {
        "items": items,
        "yardstick_s": statistics.median(yardsticks) if yardsticks else None,
        "device": succeeded[0]["device"] if succeeded else None,
    }


def ratios(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """(name, old time / new time), both in units of their own yardstick."""
    for name, item in new["items"].items():
        before = old["items"].get(name, {})
        if "median_s" in item and "median_s" in before:
            old_time, new_time = (
                figures["median_s"] / figures["yardstick_s"]
                for figures in (before, item)
            )
            yield name, old_time / new_time


def growth(items: dict[str, dict]) -> dict[str, dict[int, float]]:
    """{"resolution": {64: seconds, …}, "batch": …} of the items that were timed."""
    curves = {}
    for name, sizes in GROWTH.items():
        times = {n: items.get(f"{name}_{n}", {}).get("median_s") for n in sizes}
        curves[name] = {n: t for n, t in times.items() if t is not None}
    return {name: times for name, times in curves.items() if times}


def _caller(compiled, args: list, renews: bool) -> Callable[[], Any]:
    def call():
        result = compiled(*args)
        if renews:
            args[0] = result[0]
        return result

    return call


def _times(call: Callable[[], Any]) -> list[float]:
    """Seconds of each run after a first one that does not count."""
    jax.block_until_ready(call())
    times = []
    while len(times) < _RUNS or sum(times) < _SECONDS:
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return times


def _yardstick() -> float:
    """One float32 3×3 convolution, 128 → 128 channels at 256²: the best of 7."""
    x, kernel = jnp.ones((1, 256, 256, 128)), jnp.ones((3, 3, 128, 128))
    numbers = ("NHWC", "HWIO", "NHWC")

    @jax.jit
    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=numbers
        )

    return min(_best(lambda: convolve(x, kernel), 7))


def _limits(dtype: str) -> dict[str, float]:
    """What this device reaches in a large product of `dtype` and a large copy."""
    small = jax.default_backend() == "cpu"
    size, length = (2048, 1 << 26) if small else (8192, 1 << 30)
    a = jax.random.normal(jax.random.key(0), (size, size), dtype)  # zeros run faster
    long = jnp.ones((length,))
    product = jax.jit(lambda a: a @ a)
    copy = jax.jit(lambda a: a + 1)
    return {
        "matmul_gflops": 2 * size**3 / min(_best(lambda: product(a), 5)) / 1e9,
        "copy_gb_s": 8 * length / min(_best(lambda: copy(long), 5)) / 1e9,
    }


def _best(call, count: int) -> list[float]:
    jax.block_until_ready(call())
    times = []
    for _ in range(count):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return times


def _main(name: str):
    compilation_cache.enable()
    print(json.dumps(_work(name)))


if __name__ == "__main__":
    _main(sys.argv[1])
