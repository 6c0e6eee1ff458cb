"""Encoders from images to latents: the initial inversion that HyperStyle refines.

`WEncoder` encodes into W, `StyleEncoder` into W+. The published W+ encoders differ in
two of its fields:

| method | pyramid | progressive |
|---|---|---|
| pSp, https://arxiv.org/abs/2008.00951 | yes | no |
| e4e, https://arxiv.org/abs/2102.02766 | yes | yes |
| ReStyle over pSp, https://arxiv.org/abs/2104.02699 | no | no |
| ReStyle over e4e | no | yes |

`WPlusEncoder` is a variant of pSp's code that reads all rows off one vector.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.irnet import IRNet
from hyperstyle_jax.models.layers import BatchNorm, Conv, Linear
from hyperstyle_jax.models.ops import EqualLinear
from hyperstyle_jax.models.resnet import ResNet

# Rows 0–2 of w+ are coarse, rows 3–6 medium, rows from 7 on fine.
_FIRST_MEDIUM_ROW, _FIRST_FINE_ROW = 3, 7
POOLED = 7  # sides of the map that `WPlusEncoder` makes a vector of


class WEncoder(nn.Module):
    """One latent for each image: w = w_avg + E(x), [B, H, W, C] → [B, D]."""

    w_dim: int = 512
    widths: Sequence[int] = (64, 128, 256, 512)
    depths: Sequence[int] = (3, 4, 14, 3)
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """x [B, H, W, C] in [-1, 1] → w [B, D]; `train` as in `BatchNorm`."""
        latent_avg = self.variable("buffers", "latent_avg", jnp.zeros, (self.w_dim,))
        body = IRNet(self.widths, self.depths, axis_name=self.axis_name, name="body")
        features = body(x, train).mean((1, 2))
        return latent_avg.value + EqualLinear(self.w_dim, name="linear")(features)


class StyleEncoder(nn.Module):
    """One latent for each layer: images [B, H, W, C] → w_plus [B, L, D].

    With `pyramid`, medium and fine rows are made of finer feature maps. With
    `progressive`, rows are offsets from the first one, switched on by `stage`. ReStyle
    encoders see target and reconstruction, 6 channels, and are called with the current
    `latent`.
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
        stage: int | jax.Array | None = None,
        train: bool = False,
    ) -> jax.Array:
        """Encodes images.

        Args:
            x: [B, H, W, C] in [-1, 1].
            latent: what the rows are added to, of a shape that broadcasts to [B, L, D];
                by default the mean latent.
            stage: where `progressive`, rows 1 … stage differ from row 0; None: all.
                A number or a traced one.
            train: use and update the statistics of the batch.

        Returns:
            w_plus [B, L, D].

        Raises:
            ValueError: an unknown trunk.
        """
        shape = (self.num_ws, self.w_dim)
        latent_avg = self.variable("buffers", "latent_avg", jnp.zeros, shape)
        maps = self._feature_maps(self._body().stages(x, train))
        rows = [
            StyleBlock(self.w_dim, name=f"style{i}")(maps[self._level(i)])
            for i in range(self.num_ws)
        ]
        latents = jnp.stack(rows, axis=1)
        if self.progressive:
            last_row = self.num_ws - 1 if stage is None else stage
            index = jnp.arange(self.num_ws)
            is_offset = (index > 0) & (index <= last_row)
            latents = latents[:, :1] + jnp.where(is_offset[:, None], latents, 0.0)
        return latents + (latent_avg.value if latent is None else latent)

    def _body(self):
        sizes = (self.widths, self.depths)
        if self.trunk == "ir_se":
            return IRNet(*sizes, axis_name=self.axis_name, name="body")
        if self.trunk == "resnet":
            return ResNet(
                *sizes, prelu=True, pool=False, axis_name=self.axis_name, name="body"
            )
        raise ValueError(f'trunk {self.trunk!r}: expected "ir_se" or "resnet"')

    def _feature_maps(self, stages):
        """Coarse, medium and fine feature maps; without pyramid only the coarse one."""
        if not self.pyramid:
            return stages[-1:]
        fine, medium, coarse = stages[-3:]
        lateral1 = Conv(self.widths[-1], 1, use_bias=True, name="lateral1")
        lateral2 = Conv(self.widths[-1], 1, use_bias=True, name="lateral2")
        medium = _resize_bilinear(coarse, medium.shape) + lateral1(medium)
        fine = _resize_bilinear(medium, fine.shape) + lateral2(fine)
        self.sow("intermediates", "medium", medium)
        self.sow("intermediates", "fine", fine)
        return [coarse, medium, fine]

    def _level(self, row):
        """The index of the feature map that a row of w+ is made of."""
        if not self.pyramid:
            return 0
        return (row >= _FIRST_MEDIUM_ROW) + (row >= _FIRST_FINE_ROW)


