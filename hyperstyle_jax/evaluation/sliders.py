"""Checks calibrated directions on inversions of images that nothing was fitted to."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from hyperstyle_jax.editing import calibrating, steps
from hyperstyle_jax.editing.amounts import Edit
from hyperstyle_jax.editing.calibrating import Meter
from hyperstyle_jax.offsets import Inversion
from hyperstyle_jax.weights.bundle import Bundle

_FARTHEST = 2.0  # standard deviations, even where the safe range is longer
_SHARES = (1 / 3, 2 / 3, 1.0)  # of the way to its ends; always as many: compiled once


class Check(NamedTuple):
    """What came of requested changes.

    Attributes:
        row: for a table.
        requested: in standard deviations of the attribute, [S].
        measured: the same, [B, S].
        identity: cosine similarity to the image as it was before inversion and edit,
            [B, S]; None where nothing measures it.
    """

    row: dict[str, Any]
    requested: np.ndarray
    measured: np.ndarray
    identity: np.ndarray | None


def check(
    model: Bundle,
    meter: Meter,
    inversion: Inversion,
    name: str,
    *,
    amounts: Sequence[float] | None = None,
    keep: Sequence[str] = (),
    identity: np.ndarray | None = None,
) -> Check:
    """Requests changes within a direction's safe range, and measures what came.

    Args:
        model: whose direction it is, calibrated.
        meter: reads attributes; its own deviations are the units.
        inversion: of B images.
        name: of the direction.
        amounts: in standard deviations, 0 among them; by default seven from one end of
            the safe range to the other, or from −2 to 2.
        keep: directions whose attributes shall stay.
        identity: vectors of the images before inversion [B, E]; by default those of
            the unedited inversions.

    Returns:
        Check. Its row has the correlation of requested and measured changes over all
        images and amounts, the slope between them, and the three largest mean changes
        of other attributes for one standard deviation (or for the safe range's end).

    Raises:
        ValueError: the direction has no safe range.
    """
    calibration = model.calibrations[name]
    low, high = calibration.safe_changes()
    low, high = max(low, -_FARTHEST), min(high, _FARTHEST)
    down, up = ([share * end for share in _SHARES] for end in (low, high))
    chosen = list(amounts or [*down[::-1], 0.0, *up])
    if not any(chosen):
        raise ValueError(f"{name} has no safe range")
    (generator,) = model.require("generator")
    edit = Edit(name, tuple(chosen), "sd")
    moves = np.stack([step.w for step in steps.resolve(model, edit, keep)])
    effects = calibrating.measure_steps(
        generator, meter, inversion, moves, chosen, reference=identity
    )
    changes = effects.changes() / meter.std
    measured = changes[..., meter.names.index(calibration.attribute)]
    requested = np.array(chosen)
    row = _row(name, calibration, meter.names, requested, changes, effects.identity)
    return Check(row, requested, measured, effects.identity)


def _row(name, calibration, names, requested, changes, similarity) -> dict[str, Any]:
    """A line of the table; changes [B, S, A] are in standard deviations."""
    measured = changes[..., names.index(calibration.attribute)].ravel()
    pairs = np.broadcast_to(requested, changes.shape[:2]).ravel()
    ends = [int(np.abs(requested - one).argmin()) for one in (-1.0, 1.0)]
    mean = changes.mean(0)
    side = (mean[ends[1]] - mean[ends[0]]) / (requested[ends[1]] - requested[ends[0]])
    others = [(k, float(v)) for k, v in zip(names, side, strict=True)]
    others = sorted(others, key=lambda pair: -abs(pair[1]))
    others = [pair for pair in others if pair[0] != calibration.attribute]
    low, high = calibration.safe_changes()
    row = {
        "direction": name,
        "safe range": f"{low:+.1f} to {high:+.1f}",
        "correlation": round(float(np.corrcoef(pairs, measured)[0, 1]), 3),
        "slope": round(float(pairs @ measured / (pairs @ pairs)), 2),
        "+1 sd also moves": ", ".join(f"{k} {v:+.2f}" for k, v in others[:3]),
        "worst": round(abs(others[0][1]), 2) if others else 0.0,
    }
    if similarity is not None:
        row["identity at 1 sd"] = round(float(similarity[:, ends].mean()), 3)
    return row


def curve(found: Check) -> tuple[list[float], list[float]]:
    """Mean measured change and mean similarity at each amount, for a plot.

    Raises:
        ValueError: nothing measures identity.
    """
    if found.identity is None:
        raise ValueError("no identity was measured")
    return found.measured.mean(0).tolist(), found.identity.mean(0).tolist()


def target_identity(meter: Meter, x: np.ndarray) -> np.ndarray | None:
    """Vectors of identity [B, E] of images [B, h, w, 3] in [-1, 1]."""
    vectors = meter.read(jax.numpy.asarray(x))[1]
    return None if vectors is None else np.asarray(vectors)
