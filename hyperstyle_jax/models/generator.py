"""StyleGAN2's generator (https://arxiv.org/abs/1912.04958), any size and width.

Names follow NVIDIA's code: `mapping/fc0/weight`, `synthesis/b64/conv0/weight`, …
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models import ops


class Layer(NamedTuple):
    """One modulated convolution: where its kernel is and which row of w+ it reads."""

    path: str
    in_channels: int
    out_channels: int
    kernel: int
    resolution: int
    w_index: int


class MappingNetwork(nn.Module):
    """z [B, Z] → w [B, D]."""

    w_dim: int
    num_layers: int
    lr_mul: float

    @nn.compact
    def __call__(self, z):
        x = z * jax.lax.rsqrt(jnp.mean(jnp.square(z), axis=1, keepdims=True) + 1e-8)
        self.variable("buffers", "w_avg", jnp.zeros, (self.w_dim,))
        for i in range(self.num_layers):
            x = ops.EqualLinear(self.w_dim, lr_mul=self.lr_mul, name=f"fc{i}")(x)
            x = ops.leaky_relu(x)
        return x


class StyledConv(nn.Module):
    """Modulated 3×3 convolution, noise, bias, leaky ReLU."""

    features: int
    up: bool = False

    @nn.compact
    def __call__(self, x, w, noise):
        in_features = x.shape[-1]
        style = ops.EqualLinear(in_features, bias_init=1.0, name="affine")(w)
        shape = (3, 3, in_features, self.features)
        weight = self.param("weight", nn.initializers.normal(1.0), shape)
        size = x.shape[1] * (2 if self.up else 1)
        strength = self.param("noise_strength", nn.initializers.zeros, ())
        const = self.variable("buffers", "noise_const", self._draw, (size, size))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        y = ops.modulated_conv2d(x, weight, style, up=self.up)
        grid = self._noise(noise, const.value, y.shape)
        if grid is not None:
            y = y + (strength * grid).astype(y.dtype)
        return ops.leaky_relu(y + bias.astype(y.dtype))

    def _draw(self, shape):
        key = self.make_rng("params") if self.has_rng("params") else jax.random.key(0)
        return jax.random.normal(key, shape)

    def _noise(self, noise, const, shape):
        if isinstance(noise, Mapping):
            noise = noise.get("/".join(self.path[-2:]), "const")
        if not isinstance(noise, str):
            return noise.reshape(-1, *shape[1:3], 1)
        if noise == "random":
            return jax.random.normal(self.make_rng("noise"), (*shape[:3], 1))
        return const[:, :, None] if noise == "const" else None


class ToRGB(nn.Module):
    """1×1 modulated convolution to the image, without demodulation."""

    features: int

    @nn.compact
    def __call__(self, x, w):
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
        image = rgb if image is None else ops.upsample(image) + rgb
        self.sow("intermediates", "image_out", image)
        return x, image


class Synthesis(nn.Module):
    """w+ [B, L, D] → image [B, R, R, C]."""

    resolution: int
    channel_base: int
    channel_max: int
    image_channels: int

    @nn.compact
    def __call__(self, w_plus, noise, dtype, remat):
        x = image = None
        cls = _forgetful(Block, noise) if remat else Block
        for i, res in enumerate(resolutions(self.resolution)):
            features = channels(res, self.channel_base, self.channel_max)
            ws = w_plus[:, :2] if i == 0 else w_plus[:, 2 * i - 1 : 2 * i + 2]
            block = cls(res, features, self.image_channels, name=f"b{res}")
            x, image = block(x, image, ws, noise, dtype)
        return image


def _forgetful(block, noise):
    """A block whose backward pass computes the forward pass again (less memory)."""
    return nn.remat(block, static_argnums=(4, 5) if isinstance(noise, str) else (5,))


class Generator(nn.Module):
    """StyleGAN2: `mapping` and `synthesis`; widths min(channel_base / R, channel_max).

    The published networks ("config f") are `channel_base=32768, channel_max=512`.
    """

    resolution: int
    z_dim: int = 512
    w_dim: int = 512
    channel_base: int = 32768
    channel_max: int = 512
    num_mapping_layers: int = 8
    image_channels: int = 3
    mapping_lr_mul: float = 0.01

    def setup(self):
        resolutions(self.resolution)
        self.mapping_ = MappingNetwork(
            self.w_dim, self.num_mapping_layers, self.mapping_lr_mul, name="mapping"
        )
        self.synthesis_ = Synthesis(
            self.resolution, self.channel_base, self.channel_max, self.image_channels,
            name="synthesis",
        )  # fmt: skip

    @property
    def num_ws(self) -> int:
        """L = 2·log2(R) − 2 rows of w+."""
        return 2 * int(math.log2(self.resolution)) - 2

    def layers(self) -> list[Layer]:
        """Every modulated convolution in the order of execution, toRGB included."""
        found, previous = [], None
        for i, res in enumerate(resolutions(self.resolution)):
            width = channels(res, self.channel_base, self.channel_max)
            root, w = f"synthesis/b{res}", max(0, 2 * i - 1)
            if i:
                found.append(Layer(f"{root}/conv0/weight", previous, width, 3, res, w))
            rows = (w + 1, w + 2) if i else (0, 1)
            found.append(Layer(f"{root}/conv1/weight", width, width, 3, res, rows[0]))
            rgb = self.image_channels
            found.append(Layer(f"{root}/torgb/weight", width, rgb, 1, res, rows[1]))
            previous = width
        return found

    def mapping(self, z):
        """z [B, Z] → w [B, D]."""
        return self.mapping_(z)

    def synthesis(self, w_plus, noise="const", dtype=jnp.float32, remat=False):
        """Renders latents.

        Args:
            w_plus: [B, L, D], or w [B, D] for the same row in every layer.
            noise: "const" (the stored maps), "none", "random" (rng "noise"), or
                arrays [B or 1, r, r] by layer, e.g. {"b8/conv0": …}.
            dtype: of the feature maps; styles, sums of toRGB and the image are
                float32.
            remat: keep one block's maps at a time for the backward pass.

        Returns:
            Image float32 [B, R, R, C], about [-1, 1], not clipped.
        """
        if w_plus.ndim == 2:
            w_plus = jnp.broadcast_to(
                w_plus[:, None], (w_plus.shape[0], self.num_ws, w_plus.shape[1])
            )
        return self.synthesis_(w_plus, noise, jnp.dtype(dtype), remat)

    def truncate(self, w, psi=1.0):
        """w_avg + psi·(w − w_avg)."""
        w_avg = self.get_variable("buffers", "mapping")["w_avg"]
        return w_avg + psi * (w - w_avg)

    def __call__(self, z, psi=1.0, noise="const"):
        """z [B, Z] → image [B, R, R, C]."""
        w = self.mapping(z)
        return self.synthesis(w if psi == 1.0 else self.truncate(w, psi), noise)


def mix(w, w_other, index: int, num_ws: int):
    """Style mixing: rows from `index` on come from the other w. [B, D] → [B, L, D]."""
    rows = jnp.arange(num_ws)[None, :, None]
    return jnp.where(rows < index, w[:, None], w_other[:, None])


def resolutions(resolution: int) -> list[int]:
    """4, 8, … up to `resolution`, which must be a power of two ≥ 8."""
    if resolution < 8 or resolution & (resolution - 1):
        raise ValueError(f"resolution {resolution}: expected a power of two, 8 or more")
    return [2**i for i in range(2, int(math.log2(resolution)) + 1)]


def channels(resolution: int, base: int, maximum: int) -> int:
    """Width of the layers at one resolution."""
    return min(base // resolution, maximum)
