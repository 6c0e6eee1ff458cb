"""Scores of images that follow a few labels: linear readings of a feature extractor."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.net import Net
from hyperstyle_jax.weights.bundle import Bundle

_RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_HELD_OUT = 0.25  # of the labelled images
_BATCH = 32


class Probe(NamedTuple):
    """A reading of labels.

    Attributes:
        score_fn: images [B, R, R, 3] in [-1, 1] → [B], in the labels' units.
        correlation: between readings and labels of held-out images.
        accuracy: share of held-out images read on the right side of the middle label.
    """

    score_fn: Callable[[jax.Array], jax.Array]
    correlation: float
    accuracy: float


def fit(bundle: Bundle, images: Sequence[np.ndarray], labels: Sequence[float]) -> Probe:
    """Fits a linear reading of the feature extractor's last features.

    A quarter of the images is held out to choose the ridge and to measure.

    Args:
        bundle: with a feature extractor.
        images: [h, w, 3] in [-1, 1], of the bundle's image size.
        labels: one for each, that vary.

    Raises:
        ValueError: too few images, or labels that are all the same.
    """
    (extractor,) = bundle.require("feature_extractor")
    y = np.asarray(labels, np.float64)
    if len(y) < 16 or not np.std(y) > 0:
        raise ValueError(
            f"{len(y)} labelled images with labels from {np.min(y, initial=0):g} to "
            f"{np.max(y, initial=0):g}: expected at least 16 images that differ"
        )
    size = bundle.image_size
    batches = [
        _features(size, extractor, jnp.asarray(np.stack(images[i : i + _BATCH])))
        for i in range(0, len(images), _BATCH)
    ]
    x = np.concatenate([np.asarray(b) for b in batches]).astype(np.float64)
    mean, scale = x.mean(0), x.std(0) + 1e-6
    order = np.random.default_rng(0).permutation(len(y))
    held, train = np.split(order, [max(4, int(len(y) * _HELD_OUT))])
    x = (x - mean) / scale
    best = max(
        (_fit_ridge(x, y, train, held, ridge) for ridge in _RIDGES),
        key=lambda fitted: fitted[0],
    )
    correlation, weights, offset = best
    predicted, middle = x[held] @ weights + offset, (y.min() + y.max()) / 2
    accuracy = float(((predicted > middle) == (y[held] > middle)).mean())
    weights, offset = weights / scale, offset - mean @ (weights / scale)

    def score_fn(batch):
        features = _features(size, extractor, batch)
        return features @ weights.astype(np.float32) + np.float32(offset)

    return Probe(score_fn, correlation, accuracy)


def _fit_ridge(x, y, train, held, ridge) -> tuple[float, np.ndarray, float]:
    """Correlation on held-out images, weights, offset."""
    middle, centre = y[train].mean(), x[train].mean(0)
    a, b = x[train] - centre, y[train] - middle
    weights = np.linalg.solve(a.T @ a + ridge * len(a) * np.eye(a.shape[1]), a.T @ b)
    offset = float(middle - centre @ weights)
    predicted = x[held] @ weights + offset
    if not (predicted.std() > 0 and y[held].std() > 0):
        return 0.0, weights, offset
    return float(np.corrcoef(predicted, y[held])[0, 1]), weights, offset


def _features(size, extractor: Net, images) -> jax.Array:
    return _pooled(extractor, crop_and_pool(jnp.clip(images, -1, 1), size))


@jax.jit
def _pooled(extractor, images):
    return extractor(images, method="pooled")
