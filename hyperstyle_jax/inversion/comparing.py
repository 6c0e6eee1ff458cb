"""Checks inversions on disk, and compares two of one photo."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from hyperstyle_jax.inversion import pipeline, storage
from hyperstyle_jax.inversion.storage import StoredInversion
from hyperstyle_jax.weights.bundle import Bundle

GOOD, FOREIGN, DAMAGED = "ok", "other model", "damaged"


class Checked(NamedTuple):
    """One file: `GOOD`, `FOREIGN` or `DAMAGED`, why, and its content if readable."""

    state: str
    why: str
    stored: StoredInversion | None


class Difference(NamedTuple):
    """How far two inversions are apart.

    Attributes:
        latent: root mean square of the differences of w+.
        weights: length of the difference of the layer embeddings, in lengths of the
            first's; NaN where only one has iterations, or their layers differ.
        image: mean squared difference of what they render, in [-1, 1].
    """

    latent: float
    weights: float
    image: float


def check(bundle: Bundle, path: str | Path) -> Checked:
    """Reads a file, and sees whether it is finite and fits the bundle."""
    try:
        stored = storage.load(path)
    except (ValueError, OSError) as error:
        return Checked(DAMAGED, str(error).removeprefix(f"{path} "), None)
    try:
        storage.check_model(bundle, stored)
    except ValueError as error:
        return Checked(FOREIGN, str(error), stored)
    try:
        storage.check_fit(bundle, stored)
    except ValueError as error:
        return Checked(DAMAGED, str(error), stored)
    return Checked(GOOD, "", stored)


def difference(
    bundle: Bundle, first: StoredInversion, second: StoredInversion
) -> Difference:
    """Compares two inversions that fit the bundle."""
    latent = float(np.sqrt(np.mean((first.w_plus - second.w_plus) ** 2)))
    pictures = [
        np.clip(pipeline.render(bundle, storage.restore(bundle, [stored]))[0], -1, 1)
        for stored in (first, second)
    ]
    image = float(np.mean((pictures[0] - pictures[1]) ** 2))
    return Difference(latent, _weights(first, second), image)


def _weights(first, second) -> float:
    if first.num_iters == second.num_iters == 0:
        return 0.0
    shapes = [{k: v.shape for k, v in s.embeddings.items()} for s in (first, second)]
    if shapes[0] != shapes[1]:
        return float("nan")
    ours, theirs = (
        np.concatenate([s.embeddings[k].ravel() for k in sorted(s.embeddings)])
        for s in (first, second)
    )
    length = max(float(np.linalg.norm(ours)), 1e-12)
    return float(np.linalg.norm(ours - theirs)) / length
