"""How close reconstructions are to their targets, and when that is close enough."""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from hyperstyle_jax import losses
from hyperstyle_jax.net import Net

MEASURES = ("l2", "lpips", "identity")  # the last two need a feature extractor
_HIGHER_IS_CLOSER = {"identity"}


def distances(extractor: Net | None, y: jax.Array, x: jax.Array) -> dict:
    """Measures reconstructions.

    Args:
        extractor: Net of a FeatureExtractor, if there is one.
        y: reconstructions [B, h, w, 3].
        x: targets [B, h, w, 3] in [-1, 1].

    Returns:
        {name: [B]} by names of `MEASURES`.
    """
    values = {"l2": losses.l2(y, x)}
    if extractor is not None:
        distance, similarity = extractor(y, x, method="distances")
        values |= {"lpips": distance, "identity": similarity}
    return values


def close_enough(
    extractor: Net | None,
    y: jax.Array,
    x: jax.Array,
    bounds: Mapping[str, float | jax.Array],
) -> jax.Array:
    """Which reconstructions are within all bounds, bool [B]; NaN never is.

    Args:
        extractor, y, x: as of `distances`.
        bounds: {name: the most, of identity the least}.
    """
    values = distances(extractor, y, x)
    within = [
        values[name] >= bound if name in _HIGHER_IS_CLOSER else values[name] <= bound
        for name, bound in bounds.items()
    ]
    return jnp.stack(within).all(0)


def checked_bounds(bounds: Mapping[str, float], extractor: Net | None) -> None:
    """Refuses bounds on what cannot be measured.

    Raises:
        ValueError: an unknown measure, no feature extractor, or no number.
    """
    for name, bound in bounds.items():
        if name not in MEASURES:
            raise ValueError(
                f"{name!r} is no measure: expected {', '.join(MEASURES)}, as lpips=0.1"
            )
        if name != "l2" and extractor is None:
            raise ValueError(
                f"{name} needs a bundle with a feature extractor; this one can stop "
                "by l2 alone"
            )
        if not math.isfinite(bound):
            raise ValueError(f"{name}={bound}: expected a finite number")
