"""LPIPS, the learned perceptual distance of images, https://arxiv.org/abs/1801.03924.

It compares features of a classifier position by position, each normalized over its
channels. A learned positive weight for each channel says how much a difference counts.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.layers import Conv, max_pool

# Mean and standard deviation of ImageNet for images in [-1, 1], as LPIPS rounds them.
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


_OUT = "out"  # the features at this place are compared

TRUNKS = {
    "alex": (
        _Conv("0", 64, 11, 4, 2), _OUT, _Pool(3),
        _Conv("3", 192, 5, 1, 2), _OUT, _Pool(3),
        _Conv("6", 384), _OUT, _Conv("8", 256), _OUT, _Conv("10", 256), _OUT,
    ),
    "vgg": (
        _Conv("0", 64), _Conv("2", 64), _OUT, _Pool(2),
        _Conv("5", 128), _Conv("7", 128), _OUT, _Pool(2),
        _Conv("10", 256), _Conv("12", 256), _Conv("14", 256), _OUT, _Pool(2),
        _Conv("17", 512), _Conv("19", 512), _Conv("21", 512), _OUT, _Pool(2),
        _Conv("24", 512), _Conv("26", 512), _Conv("28", 512), _OUT,
    ),
    "squeeze": (
        _Conv("0", 64, 3, 2, 0), _OUT, _Pool(3, ceil=True),
        _Fire("3", 16, 64), _Fire("4", 16, 64), _OUT, _Pool(3, ceil=True),
        _Fire("6", 32, 128), _Fire("7", 32, 128), _OUT, _Pool(3, ceil=True),
        _Fire("9", 48, 192), _OUT, _Fire("10", 48, 192), _OUT,
        _Fire("11", 64, 256), _OUT, _Fire("12", 64, 256), _OUT,
    ),
}  # fmt: skip


class LPIPS(nn.Module):
    """The distance of two batches of images; `net` is "alex", "vgg" or "squeeze"."""

    net: str = "alex"

    def setup(self):
        """Builds the classifier's convolutions and the learned weights."""
        self.trunk = Trunk(self.net)
        self.heads = Heads(self.trunk.widths())

    def layers(self, x: jax.Array, y: jax.Array) -> list[jax.Array]:
        """The distance in each compared layer.

        Args:
            x, y: [B, H, W, 3] in [-1, 1].

        Returns:
            A list of [B].
        """
        # The two batches are one for the trunk, which treats images independently.
        both = self.trunk(jnp.concatenate([x, y]))
        return self.heads(*(jnp.split(features, 2) for features in both))

    def extract_features(self, x: jax.Array) -> list[jax.Array]:
        """x [B, H, W, 3] in [-1, 1] → the features that `distances` compares."""
        return self.trunk(x)

    def distances(self, a: list[jax.Array], b: list[jax.Array]) -> jax.Array:
        """The distance [B] of two batches' features from `extract_features`."""
        return sum(self.heads(*zip(a, b, strict=True)))

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """The distance [B] of x and y [B, H, W, 3] in [-1, 1]."""
        return sum(self.layers(x, y))


class Trunk(nn.Module):
    """The convolutions of torchvision's AlexNet, VGG16 or SqueezeNet 1.1."""

    net: str = "alex"

    def layers(self):
        """The layers of `net` in `TRUNKS`.

        Raises:
            ValueError: an unknown net.
        """
        if self.net not in TRUNKS:
            raise ValueError(f"LPIPS net {self.net!r}: expected {', '.join(TRUNKS)}")
        return TRUNKS[self.net]

    def widths(self) -> tuple[int, ...]:
        """The channels of the compared features."""
        widths, width = [], 0
        for layer in self.layers():
            if isinstance(layer, _Conv):
                width = layer.features
            elif isinstance(layer, _Fire):
                width = 2 * layer.expand
            elif layer == _OUT:
                widths.append(width)
        return tuple(widths)

    def convolutions(self) -> list[str]:
        """The convolutions' names by torchvision's indices: "0", "3/expand1x1", …"""
        fire_layers = ("squeeze", "expand1x1", "expand3x3")
        names = []
        for layer in self.layers():
            if isinstance(layer, _Conv):
                names.append(layer.name)
            elif isinstance(layer, _Fire):
                names += [f"{layer.name}/{name}" for name in fire_layers]
        return names

    @nn.compact
    def __call__(self, x: jax.Array) -> list[jax.Array]:
        """x [B, H, W, 3] in [-1, 1] → the compared features [B, h, w, C], unscaled."""
        x = (x - jnp.array(_MEAN, x.dtype)) / jnp.array(_STD, x.dtype)
        features = []
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
                features.append(x)
        return features


class Heads(nn.Module):
    """The weights that LPIPS has learned: how much each channel counts."""

    widths: Sequence[int]

    def setup(self):
        """Makes the weights `lin0`, `lin1`, … [C], one array for each layer."""
        self.weights = [
            self.param(f"lin{i}", nn.initializers.constant(1 / width), (width,))
            for i, width in enumerate(self.widths)
        ]

    def __call__(self, *pairs: tuple[jax.Array, jax.Array]) -> list[jax.Array]:
        """Pairs of features [B, h, w, C], one for each layer → distances, each [B]."""
        layers = zip(pairs, self.weights, strict=True)
        return [distance(x, y, weight) for (x, y), weight in layers]

    def initialize(self) -> list[jax.Array]:
        """Uses every parameter, so that `init` makes them all."""
        return self.weights


class Fire(nn.Module):
    """SqueezeNet's block: a 1×1 convolution to few channels, then 1×1 beside 3×3."""

    squeeze: int
    expand: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x [B, H, W, I] → [B, H, W, 2·expand]."""
        x = nn.relu(Conv(self.squeeze, 1, use_bias=True, name="squeeze")(x))
        small = Conv(self.expand, 1, use_bias=True, name="expand1x1")(x)
        large = Conv(self.expand, 3, use_bias=True, name="expand3x3")(x)
        return nn.relu(jnp.concatenate([small, large], axis=-1))


def distance(x: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
    """Σ weight·(x̂ − ŷ)² over channels, averaged over positions.

    Args:
        x, y: features [B, h, w, C]; x̂ and ŷ have length one over the channels.
        weight: [C].

    Returns:
        [B].
    """
    difference = jnp.square(normalize(x) - normalize(y))
    return jnp.sum(difference * weight, axis=-1).mean((1, 2))


def normalize(x: jax.Array) -> jax.Array:
    """x [..., C] divided by its length over the channels; zeros stay zero."""
    square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    # The inner `where` keeps the gradient finite where a feature is zero.
    positive = square > 0
    length = jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)
    return x / (length + 1e-10)
