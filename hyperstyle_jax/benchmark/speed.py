"""How long things take at full width: one table, each row in a process of its own.

Weights are drawn at random: time does not depend on them. `python -m
hyperstyle_jax.benchmark.speed NAME` measures one item and prints it as JSON.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hyperstyle_jax.benchmark.speed_items import EVERY, GROWTH
from hyperstyle_jax.system import huge_pages

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
    import jax

    from hyperstyle_jax.benchmark import flops
    from hyperstyle_jax.loop import memory

    item = EVERY[name]
    found = {"dtype": item.dtype}
    if item.make is None:
        times = _times(item.stream())
    else:
        function, args = item.make()
        if not hasattr(function, "lower"):
            function = jax.jit(function)
        start = time.perf_counter()
        compiled = function.lower(*args).compile()
        found["compile_s"] = time.perf_counter() - start
        found["gflop"] = flops.count(function, *args) / 1e9
        times = _times(_caller(compiled, list(args), item.renews))
    median = statistics.median(times)
    found |= {"median_s": median, "runs": len(times), "min_s": min(times)}
    found["images_per_s"] = item.images / median
    found["peak_gib"] = memory.peak_bytes(jax.local_devices()[:1]) / 2**30
    found["device"] = _device()
    # Last: its large arrays would count in the peak.
    return found | _limits(item.dtype)


def run(names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Times items one after another, each in two fresh processes.

    The second one finds the compiled program of the first on disk: `compile_warm_s`.
    Before them `yardstick_s`, in a process without large memory pages: it measures the
    machine, not what we make of it. A failure gives {"error": its last line}.
    """
    for name in names:
        with tempfile.TemporaryDirectory() as cache:
            found = _in_process(_YARDSTICK, cache) | _in_process(name, cache)
            if "compile_s" in found:
                again = _in_process(name, cache)
                found["compile_warm_s"] = again.get("compile_s")
        yield name, found


def _work(name: str) -> dict[str, Any]:
    return {"yardstick_s": _yardstick()} if name == _YARDSTICK else measure(name)


def _in_process(name: str, cache: str) -> dict[str, Any]:
    environment = dict(os.environ)
    if environment.get(huge_pages.VARIABLE) == huge_pages.SETTING:
        del environment[huge_pages.VARIABLE]  # our own, see huge_pages.restart
    if name != _YARDSTICK:
        flags = f"--xla_force_host_platform_device_count={EVERY[name].devices}"
        flags = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
        environment |= huge_pages.environment() | {"XLA_FLAGS": flags}
    # Without it the last line of an error is a remark of JAX's on tracebacks.
    environment |= {"HYPERSTYLE_CACHE": cache, "JAX_TRACEBACK_FILTERING": "off"}
    command = [sys.executable, "-m", "hyperstyle_jax.benchmark.speed", name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    if done.returncode:
        return {"error": lines[-1]}
    try:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError, TypeError):
        return {"error": f"no figures: {lines[-1]}"}


def summary(items: dict[str, dict]) -> dict[str, Any]:
    """The content of the JSON file: items, the median yardstick, the device."""
    good = [v for v in items.values() if "error" not in v]
    yardsticks = [v["yardstick_s"] for v in good]
    return {
        "items": items,
        "yardstick_s": statistics.median(yardsticks) if yardsticks else None,
        "device": good[0]["device"] if good else None,
    }


def ratios(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """(name, old time / new time), both in units of their own yardstick."""
    for name, item in new["items"].items():
        before = old["items"].get(name, {})
        if "median_s" in item and "median_s" in before:
            times = (v["median_s"] / v["yardstick_s"] for v in (before, item))
            then, now = times
            yield name, then / now


def growth(items: dict[str, dict]) -> dict[str, dict[int, float]]:
    """{"resolution": {64: seconds, …}, "batch": …} of the items that were timed."""
    found = {}
    for what, sizes in GROWTH.items():
        times = {n: items.get(f"{what}_{n}", {}).get("median_s") for n in sizes}
        found[what] = {n: t for n, t in times.items() if t is not None}
    return {what: times for what, times in found.items() if times}


def _caller(compiled, args: list, renews: bool) -> Callable[[], Any]:
    def call():
        result = compiled(*args)
        if renews:
            args[0] = result[0]
        return result

    return call


def _times(call: Callable[[], Any]) -> list[float]:
    """Seconds of each run after a first one that does not count."""
    import jax

    jax.block_until_ready(call())
    times = []
    while len(times) < _RUNS or sum(times) < _SECONDS:
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return times


def _yardstick() -> float:
    """One float32 3×3 convolution, 128 → 128 channels at 256²: the best of 7."""
    import jax
    import jax.numpy as jnp

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
    import jax
    import jax.numpy as jnp

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
    import jax

    jax.block_until_ready(call())
    times = []
    for _ in range(count):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return times


def _device() -> str:
    import jax

    kind = jax.local_devices()[0].device_kind
    return f"{kind}, {os.cpu_count()} CPU cores"


def _main(name: str):
    from hyperstyle_jax.system import compilation_cache

    compilation_cache.enable()
    print(json.dumps(_work(name)))


if __name__ == "__main__":
    _main(sys.argv[1])
