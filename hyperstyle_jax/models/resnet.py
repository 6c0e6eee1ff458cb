"""Backbones: ResNet-34/50 (torchvision's layout) and the improved residual IR-SE-50,
IR-101 of the ArcFace family. Padding is explicit and symmetric, as in PyTorch.

https://arxiv.org/abs/1512.03385, https://arxiv.org/abs/1801.07698
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

HE_NORMAL = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class Conv(nn.Module):
    """A convolution whose kernel [K, K, I, O] is named `weight`."""

    features: int
    kernel: int = 3
    stride: int = 1
    use_bias: bool = False
    padding: int | None = None  # None: kernel // 2

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        k = self.kernel
        weight = self.param("weight", HE_NORMAL, (k, k, x.shape[-1], self.features))
        pad = k // 2 if self.padding is None else self.padding
        x = jax.lax.conv_general_dilated(
            x,
            weight.astype(x.dtype),
            (self.stride, self.stride),
            [(pad, pad), (pad, pad)],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            x = x + bias.astype(x.dtype)
        return x


class BatchNorm(nn.Module):
    """Batch normalization with PyTorch's conventions.

    The normalization uses the biased variance of the batch, the running variance
    learns the unbiased one. With `axis_name` the batch is that of all devices.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5
    affine: bool = True
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
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
        """Mean, biased variance, sample count; in two passes for exactness."""
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
        init = nn.initializers.constant(0.25)
        weight = self.param("weight", init, (x.shape[-1],))
        return jnp.where(x >= 0, x, x * weight.astype(x.dtype))


class ConvNorm(nn.Module):
    """A 1×1 convolution and its normalization: the shortcut of a residual block."""

    features: int
    stride: int
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
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
        x = Conv(self.features, self.kernel, self.stride, name="conv")(x)
        x = BatchNorm(axis_name=self.axis_name, name="norm")(x, train)
        return PReLU(name="prelu")(x) if self.prelu else nn.relu(x)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut."""

    width: int
    stride: int = 1
    axis_name: str | None = None
    expansion = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        y = Conv(self.width, 3, self.stride, name="conv1")(x)
        y = nn.relu(BatchNorm(axis_name=self.axis_name, name="norm1")(y, train))
        y = Conv(self.width, name="conv2")(y)
        y = BatchNorm(axis_name=self.axis_name, name="norm2")(y, train)
        if self.stride > 1 or x.shape[-1] != self.width:
            shortcut = ConvNorm(
                self.width, self.stride, self.axis_name, name="shortcut"
            )
            x = shortcut(x, train)
        return nn.relu(x + y)


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 convolutions and a shortcut; four times as wide outside."""

    width: int
    stride: int = 1
    axis_name: str | None = None
    expansion = 4

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        out = self.width * self.expansion
        y = Conv(self.width, 1, name="conv1")(x)
        y = nn.relu(BatchNorm(axis_name=self.axis_name, name="norm1")(y, train))
        y = Conv(self.width, 3, self.stride, name="conv2")(y)
        y = nn.relu(BatchNorm(axis_name=self.axis_name, name="norm2")(y, train))
        y = Conv(out, 1, name="conv3")(y)
        y = BatchNorm(axis_name=self.axis_name, name="norm3")(y, train)
        if self.stride > 1 or x.shape[-1] != out:
            shortcut = ConvNorm(out, self.stride, self.axis_name, name="shortcut")
            x = shortcut(x, train)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """ResNet without its classifier: images [B, H, W, C] → features [B, h, w, F].

    The defaults are torchvision's ResNet-34. HyperStyle's trunk is
    `ResNet(prelu=True, pool=False)`: 256×256×6 → 16×16×512.
    ResNet-50 is `ResNet(bottleneck=True)`.
    """

    widths: Sequence[int] = (64, 128, 256, 512)
    depths: Sequence[int] = (3, 4, 6, 3)
    bottleneck: bool = False
    prelu: bool = False
    pool: bool = True
    stem_kernel: int = 7
    stem_stride: int = 2
    axis_name: str | None = None

    @nn.compact
    def stages(self, x: jax.Array, train: bool = False) -> list[jax.Array]:
        """The feature maps at the end of each stage."""
        block = Bottleneck if self.bottleneck else BasicBlock
        stem = (self.widths[0], self.stem_kernel, self.stem_stride, self.prelu)
        x = Stem(*stem, self.axis_name, name="stem")(x, train)
        x = max_pool(x, 3, 1) if self.pool else x
        features, index = [], 0
        for stage, (width, depth) in enumerate(
            zip(self.widths, self.depths, strict=True)
        ):
            for i in range(depth):
                stride = 2 if stage > 0 and i == 0 else 1
                name = f"block{index}"
                x = block(width, stride, self.axis_name, name=name)(x, train)
                index += 1
            features.append(x)
        return features

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.stages(x, train)[-1]


class SqueezeExcite(nn.Module):
    """Channels scaled by a function of their means. https://arxiv.org/abs/1709.01507"""

    reduction: int = 16

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        s = x.mean((1, 2), keepdims=True)
        s = nn.relu(Conv(max(channels // self.reduction, 1), 1, name="fc1")(s))
        return x * nn.sigmoid(Conv(channels, 1, name="fc2")(s))


class IRBlock(nn.Module):
    """Norm, 3×3, PReLU, 3×3 (strided), norm, squeeze-and-excitation; shortcut."""

    width: int
    stride: int
    squeeze_excite: bool
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
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
    """Improved residual network; every stage halves the image.

    The defaults are the trunk of IR-SE-50; IR-101 is
    `IRNet(depths=(3, 13, 30, 3), squeeze_excite=False)`.
    """

    widths: Sequence[int] = (64, 128, 256, 512)
    depths: Sequence[int] = (3, 4, 14, 3)
    squeeze_excite: bool = True
    axis_name: str | None = None

    @nn.compact
    def stages(self, x: jax.Array, train: bool = False) -> list[jax.Array]:
        """The feature maps at the end of each stage."""
        x = Stem(self.widths[0], 3, 1, True, self.axis_name, name="stem")(x, train)
        features, index = [], 0
        for width, depth in zip(self.widths, self.depths, strict=True):
            for i in range(depth):
                stride = 2 if i == 0 else 1
                block = (width, stride, self.squeeze_excite, self.axis_name)
                x = IRBlock(*block, name=f"block{index}")(x, train)
                index += 1
            features.append(x)
        return features

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        return self.stages(x, train)[-1]


class FaceNet(nn.Module):
    """A face recognition network: images [B, S, S, 3] → unit vectors [B, E].

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
        x = BatchNorm(axis_name=self.axis_name, name="norm1")(x, train)
        x = Linear(self.embedding, name="linear")(x.reshape(x.shape[0], -1))
        norm = BatchNorm(affine=self.affine, axis_name=self.axis_name, name="norm2")
        return norm(x, train)


class Linear(nn.Module):
    """A linear layer whose matrix [I, O] is named `weight`."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        weight = self.param("weight", HE_NORMAL, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return x @ weight.astype(x.dtype) + bias.astype(x.dtype)


def max_pool(x: jax.Array, window: int, pad: int = 0, ceil: bool = False) -> jax.Array:
    """Maxima with stride 2; with `ceil` windows may hang over right and lower edge."""
    over = [(n + 2 * pad - window) % 2 if ceil else 0 for n in x.shape[1:3]]
    pads = [(pad, pad + n) for n in over]
    return nn.max_pool(x, (window, window), (2, 2), pads)
