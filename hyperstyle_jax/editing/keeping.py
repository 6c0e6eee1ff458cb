"""Keeps attributes constant while another one is edited (`--keep`).

InterFaceGAN's conditional manipulation (https://arxiv.org/abs/2005.09635, section
2.2) takes from a boundary's normal what it shares with those of the conditions. Where
directions are calibrated, the measured side effects say more than their angles: a
little of each kept direction is added, so that the changes of its attribute cancel.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from hyperstyle_jax.weights.calibrations import Calibration

_LEAST = 0.05  # of a direction that must be left after keeping others constant


def project(direction: np.ndarray, conditions: Sequence[np.ndarray]) -> np.ndarray:
    """The part of a direction that is orthogonal to others.

    Args:
        direction: [D] or [L, D].
        conditions: of the same shape, linearly independent.

    Returns:
        Of length one, like InterFaceGAN's `project_boundary`.

    Raises:
        ValueError: nothing is left, or a shape differs.
    """
    flat = np.asarray(direction, np.float64).ravel()
    others = [np.asarray(c, np.float64).ravel() for c in conditions]
    if any(c.shape != flat.shape for c in others):
        raise ValueError("conditions of another shape than the direction")
    rest = flat
    if others:
        basis, _ = np.linalg.qr(np.stack(others, axis=1))
        rest = flat - basis @ (basis.T @ flat)
    length = np.linalg.norm(rest)
    if length < _LEAST * np.linalg.norm(flat):
        raise ValueError("nothing is left of the direction: it moves what is kept")
    return (rest / length).reshape(np.shape(direction)).astype(np.float32)


def project_scaled(
    direction: np.ndarray, conditions: Sequence[np.ndarray]
) -> np.ndarray:
    """`project`, as long as it takes to move as far along the direction as before."""
    unit = project(direction, conditions)
    square = np.sum(np.square(direction), dtype=np.float64)
    return unit * np.float32(square / np.sum(unit * direction, dtype=np.float64))


def compensation(
    name: str, keep: Sequence[str], measured: Mapping[str, Calibration]
) -> dict[str, float]:
    """How far to go along each direction, so that one attribute alone changes.

    Args:
        name: of the edited direction.
        keep: the directions whose attributes shall not change.
        measured: calibrations of all of them.

    Returns:
        {direction: standard deviations of its attribute for one of the edited}.

    Raises:
        ValueError: the measured side effects leave no such way.
    """
    together = [name, *keep]
    attributes = [measured[n].attribute for n in together]
    effects = np.array(
        [[_effect(measured[n], a) for a in attributes] for n in together]
    )
    wanted = np.eye(len(together))[0]
    try:
        shares = np.linalg.solve(effects.T, wanted)
    except np.linalg.LinAlgError:
        shares = np.full(len(together), np.inf)
    if not np.abs(shares).max() < 1 / _LEAST:
        raise ValueError(
            f"{name} cannot be edited while {', '.join(keep)} stays: their directions "
            "move the same attributes"
        )
    return dict(zip(together, map(float, shares), strict=True))


def _effect(calibration: Calibration, attribute: str) -> float:
    if attribute == calibration.attribute:
        return 1.0
    return calibration.side_effects.get(attribute, 0.0)
