"""StyleGAN2's residual discriminator (https://arxiv.org/abs/1912.04958)."""

import math
from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models import ops
from hyperstyle_jax.models.generator import channels, resolutions
from hyperstyle_jax.models.resnet import Linear


class Discriminator(nn.Module):
    """Images [B, R, R, C] → logits [B, 1]; widths as in the generator."""

    resolution: int
    channel_base: int = 32768
    channel_max: int = 512
    mbstd_group: int = 4

    @nn.compact
    def __call__(self, image, on_whole_batch: Callable | None = None):
        """The logits.

        Args:
            on_whole_batch: where devices share a batch, (function, x) → the function of
                all its images for the part x that this device has.
        """
        sizes = resolutions(self.resolution)[::-1]
        x = image
        for res in sizes[:-1]:
            width = channels(res, self.channel_base, self.channel_max)
            after = channels(res // 2, self.channel_base, self.channel_max)
            x = Block(width, after, first=res == self.resolution, name=f"b{res}")(x)
        width = channels(4, self.channel_base, self.channel_max)
        stddev = partial(minibatch_stddev, group=self.mbstd_group)
        found = on_whole_batch(stddev, x) if on_whole_batch else stddev(x)
        return Epilogue(width, name="b4")(x, found)


class Block(nn.Module):
    """Two convolutions, the second halves the size, beside a filtered skip."""

    width: int
    after: int
    first: bool

    @nn.compact
    def __call__(self, x):
        if self.first:
            x = ops.leaky_relu(ops.EqualConv(self.width, 1, name="fromrgb")(x))
        skip = ops.EqualConv(self.after, 1, True, use_bias=False, name="skip")(x)
        x = ops.leaky_relu(ops.EqualConv(self.width, name="conv0")(x))
        x = ops.leaky_relu(ops.EqualConv(self.after, down=True, name="conv1")(x))
        return (x + skip) / math.sqrt(2)


class Epilogue(nn.Module):
    """Minibatch statistics, one convolution, two linear layers."""

    width: int

    @nn.compact
    def __call__(self, x, stddev):
        x = jnp.concatenate([x, stddev], axis=-1)
        x = ops.leaky_relu(ops.EqualConv(self.width, name="conv")(x))
        x = ops.EqualLinear(self.width, name="fc")(x.reshape(x.shape[0], -1))
        return ops.EqualLinear(1, name="out")(ops.leaky_relu(x))


class LatentDiscriminator(nn.Module):
    """Latents [B, D] → logits [B, 1] (https://arxiv.org/abs/2102.02766)."""

    depth: int = 4

    @nn.compact
    def __call__(self, w):
        x, width = w, w.shape[-1]
        for i in range(self.depth - 1):
            x = Linear(width, name=f"fc{i}")(x)
            x = nn.leaky_relu(x, 0.2)
        return Linear(1, name="out")(x)


def minibatch_stddev(x, group: int):
    """Mean standard deviation over groups of the batch as one more channel.

    Args:
        x: [B, H, W, C]; B divisible by min(B, group). Image i belongs to the group of
            all images with the same i mod (B / group).

    Returns:
        [B, H, W, 1].
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
