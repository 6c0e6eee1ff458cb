"""Improved residual networks of the ArcFace family: IR-SE-50, IR-101 and face vectors.

https://arxiv.org/abs/1801.07698
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.layers import (
    BatchNorm,
    Conv,
    ConvNorm,
    Linear,
    PReLU,
    Stem,
    apply_stages,
)


class SqueezeExcite(nn.Module):
    """Scales channels by a function of their means, https://arxiv.org/abs/1709.01507."""

    reduction: int = 16

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x [B, H, W, C] → the same shape."""
        channels = x.shape[-1]
        s = x.mean((1, 2), keepdims=True)
        s = nn.relu(Conv(max(channels // self.reduction, 1), 1, name="fc1")(s))
        return x * nn.sigmoid(Conv(channels, 1, name="fc2")(s))


class IRBlock(nn.Module):
    """Norm, 3×3, PReLU, strided 3×3, norm, squeeze-and-excitation, and a shortcut."""

    width: int
    stride: int
    squeeze_excite: bool
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """x [B, H, W, I] → [B, H / stride, W / stride, width]."""
        y = BatchNorm(axis_name=self.axis_name, name="norm1")(x, train)
        y = PReLU(name="prelu")(Conv(self.width, name="conv1")(y))
        y = Conv(self.width, 3, self.stride, name="conv2")(y)
        y = BatchNorm(axis_name=self.axis_name, name="norm2")(y, train)
        if self.squeeze_excite:
            y = SqueezeExcite(name="se")(y)
        if x.shape[-1] == self.width:
            return x[:, :: self.stride, :: self.stride] + y
        shortcut = ConvNorm(self.width, self.stride, self.axis_name, name="shortcut")
        return shortcut(x, train) + y


class IRNet(nn.Module):
    """Improved residual network: images [B, H, W, C] → features [B, h, w, F].

    Every stage halves the image.
    The defaults are the trunk of IR-SE-50; IR-101 is
    `IRNet(depths=(3, 13, 30, 3), squeeze_excite=False)`.
    """

    widths: Sequence[int] = (64, 128, 256, 512)
    depths: Sequence[int] = (3, 4, 14, 3)
    squeeze_excite: bool = True
    axis_name: str | None = None

    @nn.compact
    def stages(self, x: jax.Array, train: bool = False) -> list[jax.Array]:
        """x [B, H, W, C] → the feature maps at the end of each stage."""
        x = Stem(self.widths[0], 3, 1, True, self.axis_name, name="stem")(x, train)
        block = partial(
            IRBlock, squeeze_excite=self.squeeze_excite, axis_name=self.axis_name
        )
        return apply_stages(block, x, self.widths, self.depths, 2, train)

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """x [B, H, W, C] → the feature map at the end of the last stage."""
        return self.stages(x, train)[-1]


class FaceNet(nn.Module):
    """A face recognition network: images [B, S, S, 3] → vectors [B, E] of length one.

    The defaults are ArcFace's IR-SE-50 for 112×112 images; CurricularFace is
    `FaceNet(depths=(3, 13, 30, 3), squeeze_excite=False, affine=False)`.
    """

    widths: Sequence[int] = (64, 128, 256, 512)
    depths: Sequence[int] = (3, 4, 14, 3)
    squeeze_excite: bool = True
    embedding: int = 512
    affine: bool = True
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """x [B, S, S, 3] in [-1, 1] → [B, E], vectors of length one."""
        body = (self.widths, self.depths, self.squeeze_excite, self.axis_name)
        x = IRNet(*body, name="body")(x, train)
        x = FaceHead(self.embedding, self.affine, self.axis_name, name="head")(x, train)
        return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


class FaceHead(nn.Module):
    """Norm, one linear layer over all positions, norm."""

    embedding: int = 512
    affine: bool = True
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """x [B, h, w, F] → [B, E]."""
        x = BatchNorm(axis_name=self.axis_name, name="norm1")(x, train)
        x = Linear(self.embedding, name="linear")(x.reshape(x.shape[0], -1))
        norm = BatchNorm(affine=self.affine, axis_name=self.axis_name, name="norm2")
        return norm(x, train)
