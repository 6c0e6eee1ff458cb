"""How close the stored inversions of a method are to their targets, each image once."""

import statistics
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hyperstyle_jax import images
from hyperstyle_jax.benchmark.methods import inverting
from hyperstyle_jax.benchmark.methods.plan import Plan, kept, key, nets_key
from hyperstyle_jax.data.entries import File
from hyperstyle_jax.evaluation import results
from hyperstyle_jax.evaluation.pairs import Pair


def measure(plan: Plan, method: str, failed: Mapping[str, str]) -> dict[str, Any]:
    """Measures a method, unless that is on disk; writes the pictures too.

    Args:
        plan: of the benchmark.
        method: its name; not all of its images have failed.
        failed: images that it could not invert; they count with the mean picture.

    Returns:
        `values` {measure: {image: value}}, `frechet` as of `results.measure`, and
        `bytes` of the median file.
    """
    name = key(nets_key(plan), notes(plan, method, failed))
    path = plan.file(method, "quality.json")
    return kept(path, name, partial(_measure, plan, method, failed))


def notes(plan: Plan, method: str, failed: Mapping[str, str]) -> list[Any]:
    """What everything depends on that is measured of a method's inversions."""
    return [
        [n, n in failed or (inverting.note(plan, method, n) or {})["key"]]
        for n in plan.names
    ]


def _measure(plan: Plan, method: str, failed: Mapping[str, str]) -> dict[str, Any]:
    pairs = [
        Pair(n, _file(plan.file(method, f"{n}.png")), _file(plan.target(n)))
        for n in plan.names
    ]
    for name in tqdm(plan.names, f"rendering {method}", unit="image", disable=None):
        inversion = inverting.load(plan, method, name, name in failed)
        picture = inverting.picture(plan, inversion)
        images.save_png(plan.file(method, f"{name}.png"), picture)
    measured = results.measure(pairs, plan.nets, _read, batch_size=16, num_worst=1)
    sizes = [
        plan.file(method, f"{name}.npz").stat().st_size
        for name in plan.names
        if name not in failed
    ]
    return {
        "values": measured.values,
        "frechet": measured.frechet,
        "bytes": statistics.median_low(sizes),
    }


def _file(path: Path) -> File:
    return File(path.name, str(path), "", path.read_bytes)


def _read(pair: Pair):
    return images.read(pair.result.read(), pair.result.path)
