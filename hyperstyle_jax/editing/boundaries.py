"""InterFaceGAN's boundaries as its authors released them: a linear SVM of the extremes.

https://arxiv.org/abs/2005.09635, section 2.1. `interfacegan.fit_directions` is ours,
a regression over all images, and keeps other attributes better.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import linalg


class Boundary(NamedTuple):
    """A hyperplane between images that show an attribute and those that do not.

    Attributes:
        normal: [D], of length one, towards the images that show it.
        validation: share of the held-out extremes on their right side.
        remaining: the same for the images between the extremes, split at the middle
            of the scores; NaN if there are none.
    """

    normal: np.ndarray
    validation: float
    remaining: float


def fit_boundary(
    latents: np.ndarray,
    scores: np.ndarray,
    *,
    extremes: float = 0.02,
    split: float = 0.7,
    invalid: float | None = None,
    shuffle: Callable[[int, int], np.ndarray] | None = None,
) -> Boundary:
    """Fits a boundary between the highest and the lowest scores.

    Args:
        latents: [N, D].
        scores: [N], how strongly each image shows the attribute.
        extremes: images on each side, as a share of all up to 1, or their number.
        split: the share of them that trains; the others validate.
        invalid: a score that says that there is none.
        shuffle: (n, side) → a permutation of n, for side 0 (high) and 1 (low); by
            default drawn from a fixed seed.

    Returns:
        Boundary.

    Raises:
        ValueError: shapes that do not fit, or too few images.
    """
    latents, scores = np.asarray(latents, np.float64), np.asarray(scores).ravel()
    if latents.ndim != 2 or len(scores) != len(latents):
        raise ValueError(f"{len(scores)} scores for latents of shape {latents.shape}")
    if invalid is not None:
        latents, scores = latents[scores != invalid], scores[scores != invalid]
    order = np.argsort(scores)[::-1]
    latents, scores = latents[order], scores[order]
    count = int(len(scores) * extremes) if extremes <= 1 else int(extremes)
    count = min(count, len(scores) // 2)
    train = int(count * split)
    if train < 1 or scores[0] == scores[-1]:
        raise ValueError(
            f"{len(scores)} labelled images with {count} on each side and scores from "
            f"{scores.min(initial=0):g} to {scores.max(initial=0):g}: too few, or alike"
        )
    sides = (latents[:count], latents[len(latents) - count :])
    high, low = (side[(shuffle or _shuffle)(count, i)] for i, side in enumerate(sides))
    normal, offset = linear_svm(
        np.concatenate([high[:train], low[:train]]), np.repeat([1.0, -1.0], train)
    )
    between = slice(count, len(latents) - count)
    middle = scores[between] >= (scores[0] + scores[-1]) / 2
    right = (latents[between] @ normal + offset > 0) == middle
    validation = np.concatenate(
        [high[train:] @ normal + offset > 0, low[train:] @ normal + offset <= 0]
    )
    return Boundary(
        (normal / np.linalg.norm(normal)).astype(np.float32),
        float(validation.mean()) if validation.size else float("nan"),
        float(right.mean()) if right.size else float("nan"),
    )


def _shuffle(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(side).permutation(count)


def linear_svm(
    x: np.ndarray, y: np.ndarray, cost: float = 1.0
) -> tuple[np.ndarray, float]:
    """The support vector machine with hinge loss, by an interior-point method.

    Minimizes |w|²/2 + cost·Σ max(0, 1 − y (w·x + b)) through its dual, maximize
    Σ α − |Σ α y x|²/2 with 0 ≤ α ≤ cost and Σ α y = 0, to about 1e-9.

    Args:
        x: [N, D].
        y: [N], 1 or −1.
        cost: of an image on the wrong side.

    Returns:
        w [D] and b.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    signed = x * y[:, None]
    gram = signed @ signed.T
    alpha = np.full(len(y), cost / 2)
    low, high = np.ones(len(y)), np.ones(len(y))  # multipliers of both bounds
    offset = 0.0
    for _ in range(100):
        rest = cost - alpha
        mu = (alpha @ low + rest @ high) / (2 * len(y))
        dual = gram @ alpha - 1 + offset * y - low + high
        balance = y @ alpha
        if max(mu, np.abs(dual).max(), abs(balance)) < 1e-11 * max(1.0, cost):
            break
        target = 0.1 * mu
        # Newton's step, with both multipliers eliminated.
        diagonal = low / alpha + high / rest
        factor = linalg.cho_factor(gram + np.diag(diagonal))
        right = -(dual + low - high) + target / alpha - target / rest
        solved = linalg.cho_solve(factor, np.stack([right, y], axis=1))
        d_offset = (y @ solved[:, 0] + balance) / (y @ solved[:, 1])
        d_alpha = solved[:, 0] - d_offset * solved[:, 1]
        d_low = target / alpha - low - low / alpha * d_alpha
        d_high = target / rest - high + high / rest * d_alpha
        bounds = [(alpha, d_alpha), (rest, -d_alpha), (low, d_low), (high, d_high)]
        step = min(1.0, 0.995 * min(_room(v, d) for v, d in bounds))
        alpha, offset = alpha + step * d_alpha, offset + step * d_offset
        low, high = low + step * d_low, high + step * d_high
    return signed.T @ alpha, float(offset)


def _room(value, change) -> float:
    """The longest step that keeps all numbers positive."""
    falling = change < 0
    return float(np.min(-value[falling] / change[falling], initial=np.inf))
