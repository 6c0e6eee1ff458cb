"""Encoders: images → latents, the initial inversion that a hypernetwork refines.

One W-encoder and one W+ encoder; the published W+ methods differ in two switches:

| method | pyramid | progressive |
|---|---|---|
| pSp, https://arxiv.org/abs/2008.00951 | yes | no |
| e4e, https://arxiv.org/abs/2102.02766 | yes | yes |
| ReStyle over pSp, https://arxiv.org/abs/2104.02699 | no | no |
| ReStyle over e4e | no | yes |
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.ops import EqualLinear
from hyperstyle_jax.models.resnet import Conv, IRNet, ResNet

# Where the three groups of styles begin: rows 0–2 are coarse, 3–6 medium, 7… fine.
_MEDIUM, _FINE = 3, 7


class WEncoder(nn.Module):
    """One w per image: images [B, H, W, C] → w [B, D], the mean latent added."""

    w_dim: int = 512
    widths: Sequence[int] = (64, 128, 256, 512)
    depths: Sequence[int] = (3, 4, 14, 3)
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        latent_avg = self.variable("buffers", "latent_avg", jnp.zeros, (self.w_dim,))
        body = IRNet(self.widths, self.depths, axis_name=self.axis_name, name="body")
        features = body(x, train).mean((1, 2))
        return latent_avg.value + EqualLinear(self.w_dim, name="linear")(features)


class StyleEncoder(nn.Module):
    """One w per layer: images [B, H, W, C] → w_plus [B, L, D].

    With `pyramid`, medium and fine rows read finer feature maps. With `progressive`,
    rows are offsets from the first one, switched on by `stage`. Restyle encoders see
    target and reconstruction (6 channels) and are called with the current `latent`.
    """

    num_ws: int
    w_dim: int = 512
    widths: Sequence[int] = (64, 128, 256, 512)
    depths: Sequence[int] = (3, 4, 14, 3)
    trunk: str = "ir_se"
    pyramid: bool = True
    progressive: bool = False
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        latent: jax.Array | None = None,
        stage: int | None = None,
        train: bool = False,
    ) -> jax.Array:
        """Encodes images.

        Args:
            x: [B, H, W, C].
            latent: [B, L, D] (or broadcasting), what the rows are added to;
                the mean latent if not given.
            stage: rows 1 … stage are used besides row 0; None means all.
            train: use and update the statistics of the batch.

        Returns:
            [B, L, D].
        """
        shape = (self.num_ws, self.w_dim)
        latent_avg = self.variable("buffers", "latent_avg", jnp.zeros, shape)
        maps = self._maps(self._body().stages(x, train))
        rows = [
            StyleBlock(self.w_dim, name=f"style{i}")(maps[self._level(i)])
            for i in range(self.num_ws)
        ]
        codes = jnp.stack(rows, axis=1)
        if self.progressive:
            last = self.num_ws - 1 if stage is None else stage
            used = (jnp.arange(self.num_ws) <= last) & (jnp.arange(self.num_ws) > 0)
            codes = codes[:, :1] + jnp.where(used[:, None], codes, 0.0)
        return codes + (latent_avg.value if latent is None else latent)

    def _body(self):
        sizes = (self.widths, self.depths)
        if self.trunk == "ir_se":
            return IRNet(*sizes, axis_name=self.axis_name, name="body")
        if self.trunk == "resnet":
            return ResNet(
                *sizes, prelu=True, pool=False, axis_name=self.axis_name, name="body"
            )
        raise ValueError(f'trunk {self.trunk!r}: expected "ir_se" or "resnet"')

    def _maps(self, stages):
        """Coarse, medium and fine feature maps; without pyramid only the coarse one."""
        if not self.pyramid:
            return stages[-1:]
        fine, medium, coarse = stages[-3:]
        lateral1 = Conv(self.widths[-1], 1, use_bias=True, name="lateral1")
        lateral2 = Conv(self.widths[-1], 1, use_bias=True, name="lateral2")
        medium = _resize(coarse, medium.shape) + lateral1(medium)
        return [coarse, medium, _resize(medium, fine.shape) + lateral2(fine)]

    def _level(self, row):
        return (row >= _MEDIUM) + (row >= _FINE) if self.pyramid else 0


class StyleBlock(nn.Module):
    """Strided convolutions down to one pixel, then a linear layer: [B, D]."""

    w_dim: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i in range(math.ceil(math.log2(max(x.shape[1:3])))):
            conv = Conv(self.w_dim, 3, 2, use_bias=True, name=f"conv{i}")
            x = nn.leaky_relu(conv(x), 0.01)
        return EqualLinear(self.w_dim, name="linear")(x[:, 0, 0])


def _resize(x, shape):
    """Bilinear interpolation with the corner pixels of both grids aligned."""
    rows = _interpolation(x.shape[1], shape[1])
    columns = _interpolation(x.shape[2], shape[2])
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("hi,bijc,wj->bhwc", rows, x, columns, precision=exact)


def _interpolation(size_in, size_out):
    """Matrix [size_out, size_in]."""
    position = jnp.linspace(0.0, size_in - 1.0, size_out)
    distance = jnp.abs(position[:, None] - jnp.arange(size_in))
    return jnp.maximum(1.0 - distance, 0.0)
