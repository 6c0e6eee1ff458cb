"""StyleGAN2's generator for any resolution and width.

https://arxiv.org/abs/1912.04958. Parameters are named as in NVIDIA's code:
`mapping/fc0/weight`, `synthesis/b64/conv0/weight`, …
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models import ops
from hyperstyle_jax.models.synthesis import Synthesis, channels, resolutions


class Layer(NamedTuple):
    """One modulated convolution of a generator.

    Attributes:
        path: of its kernel [K, K, I, O], as `synthesis/b64/conv0/weight`.
        in_channels: I.
        out_channels: O.
        kernel: K, 3 or for toRGB 1.
        resolution: of its output.
        w_index: the row of w+ that its style is made of.
    """

    path: str
    in_channels: int
    out_channels: int
    kernel: int
    resolution: int
    w_index: int


class MappingNetwork(nn.Module):
    """Fully connected layers that map z, normalized to length √Z, to w."""

    w_dim: int
    num_layers: int
    lr_mul: float

    @nn.compact
    def __call__(self, z):
        """z [B, Z] → w [B, D]."""
        x = z * jax.lax.rsqrt(jnp.mean(jnp.square(z), axis=1, keepdims=True) + 1e-8)
        self.variable("buffers", "w_avg", jnp.zeros, (self.w_dim,))
        for i in range(self.num_layers):
            x = ops.EqualLinear(self.w_dim, lr_mul=self.lr_mul, name=f"fc{i}")(x)
            x = ops.leaky_relu(x)
        return x


class Generator(nn.Module):
    """StyleGAN2: `mapping` of z to w, `synthesis` of images from w or w+.

    The layers at resolution r are min(channel_base / r, channel_max) wide, in the
    published networks ("config f") with channel_base=32768 and channel_max=512.
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
        """Builds mapping and synthesis; refuses resolutions that are no power of 2."""
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
        layers, previous = [], None
        for i, res in enumerate(resolutions(self.resolution)):
            width = channels(res, self.channel_base, self.channel_max)
            root, w = f"synthesis/b{res}", max(0, 2 * i - 1)
            if i:
                conv0 = f"{root}/conv0/weight"
                layers.append(Layer(conv0, previous, width, 3, res, w))
            rows = (w + 1, w + 2) if i else (0, 1)
            layers.append(Layer(f"{root}/conv1/weight", width, width, 3, res, rows[0]))
            rgb = self.image_channels
            layers.append(Layer(f"{root}/torgb/weight", width, rgb, 1, res, rows[1]))
            previous = width
        return layers

    def mapping(self, z):
        """z [B, Z] → w [B, D]."""
        return self.mapping_(z)

    def synthesis(self, w_plus, noise="const", dtype=jnp.float32, remat=False):
        """Renders latents.

        Args:
            w_plus: [B, L, D], or w [B, D] for the same row in every layer.
            noise: "const" (the stored maps), "none", "random" (drawn with the key
                "noise"), or arrays [B or 1, r, r] by layer, as {"b8/conv0": …}.
            dtype: of the feature maps; styles and image are float32.
            remat: keep the feature maps of one block at a time for the backward pass.

        Returns:
            Image float32 [B, R, R, C], about [-1, 1], not clipped.
        """
        if w_plus.ndim == 2:
            w_plus = jnp.broadcast_to(
                w_plus[:, None], (w_plus.shape[0], self.num_ws, w_plus.shape[1])
            )
        return self.synthesis_(w_plus, noise, jnp.dtype(dtype), remat)

    def truncate(self, w, psi=1.0):
        """The truncation trick: w_avg + psi·(w − w_avg), of the shape of w [..., D]."""
        w_avg = self.get_variable("buffers", "mapping")["w_avg"]
        return w_avg + psi * (w - w_avg)

    def __call__(self, z, psi=1.0, noise="const"):
        """z [B, Z] → image [B, R, R, C], about [-1, 1], truncated by `psi`."""
        w = self.mapping(z)
        return self.synthesis(w if psi == 1.0 else self.truncate(w, psi), noise)


def mix_styles(w_coarse, w_fine, index, num_ws: int):
    """Style mixing: coarse layers read one latent, fine layers another.

    Args:
        w_coarse: [B, D], the rows before `index`.
        w_fine: [B, D], the rows from `index` on.
        index: a number, or an array that broadcasts to [B, L, 1].
        num_ws: L.

    Returns:
        w+ [B, L, D].
    """
    rows = jnp.arange(num_ws)[None, :, None]
    return jnp.where(rows < index, w_coarse[:, None], w_fine[:, None])
