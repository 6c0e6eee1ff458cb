"""What searches minimize: L2 and a perceptual distance to fixed target images."""

from typing import Any

import flax
import jax
import jax.numpy as jnp

from hyperstyle_jax import losses
from hyperstyle_jax.models.feature_extractor import feature_distances
from hyperstyle_jax.models.lpips import LPIPS
from hyperstyle_jax.net import Net
from hyperstyle_jax.weights.bundle import Bundle

ROLES = ("lpips", "feature_extractor")  # the first that a bundle holds compares images


class Targets(flax.struct.PyTreeNode):
    """B images to come close to, with what a perceptual network sees in them.

    Attributes:
        x: [B, h, w, 3] in [-1, 1].
        net: Net of an LPIPS or a FeatureExtractor; None compares pixels alone.
        features: of `x`, computed once for all steps; leaves [B, …].
    """

    x: jax.Array
    net: Net | None = None
    features: Any = ()


def network(bundle: Bundle) -> Net | None:
    """The bundle's network that compares images, if it has one (see `ROLES`)."""
    return next((bundle.nets[role] for role in ROLES if role in bundle.nets), None)


@jax.jit
def targets(net: Net | None, x: jax.Array) -> Targets:
    """Prepares images to be compared with.

    Args:
        net: as of `Targets`.
        x: [B, h, w, 3] in [-1, 1].
    """
    if net is None:
        return Targets(x)
    return Targets(x, net, _features(net, x))


def rows(all_targets: Targets, index: Any) -> Targets:
    """Some of the targets, by a slice or an array of indices."""
    x, features = jax.tree.map(
        lambda v: v[index], (all_targets.x, all_targets.features)
    )
    return all_targets.replace(x=x, features=features)


def distances(all_targets: Targets, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """L2 and perceptual distance [B] each of images y [B, h, w, 3]; without net 0."""
    l2 = losses.l2(y, all_targets.x)
    if all_targets.net is None:
        return l2, jnp.zeros_like(l2)
    return l2, _distance(all_targets.net, _features(all_targets.net, y), all_targets)


def weighted(frozen: tuple[Targets, jax.Array], y: jax.Array, _: Any) -> jax.Array:
    """L2 + λ·perceptual distance, [B]: a loss for `optimize` with frozen = (…, λ)."""
    all_targets, weight = frozen
    l2, perceptual = distances(all_targets, y)
    return l2 + weight * perceptual


def _features(net, x):
    return net(x, method="extract_features")


def _distance(net, features, all_targets):
    if isinstance(net.module, LPIPS):
        return net(features, all_targets.features, method="distances")
    return feature_distances(features, all_targets.features)[0]
