"""Layers that all backbones are made of, with PyTorch's conventions.

Images are NHWC, kernels HWIO. Padding is explicit and symmetric, and parameters are
named `weight` and `bias`, as in PyTorch.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.convolution import convolution

_HE_NORMAL = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class Conv(nn.Module):
    """A convolution with the kernel `weight` [K, K, I, O].

    `padding` is the number of zeros on each side, by default K // 2.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    use_bias: bool = False
    padding: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x [B, H, W, I] → [B, H', W', O]."""
        k = self.kernel
        weight = self.param("weight", _HE_NORMAL, (k, k, x.shape[-1], self.features))
        pad = k // 2 if self.padding is None else self.padding
        padding = ((pad, pad), (pad, pad))
        x = convolution(x, weight.astype(x.dtype), self.stride, padding)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            x = x + bias.astype(x.dtype)
        return x


class BatchNorm(nn.Module):
    """Batch normalization as PyTorch does it: weight·(x − mean) / √(var + ε) + bias.

    In training, the batch is normalized with its biased variance, and the running
    variance follows the unbiased one. With `axis_name` the batch is that of all
    devices of this axis.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5
    affine: bool = True
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """x [..., C] → [..., C]; `train` uses and updates the batch's statistics."""
        shape = (x.shape[-1],)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        var = self.variable("batch_stats", "var", jnp.ones, shape)
        m, v = mean.value, var.value
        if train:
            m, v, n = self._statistics(x)
            if not self.is_initializing():
                unbiased = v * (n / max(n - 1, 1))
                mean.value += self.momentum * (m - mean.value)
                var.value += self.momentum * (unbiased - var.value)
        scale = jax.lax.rsqrt(v + self.epsilon)
        shift = -m * scale
        if self.affine:
            weight = self.param("weight", nn.initializers.ones, shape)
            bias = self.param("bias", nn.initializers.zeros, shape)
            scale, shift = scale * weight, shift * weight + bias
        return x * scale.astype(x.dtype) + shift.astype(x.dtype)

    def _statistics(self, x):
        """Mean, biased variance (of deviations, for exactness), number of samples."""
        x = x.astype(jnp.float32)
        axes = tuple(range(x.ndim - 1))
        n = x.size // x.shape[-1]
        mean = x.mean(axes)
        if self.axis_name is None or self.is_initializing():
            return mean, jnp.square(x - mean).mean(axes), n
        mean = jax.lax.pmean(mean, self.axis_name)
        var = jax.lax.pmean(jnp.square(x - mean).mean(axes), self.axis_name)
        return mean, var, n * jax.lax.axis_size(self.axis_name)


class PReLU(nn.Module):
    """max(x, 0) + weight · min(x, 0), one weight per channel."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x [..., C] → [..., C]."""
        init = nn.initializers.constant(0.25)
        weight = self.param("weight", init, (x.shape[-1],))
        return jnp.where(x >= 0, x, x * weight.astype(x.dtype))


class Linear(nn.Module):
    """A linear layer with the matrix `weight` [I, O] and a bias."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x [..., I] → [..., O]."""
        weight = self.param("weight", _HE_NORMAL, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return x @ weight.astype(x.dtype) + bias.astype(x.dtype)


class ConvNorm(nn.Module):
    """A 1×1 convolution and its normalization: the shortcut of a residual block."""

    features: int
    stride: int
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """x [B, H, W, I] → [B, H / stride, W / stride, O]."""
        x = Conv(self.features, 1, self.stride, name="conv")(x)
        return BatchNorm(axis_name=self.axis_name, name="norm")(x, train)


class Stem(nn.Module):
    """The first convolution, normalization and activation of a backbone."""

    features: int
    kernel: int = 7
    stride: int = 2
    prelu: bool = True
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """x [B, H, W, I] → [B, H / stride, W / stride, O]."""
        x = Conv(self.features, self.kernel, self.stride, name="conv")(x)
        x = BatchNorm(axis_name=self.axis_name, name="norm")(x, train)
        return PReLU(name="prelu")(x) if self.prelu else nn.relu(x)


def apply_stages(
    block: Callable[..., nn.Module],
    x: jax.Array,
    widths: Sequence[int],
    depths: Sequence[int],
    first_stride: int,
    train: bool,
) -> list[jax.Array]:
    """Applies the stages of a backbone, made of blocks `block0`, `block1`, …

    Args:
        block: makes a module of its width, stride and name.
        x: [B, H, W, C].
        widths, depths: of each stage, and the number of its blocks.
        first_stride: of the first stage; the stride of all later ones is 2.
        train: passed on to the blocks.

    Returns:
        The feature maps at the end of each stage.
    """
    maps, index = [], 0
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for i in range(depth):
            stage_stride = first_stride if stage == 0 else 2
            stride = stage_stride if i == 0 else 1
            x = block(width, stride, name=f"block{index}")(x, train)
            index += 1
        maps.append(x)
    return maps


def max_pool(x: jax.Array, window: int, pad: int = 0, ceil: bool = False) -> jax.Array:
    """Maxima of windows with stride 2.

    Args:
        x: [B, H, W, C].
        window: side of a window.
        pad: pixels around the image that never are the maximum.
        ceil: as PyTorch's `ceil_mode`, windows may hang over the right and lower edge.

    Returns:
        [B, H', W', C].
    """
    overhangs = [(n + 2 * pad - window) % 2 if ceil else 0 for n in x.shape[1:3]]
    pads = [(pad, pad + overhang) for overhang in overhangs]
    return nn.max_pool(x, (window, window), (2, 2), pads)
