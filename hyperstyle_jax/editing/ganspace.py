"""GANSpace: principal components of w. https://arxiv.org/abs/2004.02546"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.editing.directions import at_rows
from hyperstyle_jax.offsets import Inversion


class Components(NamedTuple):
    """mean [D], unit directions [K, D] (the widest first) and their spread [K]."""

    mean: np.ndarray
    directions: np.ndarray
    std: np.ndarray


def fit_components(w: np.ndarray, count: int | None = None) -> Components:
    """Principal components of latents w [N, D]; each one's largest entry is positive.

    `edit(inversion, c.directions[i] * c.std[i], strength)` moves along one of them, in
    units of its standard deviation.
    """
    w = np.asarray(w, np.float64)
    mean = w.mean(0)
    covariance = (w - mean).T @ (w - mean) / max(len(w) - 1, 1)
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(values)[::-1][:count]
    directions = vectors[:, order].T
    largest = np.abs(directions).argmax(1)
    directions *= np.sign(directions[np.arange(len(directions)), largest])[:, None]
    std = np.sqrt(np.maximum(values[order], 0.0))
    return Components(*(a.astype(np.float32) for a in (mean, directions, std)))


def move_to(
    inversion: Inversion,
    components: Components,
    index: int,
    position: float,
    rows: Sequence[int],
) -> Inversion:
    """Moves the chosen rows to an absolute position along one component.

    The published GANSpace edits are such (component, rows, position) triples. The
    current position is that of row 0.

    Args:
        inversion: with w_plus [B, L, D].
        components: of the generator's w.
        index: which component.
        position: in standard deviations from the mean latent.
        rows: the rows of w+ that move.
    """
    w = inversion.w_plus
    if w.ndim != 3:
        raise ValueError(f"w_plus of shape {w.shape}: expected [B, L, D]")
    direction, std = components.directions[index], components.std[index]
    now = jnp.dot(w[:, 0] - components.mean, direction, precision="highest") / std
    step = at_rows(jnp.asarray(direction * std), rows, w.shape[1])
    return inversion.replace(w_plus=w + (position - now)[:, None, None] * step)
