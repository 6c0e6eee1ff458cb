"""Reads curves over strengths at an equal change of the attribute."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MOST = 1.0  # standard deviations of the attribute
LEAST = 0.25  # methods that do not reach as much are not compared
_RESAMPLES, _LEVEL = 999, 0.95


def reached(curve: Mapping[str, Any]) -> float:
    """The change that the mean over images reaches on both sides of strength 0."""
    change = np.asarray(curve["change"]).mean(0)
    zero = list(curve["strengths"]).index(0.0)
    return float(min(-change[: zero + 1].min(), change[zero:].max()))


def common(curves: Sequence[Mapping[str, Any]]) -> float | None:
    """The largest change up to `MOST` at which methods can be compared.

    Methods that do not reach `LEAST` are left aside.

    Args:
        curves: of one direction, as of `editability.measure`.
    """
    enough = [r for r in map(reached, curves) if r >= LEAST]
    return min(MOST, *enough) if enough else None


def at(curve: Mapping[str, Any], values: Sequence[Any], change: float) -> float | None:
    """A measure where the mean change is ±`change`, the mean of both sides.

    Args:
        curve: with `strengths` and `change`.
        values: [N, S] of images, or [S].
        change: in standard deviations.

    Returns:
        Between measured strengths by a straight line; None where the curve does not
        reach the change, or has no value there.
    """
    return _at(curve["strengths"], np.asarray(curve["change"]).mean(0), values, change)


def _at(strengths, changes, values, change) -> float | None:
    values = np.asarray(values, np.float64)  # None becomes NaN
    values = values.mean(0) if values.ndim == 2 else values
    zero, found = list(strengths).index(0.0), []
    for side, sign in ((slice(zero, None), 1), (slice(zero, None, -1), -1)):
        passed = np.flatnonzero(sign * changes[side] >= change)
        if not len(passed):
            return None
        i, x, y = int(passed[0]), sign * changes[side], values[side]
        if i == 0:
            found.append(y[0])
            continue
        share = (change - x[i - 1]) / (x[i] - x[i - 1])
        low = y[i] if np.isnan(y[i - 1]) else y[i - 1]  # nothing at strength 0
        found.append(low + share * (y[i] - low))
    mean = float(np.mean(found))
    return mean if np.isfinite(mean) else None


def interval(
    curves: Sequence[tuple[Mapping[str, Any], Sequence[Any], float]],
) -> list[float] | None:
    """The 95 % bootstrap interval over images of the mean of `at` over directions.

    Args:
        curves: (curve, values [N, S], change) of each direction, of the same images.

    Returns:
        [low, high]; None with fewer than two images.
    """
    count = len(curves[0][1]) if curves else 0
    if count < 2:
        return None
    rng, means = np.random.default_rng(0), []
    arrays = [
        (c["strengths"], np.asarray(c["change"]), np.asarray(v), change)
        for c, v, change in curves
    ]
    for _ in range(_RESAMPLES):
        chosen = rng.integers(0, count, count)
        found = [
            _at(s, c[chosen].mean(0), v[chosen], change) for s, c, v, change in arrays
        ]
        if finite := [f for f in found if f is not None]:
            means.append(np.mean(finite))
    outside = (1 - _LEVEL) / 2
    if not means:
        return None
    return [float(v) for v in np.quantile(means, [outside, 1 - outside])]