class WPlusEncoder(nn.Module):
    """All rows of w+ from one vector: images [B, H, W, C] → w_plus [B, L, D].

    The last feature map is averaged to 7×7 positions, of which a linear layer makes a
    vector, and a second one all rows.
    """

    num_ws: int
    w_dim: int = 512
    widths: Sequence[int] = (64, 128, 256, 512)
    depths: Sequence[int] = (3, 4, 14, 3)
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """x [B, H, W, C] in [-1, 1] → w_plus [B, L, D]; `train` as in `BatchNorm`."""
        shape = (self.num_ws, self.w_dim)
        latent_avg = self.variable("buffers", "latent_avg", jnp.zeros, shape)
        body = IRNet(self.widths, self.depths, axis_name=self.axis_name, name="body")
        norm = BatchNorm(axis_name=self.axis_name, name="norm")
        pooled = _pool_adaptively(norm(body(x, train), train), POOLED)
        self.sow("intermediates", "pooled", pooled)
        features = Linear(self.w_dim, name="features")(pooled.reshape(len(x), -1))
        rows = EqualLinear(self.num_ws * self.w_dim, name="linear")(features)
        return latent_avg.value + rows.reshape(-1, *shape)


class StyleBlock(nn.Module):
    """Strided convolutions down to one pixel, then a linear layer."""

    w_dim: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x [B, h, w, F] → [B, D]."""
        for i in range(math.ceil(math.log2(max(x.shape[1:3])))):
            conv = Conv(self.w_dim, 3, 2, use_bias=True, name=f"conv{i}")
            x = nn.leaky_relu(conv(x), 0.01)
        return EqualLinear(self.w_dim, name="linear")(x[:, 0, 0])


def _resize_bilinear(x, shape):
    """Bilinear interpolation with the corner pixels of both grids aligned."""
    rows = _interpolation_matrix(x.shape[1], shape[1])
    columns = _interpolation_matrix(x.shape[2], shape[2])
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("hi,bijc,wj->bhwc", rows, x, columns, precision=exact)


def _interpolation_matrix(size_in, size_out):
    """[size_out, size_in]; row i interpolates linearly between two neighbours."""
    position = jnp.linspace(0.0, size_in - 1.0, size_out)
    distance = jnp.abs(position[:, None] - jnp.arange(size_in))
    return jnp.maximum(1.0 - distance, 0.0)


def _pool_adaptively(x, size):
    """Means of size × size bins that cover the map, and overlap where they must."""
    rows, columns = (_pooling_matrix(n, size) for n in x.shape[1:3])
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("hi,bijc,wj->bhwc", rows, x, columns, precision=exact)


def _pooling_matrix(size_in, size_out):
    """[size_out, size_in]; row i averages ⌊i·in/out⌋ … ⌈(i + 1)·in/out⌉ − 1."""
    i, j = jnp.arange(size_out)[:, None], jnp.arange(size_in)
    first, end = i * size_in // size_out, -(-(i + 1) * size_in // size_out)
    covered = (j >= first) & (j < end)
    return covered / covered.sum(1, keepdims=True)
