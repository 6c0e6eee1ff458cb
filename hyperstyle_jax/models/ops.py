"""StyleGAN2's activation, modulated convolution and equalized layers.

https://arxiv.org/abs/1912.04958. Arrays are NHWC, kernels HWIO. Weights are stored with
unit variance and scaled at run time ("equalized learning rate"), as in every published
checkpoint.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name

from hyperstyle_jax.models.convolution import conv2d
from hyperstyle_jax.models.resampling import blur, upsampling_conv2d

# The name of the convolutions' results, for `jax.checkpoint` policies.
CONVOLVED = "convolved"


def leaky_relu(x):
    """√2 · max(x, 0.2·x) of any shape; the gain keeps the variance."""
    return jax.nn.leaky_relu(x, 0.2) * math.sqrt(2)


def modulated_conv2d(x, weight, style, *, demodulate: bool = True, up: bool = False):
    """StyleGAN2's modulated convolution, equations 1 and 3 of its paper.

    The kernel of each image is w'ᵢₒ = sᵢ·wᵢₒ, divided by √(Σ w'² + ε) over its taps and
    input channels. Several images share one convolution, whose input is scaled by s and
    whose output by the divisor: that equals kernels of their own and needs no grouped
    convolution. For a single image the kernel is scaled, which is smaller than a
    feature map.

    Args:
        x: [B, H, W, I]; its dtype is that of the convolution.
        weight: [K, K, I, O].
        style: s [B, I].
        demodulate: divide by the norm of the kernel.
        up: double the size with `upsampling_conv2d`.

    Returns:
        [B, H, W, O], or [B, 2H, 2W, O] with `up`.
    """
    k, _, i, o = weight.shape
    weight = weight * (1 / math.sqrt(k * k * i))
    if demodulate:
        # A matrix product, since a sum over the kernel's first axes is slow on a CPU:
        # 6.5 ms instead of 1.4 ms for 512 → 512 channels.
        power = jnp.tile(jnp.square(style), k * k) @ jnp.square(weight).reshape(-1, o)
        demodulation = jax.lax.rsqrt(power + 1e-8)
    convolve = upsampling_conv2d if up else conv2d
    if x.shape[0] == 1:
        weight = weight * style[0][:, None]
        weight = weight * demodulation[0] if demodulate else weight
        return checkpoint_name(convolve(x, weight.astype(x.dtype)), CONVOLVED)
    x = x * style.astype(x.dtype)[:, None, None, :]
    y = checkpoint_name(convolve(x, weight.astype(x.dtype)), CONVOLVED)
    return y * demodulation.astype(y.dtype)[:, None, None, :] if demodulate else y


class EqualLinear(nn.Module):
    """A linear layer with equalized learning rate, multiplied by `lr_mul`.

    x·W·lr_mul/√I + b·lr_mul; W is drawn with the standard deviation 1/lr_mul, and b
    starts at bias_init/lr_mul.
    """

    features: int
    bias_init: float = 0.0
    lr_mul: float = 1.0

    @nn.compact
    def __call__(self, x):
        """x [B, I] → [B, O]."""
        fan_in, mul = x.shape[-1], self.lr_mul
        init = nn.initializers.normal(1 / mul)
        weight = self.param("weight", init, (fan_in, self.features))
        bias = self.param(
            "bias", nn.initializers.constant(self.bias_init / mul), (self.features,)
        )
        return x @ (weight * (mul / math.sqrt(fan_in))) + bias * mul


class EqualConv(nn.Module):
    """A convolution with equalized learning rate.

    With `down` the image is filtered and the convolution has stride 2.
    """

    features: int
    kernel: int = 3
    down: bool = False
    use_bias: bool = True

    @nn.compact
    def __call__(self, x):
        """x [B, H, W, I] → [B, H, W, O], or half the size with `down`."""
        k = self.kernel
        shape = (k, k, x.shape[-1], self.features)
        weight = self.param("weight", nn.initializers.normal(1.0), shape)
        weight = weight * (1 / math.sqrt(math.prod(shape[:3])))
        if self.down:
            p = k + 1  # the zeros that 4 taps of the filter and the kernel need
            x = blur(x, ((p + 1) // 2, p // 2))
        y = conv2d(x, weight, 2 if self.down else 1, 0 if self.down else None)
        if self.use_bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,))
        return y
