"""Edit directions from labelled latents: one linear boundary per attribute.

InterFaceGAN, https://arxiv.org/abs/2005.09635. Two things differ, both measured to keep
the other attributes better. The boundary is a ridge regression over all
images, not a classifier of the extreme ones. And an edit does not go along the
boundary's normal but takes the likeliest way: with Σ the covariance of the latents and
B the normals of all attributes, d = Σ B (Bᵀ Σ B)⁻¹ e_i is, of all steps that change
attribute i alone, the one of least Mahalanobis length.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np


class Boundaries(NamedTuple):
    """What `fit_directions` found, by attribute.

    `directions` [D]: one unit of strength is one standard deviation of the latents,
    positive raises the score. `explained`: how much of the score's variance a linear
    function of w predicts; far below 1 there is no such direction, or too few images.
    """

    directions: dict[str, np.ndarray]
    explained: dict[str, float]


def fit_directions(
    w: np.ndarray,
    scores: Mapping[str, np.ndarray],
    *,
    only: Iterable[str] | None = None,
    independent: bool = True,
    ridge: float = 1e-4,
) -> Boundaries:
    """One direction per attribute, ready for `edit`.

    Args:
        w: [N, D] latents of generated images, many more than D.
        scores: attribute → [N], how strongly each image shows it (a logit, an angle).
        only: the attributes to return; the others are just kept constant. Default all.
        independent: keep the other attributes constant (the paper's conditional
            manipulation); else they move as they do in the data.
        ridge: added to Σ, relative to the mean variance.

    Raises:
        ValueError: an attribute does not vary, or follows from the others.
    """
    w = np.asarray(w, np.float64)
    s = np.stack([_standardized(n, v, len(w)) for n, v in scores.items()], axis=1)
    w = w - w.mean(0)
    variance = w.var(0).mean()
    sigma = w.T @ w / len(w) + ridge * variance * np.eye(w.shape[1])
    moves = w.T @ s / len(w)  # Σ B
    normals = np.linalg.solve(sigma, moves)
    explained = 1.0 - np.square(s - w @ normals).mean(0)
    if independent:
        moves = moves @ _inverse(normals.T @ moves, list(scores))
    lengths = np.sqrt((moves * np.linalg.solve(sigma, moves)).sum(0))
    directions = dict(zip(scores, (moves / lengths).T.astype(np.float32), strict=True))
    return Boundaries(
        {name: directions[name] for name in (scores if only is None else only)},
        {name: float(e) for name, e in zip(scores, explained, strict=True)},
    )


def _standardized(name: str, score, count: int) -> np.ndarray:
    score = np.asarray(score, np.float64)
    if score.shape != (count,):
        raise ValueError(f"{name}: scores of shape {score.shape} for {count} latents")
    spread = score.std()
    if not spread > 1e-6 * (1e-6 + np.abs(score).max()):
        raise ValueError(
            f"{name} is the same in all {count} images: draw more, or leave it out"
        )
    return (score - score.mean()) / spread


def _inverse(gram: np.ndarray, names: list[str]) -> np.ndarray:
    """(Bᵀ Σ B)⁻¹, unless an attribute is a linear function of the others."""
    values = np.linalg.eigvalsh(gram)
    if values[0] < 1e-6 * values[-1]:
        _, vectors = np.linalg.eigh(gram)
        bad = [n for n, v in zip(names, vectors[:, 0], strict=True) if abs(v) > 0.1]
        raise ValueError(
            f"{' and '.join(bad)} cannot be told apart in the latents: leave one of "
            "them out, or pass independent=False"
        )
    return np.linalg.inv(gram)
