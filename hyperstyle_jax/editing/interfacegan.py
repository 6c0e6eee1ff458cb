"""InterFaceGAN fits edit directions to labelled latents, one for each attribute.

https://arxiv.org/abs/2005.09635. Two things differ from the paper; measured, both keep
the other attributes better. The boundary's normal comes from a ridge regression over
all images and not from a classifier of the extreme ones. And an edit does not follow
the normal but the most likely way: with Σ the covariance of the latents and B the
normals of all attributes, d = Σ B (Bᵀ Σ B)⁻¹ eᵢ is, among all steps that change
attribute i alone, the one of least Mahalanobis length.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np


class Boundaries(NamedTuple):
    """The result of `fit_directions`, by attribute.

    Attributes:
        directions: [D]; one unit of strength is one standard deviation of the latents,
            positive raises the score.
        explained: the share of the score's variance that a linear function of w
            predicts. Far below 1 there is no such direction, or there are too few
            images.
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
    """Fits one direction for each attribute, ready for `edit`.

    Args:
        w: latents [N, D] of generated images, many more than D.
        scores: {attribute: [N]}, how strongly each image shows it (a logit, an angle).
        only: the attributes to return, by default all; the others are kept constant.
        independent: keep the other attributes constant (the paper's conditional
            manipulation); else they move as they do in the data.
        ridge: added to Σ, relative to the mean variance.

    Returns:
        Boundaries.

    Raises:
        ValueError: an attribute does not vary, or follows from the others.
    """
    w = np.asarray(w, np.float64)
    s = np.stack([_standardize(n, v, len(w)) for n, v in scores.items()], axis=1)
    w = w - w.mean(0)
    variance = w.var(0).mean()
    sigma = w.T @ w / len(w) + ridge * variance * np.eye(w.shape[1])
    steps = w.T @ s / len(w)  # Σ B
    normals = np.linalg.solve(sigma, steps)
    explained = 1.0 - np.square(s - w @ normals).mean(0)
    if independent:
        steps = steps @ _invert_gram(normals.T @ steps, list(scores))
    lengths = np.sqrt((steps * np.linalg.solve(sigma, steps)).sum(0))  # Mahalanobis
    directions = dict(zip(scores, (steps / lengths).T.astype(np.float32), strict=True))
    return Boundaries(
        {name: directions[name] for name in (scores if only is None else only)},
        {name: float(e) for name, e in zip(scores, explained, strict=True)},
    )


def _standardize(name: str, score, count: int) -> np.ndarray:
    score = np.asarray(score, np.float64)
    if score.shape != (count,):
        raise ValueError(f"{name}: scores of shape {score.shape} for {count} latents")
    std = score.std()
    if not std > 1e-6 * (1e-6 + np.abs(score).max()):
        raise ValueError(
            f"{name} is the same in all {count} images: draw more, or leave it out"
        )
    return (score - score.mean()) / std


def _invert_gram(gram: np.ndarray, names: list[str]) -> np.ndarray:
    """(Bᵀ Σ B)⁻¹, unless an attribute is a linear function of the others."""
    values = np.linalg.eigvalsh(gram)
    if values[0] < 1e-6 * values[-1]:
        _, vectors = np.linalg.eigh(gram)
        smallest = zip(names, vectors[:, 0], strict=True)
        dependent = [name for name, entry in smallest if abs(entry) > 0.1]
        raise ValueError(
            f"{' and '.join(dependent)} cannot be told apart in the latents: leave one "
            "of them out, or pass independent=False"
        )
    return np.linalg.inv(gram)
