"""The mean of a measure over images, and how sure it is."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_LEVEL, _RESAMPLES = 0.95, 9999


def summarize(values: Mapping[str, float]) -> dict[str, Any]:
    """Mean, deviation and interval of one measure.

    Args:
        values: {image: value}; those that are not finite are counted and named, and
            are no part of the mean.

    Returns:
        `images` (how many are in the mean), `mean`, `deviation` (of a sample, with
        N − 1), `interval` ([low, high], 95 %, percentiles of bootstrap means with the
        seed 0) and `not_finite` (names). What cannot be computed is None.
    """
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    finite = np.array([v for v in values.values() if math.isfinite(v)], np.float64)
    several = len(finite) > 1
    return {
        "images": len(finite),
        "mean": float(finite.mean()) if len(finite) else None,
        "deviation": float(finite.std(ddof=1)) if several else None,
        "interval": interval(finite) if several else None,
        "not_finite": bad,
    }


def interval(values: Sequence[float] | np.ndarray) -> list[float]:
    """The 95 % bootstrap interval of the mean, [low, high]."""
    from scipy import stats

    values = np.asarray(values, np.float64)
    if np.ptp(values) == 0:
        return [float(values[0])] * 2
    result = stats.bootstrap(
        (values,), np.mean, confidence_level=_LEVEL, n_resamples=_RESAMPLES,
        method="percentile", rng=np.random.default_rng(0), batch=100,
    )  # fmt: skip
    return [float(v) for v in result.confidence_interval]
