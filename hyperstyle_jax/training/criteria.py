"""How far reconstructions are from their targets: distances by loss networks.

LPIPS (https://arxiv.org/abs/1801.03924), ArcFace, MoCo, or the feature extractor of a
domain for both perception and identity. L2 needs no network.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hyperstyle_jax import losses
from hyperstyle_jax.models.feature_extractor import feature_distances, stage_distance
from hyperstyle_jax.net import Net


class _Criterion(NamedTuple):
    """How a loss network compares images.

    `extract_features(net, images)`, and `distances(net, a, b)` of such features: one
    number for each image, by the name of the loss.
    """

    extract_features: Callable
    distances: Callable


def _feature_distances(net, a, b):
    lpips, similarity = feature_distances(a, b)
    return {"lpips": lpips, "id": 1.0 - similarity}


# Where two networks give the same distance, the later one counts.
_CRITERIA = {
    "feature_extractor": _Criterion(
        lambda net, x: net(x, method="extract_features"), _feature_distances
    ),
    "lpips": _Criterion(
        lambda net, x: net(x, method="extract_features"),
        lambda net, a, b: {"lpips": net(a, b, method="distances")},
    ),
    "arcface": _Criterion(
        losses.face_features, lambda net, a, b: {"id": losses.dissimilarity(a, b)}
    ),
    "moco": _Criterion(
        losses.moco_features, lambda net, a, b: {"moco": losses.dissimilarity(a, b)}
    ),
    "moco_raw": _Criterion(
        lambda net, x: losses.moco_features(net, x, normalize=False),
        lambda net, a, b: {"moco": losses.dissimilarity(a, b)},
    ),
}


# Perception alone, of images of any size.
_PERCEPTION = {
    "feature_extractor": _Criterion(
        lambda net, x: net(x, method="perceive"),
        lambda net, a, b: {"lpips": stage_distance(a, b)},
    ),
    "lpips": _CRITERIA["lpips"],
}


def extract_features(
    frozen: dict[str, Net], x: jax.Array, dtype=jnp.float32
) -> tuple[jax.Array, dict]:
    """A target as `distances` reads it, computed once for all iterations.

    Args:
        frozen: the loss networks, perhaps among other networks.
        x: [B, H, W, 3] in [-1, 1].
        dtype: of the loss networks' feature maps.

    Returns:
        x, and {name of a loss network: the features that it extracts from x}.
    """
    return _extracted(_CRITERIA, frozen, x, dtype)


def distances(
    frozen: dict[str, Net], y_hat: jax.Array, target, dtype=jnp.float32
) -> dict[str, jax.Array]:
    """Distances of reconstructions from their targets, one number per image.

    Args:
        frozen: with the loss networks; without any, only L2 is computed.
        y_hat: float32 [B, H, W, 3] in [-1, 1].
        target: what `extract_features` returned.
        dtype: of the loss networks' feature maps; distances are float32.

    Returns:
        {"l2", "lpips", "id", "moco": [B], each >= 0}, those that there are.
    """
    return _distances(_CRITERIA, frozen, y_hat, target, dtype)


# The part of an aligned face at 256² that pSp's losses of the crop see: the face.
_FACE_ROWS, _FACE_COLUMNS = (35, 223), (32, 220)


def face_crop(x: jax.Array) -> jax.Array:
    """The middle of aligned faces [B, H, W, 3], without most of what is around them."""
    rows, columns = (
        slice(*(round(edge * size / 256) for edge in edges))
        for edges, size in zip((_FACE_ROWS, _FACE_COLUMNS), x.shape[1:3], strict=True)
    )
    return x[:, rows, columns]


def crop_target(frozen: dict[str, Net], x: jax.Array, dtype=jnp.float32):
    """The middle of a target as `crop_distances` reads it; arguments as above."""
    return _extracted(_PERCEPTION, frozen, face_crop(x), dtype)


def crop_distances(
    frozen: dict[str, Net], y_hat: jax.Array, target, dtype=jnp.float32
) -> dict[str, jax.Array]:
    """Distances of the middle of reconstructions, where faces are.

    Args:
        frozen, y_hat, dtype: as `distances`.
        target: what `crop_target` returned.

    Returns:
        {"l2_crop", "lpips_crop": [B]}, those that there are.
    """
    found = _distances(_PERCEPTION, frozen, face_crop(y_hat), target, dtype)
    return {f"{name}_crop": value for name, value in found.items()}


def _extracted(criteria, frozen, x, dtype):
    features = {
        name: _extract(criteria[name], frozen[name], x, dtype)
        for name in criteria
        if name in frozen
    }
    return x, jax.lax.stop_gradient(features)


def _distances(criteria, frozen, y_hat, target, dtype):
    x, target_features = target
    values = {"l2": losses.l2(y_hat, x)}
    for name, of_target in target_features.items():
        criterion, net = criteria[name], frozen[name]
        of_image = _extract(criterion, net, y_hat, dtype)
        values |= criterion.distances(net, of_image, of_target)
    return values


def _extract(criterion, net, x, dtype):
    features = criterion.extract_features(net, x.astype(dtype))
    return jax.tree.map(lambda a: a.astype(jnp.float32), features)


def weighted(weights: dict[str, float], distances: dict[str, jax.Array]) -> jax.Array:
    """λ₂·L2 + λ_lpips·LPIPS + λ_id·L_id + λ_moco·L_moco of each image, [B]."""
    return sum(weights[name] * value for name, value in distances.items())


def without_published(frozen: dict[str, Net]) -> dict[str, Net]:
    """The networks without those that others have published: no bundle carries them."""
    published = ("lpips", "arcface", "moco", "moco_raw")
    return {k: v for k, v in frozen.items() if k not in published}
