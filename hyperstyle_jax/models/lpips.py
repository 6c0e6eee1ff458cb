"""LPIPS, the learned perceptual distance: https://arxiv.org/abs/1801.03924.

Features of a classifier, normalized over channels, are compared position by position;
a positive weight per channel says how much a difference matters.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.resnet import Conv, max_pool

# Statistics of ImageNet for images in [-1, 1], as LPIPS rounds them.
_MEAN = (-0.030, -0.088, -0.188)
_STD = (0.458, 0.448, 0.450)


class _Conv(NamedTuple):
    name: str  # its index in torchvision's `features`
    features: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1


class _Fire(NamedTuple):
    name: str
    squeeze: int
    expand: int


class _Pool(NamedTuple):
    window: int
    ceil: bool = False


_TAP = "tap"  # the activation here is compared

TRUNKS = {
    "alex": (
        _Conv("0", 64, 11, 4, 2), _TAP, _Pool(3),
        _Conv("3", 192, 5, 1, 2), _TAP, _Pool(3),
        _Conv("6", 384), _TAP, _Conv("8", 256), _TAP, _Conv("10", 256), _TAP,
    ),
    "vgg": (
        _Conv("0", 64), _Conv("2", 64), _TAP, _Pool(2),
        _Conv("5", 128), _Conv("7", 128), _TAP, _Pool(2),
        _Conv("10", 256), _Conv("12", 256), _Conv("14", 256), _TAP, _Pool(2),
        _Conv("17", 512), _Conv("19", 512), _Conv("21", 512), _TAP, _Pool(2),
        _Conv("24", 512), _Conv("26", 512), _Conv("28", 512), _TAP,
    ),
    "squeeze": (
        _Conv("0", 64, 3, 2, 0), _TAP, _Pool(3, ceil=True),
        _Fire("3", 16, 64), _Fire("4", 16, 64), _TAP, _Pool(3, ceil=True),
        _Fire("6", 32, 128), _Fire("7", 32, 128), _TAP, _Pool(3, ceil=True),
        _Fire("9", 48, 192), _TAP, _Fire("10", 48, 192), _TAP,
        _Fire("11", 64, 256), _TAP, _Fire("12", 64, 256), _TAP,
    ),
}  # fmt: skip


class LPIPS(nn.Module):
    """Distance of two batches of images in [-1, 1]; `net` is alex, vgg or squeeze."""

    net: str = "alex"

    def setup(self):
        self.trunk = Trunk(self.net)
        self.heads = Heads(self.trunk.widths())

    def layers(self, x: jax.Array, y: jax.Array) -> list[jax.Array]:
        """The distance per layer, a list of [B]."""
        # One pass over both batches: the trunk works image by image.
        both = self.trunk(jnp.concatenate([x, y]))
        return self.heads(*(jnp.split(features, 2) for features in both))

    def extract_features(self, x: jax.Array) -> list[jax.Array]:
        """What `distances` needs of a batch [B, H, W, 3] in [-1, 1]."""
        return self.trunk(x)

    def distances(self, a: list[jax.Array], b: list[jax.Array]) -> jax.Array:
        """Two descriptions → [B]."""
        return sum(self.heads(*zip(a, b, strict=True)))

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """Two batches [B, H, W, 3] in [-1, 1] → [B]."""
        return sum(self.layers(x, y))


class Trunk(nn.Module):
    """The convolutions of torchvision's AlexNet, VGG16 or SqueezeNet 1.1."""

    net: str = "alex"

    def layers(self):
        if self.net not in TRUNKS:
            raise ValueError(f"LPIPS net {self.net!r}: expected {', '.join(TRUNKS)}")
        return TRUNKS[self.net]

    def widths(self) -> tuple[int, ...]:
        """Channels of the compared features."""
        found, width = [], 0
        for layer in self.layers():
            if isinstance(layer, _Conv):
                width = layer.features
            elif isinstance(layer, _Fire):
                width = 2 * layer.expand
            elif layer == _TAP:
                found.append(width)
        return tuple(found)

    def convolutions(self) -> list[str]:
        """Their names: the index in torchvision's list, "0" or "3/expand1x1"."""
        parts = ("squeeze", "expand1x1", "expand3x3")
        found = []
        for layer in self.layers():
            if isinstance(layer, _Conv):
                found.append(layer.name)
            elif isinstance(layer, _Fire):
                found += [f"{layer.name}/{part}" for part in parts]
        return found

    @nn.compact
    def __call__(self, x: jax.Array) -> list[jax.Array]:
        """Images [B, H, W, 3] in [-1, 1] → the compared features, not normalized."""
        x = (x - jnp.array(_MEAN, x.dtype)) / jnp.array(_STD, x.dtype)
        taps = []
        for layer in self.layers():
            if isinstance(layer, _Conv):
                name, *sizes, padding = layer
                conv = Conv(*sizes, True, padding, name=f"layer{name}")
                x = nn.relu(conv(x))
            elif isinstance(layer, _Fire):
                x = Fire(layer.squeeze, layer.expand, name=f"layer{layer.name}")(x)
            elif isinstance(layer, _Pool):
                x = max_pool(x, layer.window, ceil=layer.ceil)
            else:
                taps.append(x)
        return taps


class Heads(nn.Module):
    """How much each channel counts: the part that LPIPS has learned."""

    widths: Sequence[int]

    def setup(self):
        self.weights = [
            self.param(f"lin{i}", nn.initializers.constant(1 / width), (width,))
            for i, width in enumerate(self.widths)
        ]

    def __call__(self, *pairs: tuple[jax.Array, jax.Array]) -> list[jax.Array]:
        """Features [B, h, w, C] of two images per layer → distances [B]."""
        layers = zip(pairs, self.weights, strict=True)
        return [distance(x, y, weight) for (x, y), weight in layers]

    def initialize(self) -> list[jax.Array]:
        """Touches every parameter, for `init`."""
        return self.weights


class Fire(nn.Module):
    """SqueezeNet's block: few channels, then 1×1 and 3×3 side by side."""

    squeeze: int
    expand: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.relu(Conv(self.squeeze, 1, use_bias=True, name="squeeze")(x))
        small = Conv(self.expand, 1, use_bias=True, name="expand1x1")(x)
        large = Conv(self.expand, 3, use_bias=True, name="expand3x3")(x)
        return nn.relu(jnp.concatenate([small, large], axis=-1))


def distance(x: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
    """Mean over positions of the weighted squared difference of unit features.

    Args:
        x, y: features [B, h, w, C]. weight: [C].

    Returns:
        [B].
    """
    difference = jnp.square(normalize(x) - normalize(y))
    return jnp.sum(difference * weight, axis=-1).mean((1, 2))


def normalize(x: jax.Array) -> jax.Array:
    """Features with length one over the channels."""
    square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    # The inner where keeps the gradient of a zero feature finite.
    positive = square > 0
    length = jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)
    return x / (length + 1e-10)
