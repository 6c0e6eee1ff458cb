"""All numbers of a benchmark in one JSON value."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from hyperstyle_jax.benchmark import process
from hyperstyle_jax.benchmark.methods import equal_change
from hyperstyle_jax.benchmark.methods.plan import INDEPENDENT, Plan
from hyperstyle_jax.evaluation import statistics


class Found(NamedTuple):
    """What was measured of one method; what was not is empty.

    Attributes:
        failed: {image: why it was not inverted}.
        quality: of `quality.measure`.
        cost: of `cost.measure`.
        edits: {direction: of `editability.measure`}.
        error: why the method could not be measured.
    """

    failed: Mapping[str, str] = {}
    quality: Mapping[str, Any] = {}
    cost: Mapping[str, Any] = {}
    edits: Mapping[str, Mapping[str, Any]] = {}
    error: str = ""


def summarize(plan: Plan, found: Mapping[str, Found]) -> dict[str, Any]:
    """The content of benchmark.json.

    Args:
        plan: of the benchmark.
        found: by method.

    Returns:
        `images`, `size`, `device`, `model`, `networks` {role: source}, `identity` and
        `lpips` (which network counts in the tables), `equal_change` {direction: at
        which change methods are compared} and `methods` {name: …}.
    """
    changes = _changes(found)
    one = next(iter(plan.x.values()))
    return {
        "images": len(plan.x),
        "size": list(one.shape[:2]),
        "device": process.device(),
        "model": plan.source,
        "bundle": plan.model.id,
        "networks": {role: m.source for role, m in plan.nets.items()},
        "identity": plan.identity(),
        "identity_is_independent": plan.identity() in INDEPENDENT,
        "lpips": "lpips" if "lpips" in plan.nets else "lpips_form",
        "reads_attributes": plan.meter.measuring.source if plan.meter else None,
        "real_images": plan.reference_name,
        "equal_change": changes,
        "methods": {
            method: _method(plan, method, one, changes) for method, one in found.items()
        },
    }


def _changes(found: Mapping[str, Found]) -> dict[str, float]:
    """{direction: the change at which all methods are compared}."""
    names = dict.fromkeys(name for one in found.values() for name in one.edits)
    changes = {}
    for name in names:
        curves = [one.edits[name] for one in found.values() if name in one.edits]
        if change := equal_change.common(curves):
            changes[name] = math.floor(change * 1e4) / 1e4  # not more than is reached
    return changes


def _method(plan: Plan, method: str, found: Found, changes) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "title": plan.title(method),
        "settings": plan.settings(method),
        "failed": dict(found.failed),
    }
    if found.error:
        summary["error"] = found.error
    if found.quality:
        values = found.quality["values"]
        summary["measures"] = {k: statistics.summarize(v) for k, v in values.items()}
        summary["frechet"] = found.quality["frechet"]
        summary["bytes"] = found.quality["bytes"]
    if found.cost:
        summary["cost"] = {k: v for k, v in found.cost.items() if k != "key"}
    if found.edits:
        summary["edits"] = {
            name: _direction(curve, changes.get(name))
            for name, curve in found.edits.items()
        }
        summary["editability"] = _editability(plan, found, changes)
    return summary


def _direction(curve: Mapping[str, Any], change: float | None) -> dict[str, Any]:
    """Curves of means over images, and what they are at the equal change."""
    means = {
        "strengths": curve["strengths"],
        "change": _means(curve["change"]),
        "background": _means(curve["background"]),
        "identity": {role: _means(v) for role, v in curve["identity"].items()},
        "frechet": curve["frechet"],
    }
    if change:
        measures = {"background": curve["background"], "frechet": curve["frechet"]}
        measures |= {f"identity {k}": v for k, v in curve["identity"].items()}
        means["at_equal_change"] = {
            k: _rounded(equal_change.at(curve, v, change)) for k, v in measures.items()
        }
    return means


def _editability(plan: Plan, found: Found, changes) -> dict[str, Any]:
    """Means over the directions that this method reaches, with intervals."""
    curves = {
        name: curve
        for name, curve in found.edits.items()
        if name in changes and equal_change.reached(curve) >= changes[name]
    }
    summary: dict[str, Any] = {"directions": list(curves)}
    measures = {f"identity {role}": ("identity", role) for role in _roles(found)}
    for name, path in (measures | {"background": ("background",)}).items():
        chosen = [(c, _follow(c, path), changes[k]) for k, c in curves.items()]
        means = [equal_change.at(*one) for one in chosen]
        finite = [m for m in means if m is not None]
        summary[name] = {
            "mean": _rounded(sum(finite) / len(finite)) if finite else None,
            "interval": equal_change.interval(chosen),
        }
    distances = [
        equal_change.at(c, c["frechet"], changes[k]) for k, c in curves.items()
    ]
    finite = [d for d in distances if d is not None]
    mean = _rounded(sum(finite) / len(finite)) if finite else None
    return summary | {"frechet": {"mean": mean, "interval": None}}


def _roles(found: Found) -> list[str]:
    return [*next(iter(found.edits.values()))["identity"]]


def _follow(value, path):
    for name in path:
        value = value[name]
    return value


def _means(rows) -> list[float]:
    return [round(sum(column) / len(column), 6) for column in zip(*rows, strict=True)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
