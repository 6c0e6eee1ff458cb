"""ResNet backbones in torchvision's layout: ResNet-34, ResNet-50, HyperStyle's trunk.

https://arxiv.org/abs/1512.03385
"""

from collections.abc import Sequence
from functools import partial

import jax
from flax import linen as nn

from hyperstyle_jax.models.layers import (
    BatchNorm,
    Conv,
    ConvNorm,
    Stem,
    apply_stages,
    max_pool,
)


class ResidualBlock(nn.Module):
    """Convolutions and a shortcut: 3×3 twice, or with `bottleneck` 1×1, 3×3 and 1×1.

    The output is `width` wide, with `bottleneck` four times as wide.
    """

    width: int
    stride: int = 1
    bottleneck: bool = False
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """x [B, H, W, I] → [B, H / stride, W / stride, O]."""
        width, stride = self.width, self.stride
        layers = [(width, 3, stride), (width, 3, 1)]
        if self.bottleneck:
            layers = [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]
        y = x
        for i, layer in enumerate(layers, start=1):
            y = Conv(*layer, name=f"conv{i}")(y if i == 1 else nn.relu(y))
            y = BatchNorm(axis_name=self.axis_name, name=f"norm{i}")(y, train)
        if stride > 1 or x.shape != y.shape:
            shortcut = ConvNorm(y.shape[-1], stride, self.axis_name, name="shortcut")
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
        """x [B, H, W, C] → the feature maps at the end of each stage."""
        stem = (self.widths[0], self.stem_kernel, self.stem_stride, self.prelu)
        x = Stem(*stem, self.axis_name, name="stem")(x, train)
        x = max_pool(x, 3, 1) if self.pool else x
        block = partial(
            ResidualBlock, bottleneck=self.bottleneck, axis_name=self.axis_name
        )
        return apply_stages(block, x, self.widths, self.depths, 1, train)

    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """x [B, H, W, C] → the feature map at the end of the last stage."""
        return self.stages(x, train)[-1]
