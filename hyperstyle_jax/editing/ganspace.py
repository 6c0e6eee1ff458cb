"""GANSpace edits along principal components of w, https://arxiv.org/abs/2004.02546."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.editing.directions import at_rows
from hyperstyle_jax.editing.eigenvectors import sorted_eigenvectors, with_signs
from hyperstyle_jax.offsets import Inversion


class Components(NamedTuple):
    """The principal components of a set of latents.

    Attributes:
        mean: of the latents, [D].
        directions: unit vectors [K, D], the one of the largest variance first.
        std: standard deviation of the latents along each direction, [K].
    """

    mean: np.ndarray
    directions: np.ndarray
    std: np.ndarray


FORMS = ("exact", "pca", "ipca")
_BATCH = 2000  # latents of a step of "ipca", or three times the components


def fit_components(
    w: np.ndarray, count: int | None = None, form: str = "exact"
) -> Components:
    """Fits the principal components of latents.

    `edit(inversion, c.directions[i] * c.std[i], strength)` moves along one of them, in
    units of its standard deviation.

    Args:
        w: [N, D].
        count: K, the number of components; by default D.
        form: "exact", with deviations over N − 1; "pca" and "ipca" are the estimators
            of the released program: deviations over N, and the incremental one of
            scikit-learn, which forgets the smaller components of earlier batches.

    Returns:
        Components; the largest entry of each direction is positive.

    Raises:
        ValueError: another form.
    """
    if form not in FORMS:
        raise ValueError(f"GANSpace of form {form!r}: expected {', '.join(FORMS)}")
    w = np.asarray(w, np.float64)
    if form == "ipca":
        mean, directions, std = _incremental(w, count or w.shape[1])
    else:
        mean = w.mean(0)
        divisor = len(w) if form == "pca" else max(len(w) - 1, 1)
        std, directions = sorted_eigenvectors(
            (w - mean).T @ (w - mean) / divisor, count
        )
    return Components(*(a.astype(np.float32) for a in (mean, directions, std)))


def _incremental(w, count) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, components and deviations, batch after batch.

    https://www.cs.toronto.edu/~dross/ivt/RossLimLinYang_ijcv.pdf, section 3.1
    """
    size = max(_BATCH, 3 * count)
    mean, seen = np.zeros(w.shape[1]), 0
    values, directions = np.zeros(0), np.zeros((0, w.shape[1]))
    for start in range(0, len(w), size):
        batch = w[start : start + size]
        new, n = batch.mean(0), len(batch)
        shift = np.sqrt(seen * n / (seen + n)) * (mean - new)
        rows = [values[:, None] * directions, batch - new, shift[None]]
        _, values, directions = np.linalg.svd(np.concatenate(rows), full_matrices=False)
        values, directions = values[:count], directions[:count]
        mean, seen = (seen * mean + n * new) / (seen + n), seen + n
    std = values / np.sqrt(max(seen - 1, 1))
    return mean, with_signs(directions), std


def move_to(
    inversion: Inversion,
    components: Components,
    index: int,
    position: float,
    rows: Sequence[int],
) -> Inversion:
    """Moves rows of w+ to an absolute position along one component.

    The published GANSpace edits are such (component, rows, position) triples. The
    current position of an image is that of its row 0.

    Args:
        inversion: of B images.
        components: of the generator's w.
        index: of the component.
        position: in standard deviations from the mean latent.
        rows: the indices of the rows that move.

    Raises:
        ValueError: latents of another shape, or a row that w+ does not have.
    """
    w = inversion.w_plus
    if w.ndim != 3:
        raise ValueError(f"w_plus of shape {w.shape}: expected [B, L, D]")
    direction, std = components.directions[index], components.std[index]
    current = jnp.dot(w[:, 0] - components.mean, direction, precision="highest") / std
    step = at_rows(jnp.asarray(direction * std), rows, w.shape[1])
    return inversion.replace(w_plus=w + (position - current)[:, None, None] * step)
