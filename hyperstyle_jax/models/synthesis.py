"""StyleGAN2's synthesis network, which renders latents w+ resolution by resolution.

https://arxiv.org/abs/1912.04958
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models import ops
from hyperstyle_jax.models.resampling import upsample


class StyledConv(nn.Module):
    """A modulated 3×3 convolution, then noise, bias and leaky ReLU."""

    features: int
    up: bool = False

    @nn.compact
    def __call__(self, x, w, noise):
        """x [B, H, W, I] and w [B, D] → [B, H, W, O], or with `up` twice the size."""
        in_features = x.shape[-1]
        style = ops.EqualLinear(in_features, bias_init=1.0, name="affine")(w)
        shape = (3, 3, in_features, self.features)
        weight = self.param("weight", nn.initializers.normal(1.0), shape)
        size = x.shape[1] * (2 if self.up else 1)
        strength = self.param("noise_strength", nn.initializers.zeros, ())
        const = self.variable("buffers", "noise_const", self._draw_noise, (size, size))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        y = ops.modulated_conv2d(x, weight, style, up=self.up)
        noise = self._noise_map(noise, const.value, y.shape)
        if noise is not None:
            y = y + (strength * noise).astype(y.dtype)
        return ops.leaky_relu(y + bias.astype(y.dtype))

    def _draw_noise(self, shape):
        key = self.make_rng("params") if self.has_rng("params") else jax.random.key(0)
        return jax.random.normal(key, shape)

    def _noise_map(self, noise, const, shape):
        """[B or 1, H, W, 1] for features of `shape`, or None."""
        if isinstance(noise, Mapping):
            noise = noise.get("/".join(self.path[-2:]), "const")
        if not isinstance(noise, str):
            return noise.reshape(-1, *shape[1:3], 1)
        if noise == "random":
            return jax.random.normal(self.make_rng("noise"), (*shape[:3], 1))
        return const[:, :, None] if noise == "const" else None


class ToRGB(nn.Module):
    """A modulated 1×1 convolution to image channels, without demodulation."""

    features: int

    @nn.compact
    def __call__(self, x, w):
        """x [B, H, W, I] and w [B, D] → float32 [B, H, W, C]."""
        style = ops.EqualLinear(x.shape[-1], bias_init=1.0, name="affine")(w)
        shape = (1, 1, x.shape[-1], self.features)
        weight = self.param("weight", nn.initializers.normal(1.0), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        y = ops.modulated_conv2d(x, weight, style, demodulate=False)
        return y.astype(jnp.float32) + bias


class Block(nn.Module):
    """All layers at one resolution; the first block starts from a constant."""

    resolution: int
    features: int
    image_channels: int

    @nn.compact
    def __call__(self, x, image, ws, noise, dtype):
        """Features and image at this resolution.

        Args:
            x: features [B, r / 2, r / 2, I], None in the first block.
            image: sum of the toRGB layers so far [B, r / 2, r / 2, C], None at first.
            ws: the rows of w+ that the layers read, [B, 3, D], at first [B, 2, D].
            noise, dtype: as in `Generator.synthesis`.

        Returns:
            Features [B, r, r, O] and image [B, r, r, C].
        """
        if self.resolution == 4:
            init, shape = nn.initializers.normal(1.0), (4, 4, self.features)
            const = self.param("const", init, shape)
            x = jnp.broadcast_to(const, (ws.shape[0], *shape)).astype(dtype)
        else:
            x = StyledConv(self.features, up=True, name="conv0")(x, ws[:, 0], noise)
            self.sow("intermediates", "conv0_out", x)
        x = StyledConv(self.features, name="conv1")(x, ws[:, -2], noise)
        self.sow("intermediates", "conv1_out", x)
        rgb = ToRGB(self.image_channels, name="torgb")(x, ws[:, -1])
        image = rgb if image is None else upsample(image) + rgb
        self.sow("intermediates", "image_out", image)
        return x, image


class Synthesis(nn.Module):
    """The blocks of all resolutions, one after another."""

    resolution: int
    channel_base: int
    channel_max: int
    image_channels: int

    @nn.compact
    def __call__(self, w_plus, noise, dtype, remat):
        """w+ [B, L, D] → image [B, R, R, C]; see `Generator.synthesis`."""
        x = image = None
        block_class = _rematerialized(Block, noise) if remat else Block
        for i, res in enumerate(resolutions(self.resolution)):
            features = channels(res, self.channel_base, self.channel_max)
            ws = w_plus[:, :2] if i == 0 else w_plus[:, 2 * i - 1 : 2 * i + 2]
            block = block_class(res, features, self.image_channels, name=f"b{res}")
            x, image = block(x, image, ws, noise, dtype)
        return image


def _rematerialized(block, noise):
    """A block whose backward pass computes its feature maps again, to save memory."""
    return nn.remat(block, static_argnums=(4, 5) if isinstance(noise, str) else (5,))


def resolutions(resolution: int) -> list[int]:
    """The resolutions of a network's blocks: 4, 8, … up to `resolution`.

    Raises:
        ValueError: not a power of two, or smaller than 8.
    """
    if resolution < 8 or resolution & (resolution - 1):
        raise ValueError(f"resolution {resolution}: expected a power of two, 8 or more")
    return [2**i for i in range(2, int(math.log2(resolution)) + 1)]


def channels(resolution: int, base: int, maximum: int) -> int:
    """The width of the layers at one resolution: base / resolution, at most maximum."""
    return min(base // resolution, maximum)
