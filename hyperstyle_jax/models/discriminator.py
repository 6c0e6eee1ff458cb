"""StyleGAN2's residual discriminator of images, and e4e's discriminator of latents.

https://arxiv.org/abs/1912.04958, https://arxiv.org/abs/2102.02766
"""

import math
from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models import ops
from hyperstyle_jax.models.layers import Linear
from hyperstyle_jax.models.synthesis import channels, resolutions


class Discriminator(nn.Module):
    """Images [B, R, R, C] → logits [B, 1]; widths as in the generator."""

    resolution: int
    channel_base: int = 32768
    channel_max: int = 512
    mbstd_group: int = 4

    @nn.compact
    def __call__(self, image, on_whole_batch: Callable | None = None):
        """Logits [B, 1]; higher for images that look real.

        Args:
            image: [B, R, R, 3] in [-1, 1].
            on_whole_batch: where devices share a batch, a function (f, x) → f of the
                features of all devices, for the part x of this one.
        """
        sizes = resolutions(self.resolution)[::-1]
        x = image
        for res in sizes[:-1]:
            width = channels(res, self.channel_base, self.channel_max)
            out_width = channels(res // 2, self.channel_base, self.channel_max)
            is_first = res == self.resolution
            x = Block(width, out_width, is_first, name=f"b{res}")(x)
        width = channels(4, self.channel_base, self.channel_max)
        stddev = partial(minibatch_stddev, group=self.mbstd_group)
        std = on_whole_batch(stddev, x) if on_whole_batch else stddev(x)
        return Epilogue(width, name="b4")(x, std)


class Block(nn.Module):
    """Two convolutions, the second with stride 2, and a filtered skip connection.

    The first block starts with a 1×1 convolution of the image ("fromRGB").
    """

    width: int
    out_width: int
    is_first: bool

    @nn.compact
    def __call__(self, x):
        """x [B, H, W, width], or an image → [B, H / 2, W / 2, out_width]."""
        if self.is_first:
            x = ops.leaky_relu(ops.EqualConv(self.width, 1, name="fromrgb")(x))
        skip = ops.EqualConv(self.out_width, 1, True, use_bias=False, name="skip")(x)
        x = ops.leaky_relu(ops.EqualConv(self.width, name="conv0")(x))
        x = ops.leaky_relu(ops.EqualConv(self.out_width, down=True, name="conv1")(x))
        return (x + skip) / math.sqrt(2)


class Epilogue(nn.Module):
    """One convolution and two linear layers, which see the minibatch's deviation."""

    width: int

    @nn.compact
    def __call__(self, x, std):
        """Features [B, 4, 4, C] and their deviation [B, 4, 4, 1] → logits [B, 1]."""
        x = jnp.concatenate([x, std], axis=-1)
        x = ops.leaky_relu(ops.EqualConv(self.width, name="conv")(x))
        x = ops.EqualLinear(self.width, name="fc")(x.reshape(x.shape[0], -1))
        return ops.EqualLinear(1, name="out")(ops.leaky_relu(x))


class LatentDiscriminator(nn.Module):
    """e4e's discriminator of latents: w [B, D] → logits [B, 1]."""

    depth: int = 4

    @nn.compact
    def __call__(self, w):
        """w [B, D] → logits [B, 1]; higher for latents of the mapping network."""
        x, width = w, w.shape[-1]
        for i in range(self.depth - 1):
            x = Linear(width, name=f"fc{i}")(x)
            x = nn.leaky_relu(x, 0.2)
        return Linear(1, name="out")(x)


def minibatch_stddev(x, group: int):
    """The mean standard deviation of each group of images, as one channel.

    Args:
        x: features [B, H, W, C]; images with the same index mod (B / group) are a
            group.
        group: number of images in a group, or all of a smaller batch.

    Returns:
        [B, H, W, 1].

    Raises:
        ValueError: the groups do not divide the batch.
    """
    b, h, w, c = x.shape
    size = min(b, group)
    if b % size:
        raise ValueError(
            f"discriminator batch {b}: expected a multiple of {size}, the group of "
            "the minibatch standard deviation"
        )
    grouped = x.reshape(size, b // size, h, w, c)
    std = jnp.sqrt(jnp.var(grouped, axis=0) + 1e-8).mean((1, 2, 3))
    return jnp.broadcast_to(jnp.tile(std, size)[:, None, None, None], (b, h, w, 1))
