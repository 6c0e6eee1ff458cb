"""How far reconstructions are from their targets: distances by loss networks.

LPIPS (https://arxiv.org/abs/1801.03924), ArcFace, MoCo, or the feature extractor of a
domain for both perception and identity. L2 needs no network.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from hyperstyle_jax import losses
from hyperstyle_jax.models.feature_extractor import feature_distances
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
    names = [name for name in _CRITERIA if name in frozen]
    features = {name: _extract(name, frozen[name], x, dtype) for name in names}
    return x, jax.lax.stop_gradient(features)


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
    x, target_features = target
    values = {"l2": losses.l2(y_hat, x)}
    for name, of_target in target_features.items():
        net = frozen[name]
        of_image = _extract(name, net, y_hat, dtype)
        values |= _CRITERIA[name].distances(net, of_image, of_target)
    return values


def _extract(name, net, x, dtype):
    features = _CRITERIA[name].extract_features(net, x.astype(dtype))
    return jax.tree.map(lambda a: a.astype(jnp.float32), features)


def weighted(weights: dict[str, float], distances: dict[str, jax.Array]) -> jax.Array:
    """λ₂·L2 + λ_lpips·LPIPS + λ_id·L_id + λ_moco·L_moco of each image, [B]."""
    return sum(weights[name] * value for name, value in distances.items())


def without_published(frozen: dict[str, Net]) -> dict[str, Net]:
    """The networks without those that others have published: no bundle carries them."""
    published = ("lpips", "arcface", "moco", "moco_raw")
    return {k: v for k, v in frozen.items() if k not in published}
