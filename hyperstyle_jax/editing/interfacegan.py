"""Edit directions from labelled latents: linear boundaries, one per attribute.

InterFaceGAN, https://arxiv.org/abs/2005.09635. In the linear toy world score = n·w the
direction of an attribute is n itself.
"""

from collections.abc import Iterable, Mapping

import numpy as np


def fit_directions(
    w: np.ndarray,
    scores: Mapping[str, np.ndarray],
    *,
    only: Iterable[str] | None = None,
    share: float = 0.1,
    independent: bool = True,
) -> dict[str, np.ndarray]:
    """One direction per attribute, ready for `edit`.

    Args:
        w: [N, D] latents of generated images.
        scores: attribute → [N], how strongly each image shows it (a logit, an angle).
        only: the attributes to return; the others are just kept constant. Default all.
        share: the boundary separates this share of highest scores from as many lowest.
        independent: make every direction orthogonal to the boundaries of all other
            attributes (the paper's conditional manipulation).

    Returns:
        attribute → [D] float32. One unit of strength is one standard deviation of the
        latents along the direction; positive raises the score.

    Raises:
        ValueError: an attribute does not vary, or follows from the others.
    """
    w = np.asarray(w, np.float64)
    normals = {name: fit_boundary(w, s, share, name) for name, s in scores.items()}
    directions = {}
    for name in scores if only is None else only:
        others = [n for other, n in normals.items() if other != name]
        normal = normals[name]
        if independent and others:
            normal = _without(normal, np.stack(others), name)
        directions[name] = (normal * (w @ normal).std()).astype(np.float32)
    return directions


def fit_boundary(w, scores, share: float = 0.1, name: str = "attribute") -> np.ndarray:
    """Unit normal [D] of the plane between the highest and the lowest scores."""
    w, scores = np.asarray(w, np.float64), np.asarray(scores, np.float64)
    if scores.shape != w.shape[:1]:
        raise ValueError(f"{name}: {scores.shape} scores for {w.shape[0]} latents")
    count = max(1, int(len(w) * share))
    order = np.argsort(scores, kind="stable")
    low, high = order[:count], order[len(w) - count :]
    if not 0 < share <= 0.5 or not scores[low].max() < scores[high].min():
        raise ValueError(
            f"{name}: the {count} highest scores of {len(w)} are not above the lowest; "
            "draw more images, or take a share below 0.5 in which the attribute varies"
        )
    points = w[np.concatenate([low, high])]
    sides = np.concatenate([-np.ones(count), np.ones(count)])
    normal = _separate(points, sides)
    return normal / np.linalg.norm(normal)


def _separate(x: np.ndarray, y: np.ndarray, l2: float = 0.01, steps: int = 50):
    """Normal of the logistic regression of y = ±1 on x, by Newton's method.

    Minimizes mean log(1 + exp(−y(n·x + b))) + l2/2·|n|² in units of x's spread.
    """
    scale = x.std() or 1.0
    x = np.column_stack([(x - x.mean(0)) / scale, np.ones(len(x))])
    penalty = np.full(x.shape[1], l2)
    penalty[-1] = 1e-9
    n = np.zeros(x.shape[1])
    for _ in range(steps):
        p = 0.5 * (1.0 - np.tanh(0.5 * y * (x @ n)))  # sigmoid(−y(n·x))
        gradient = penalty * n - x.T @ (y * p) / len(x)
        hessian = (x.T * (p * (1 - p))) @ x / len(x) + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        n = n - step
        if np.linalg.norm(step) < 1e-8 * max(1.0, np.linalg.norm(n)):
            break
    return n[:-1]


def _without(normal: np.ndarray, others: np.ndarray, name: str) -> np.ndarray:
    """The unit part of `normal` that is orthogonal to all rows of `others`."""
    _, values, basis = np.linalg.svd(others, full_matrices=False)
    basis = basis[values > 1e-6 * values[0]]
    rest = normal - basis.T @ (basis @ normal)
    length = np.linalg.norm(rest)
    if length < 1e-3:
        raise ValueError(
            f"{name}: nothing is left of its direction once the other attributes are "
            "kept constant; leave one of them out, or pass independent=False"
        )
    return rest / length
