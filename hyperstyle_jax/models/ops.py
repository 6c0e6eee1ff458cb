"""The few operations that StyleGAN2 is made of (https://arxiv.org/abs/1912.04958).

Arrays are NHWC, kernels HWIO. Weights are stored with unit variance and scaled at run
time ("equalized learning rate"), as in every published checkpoint.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name

# The name of the convolutions' results, for `jax.checkpoint` policies.
CONVOLVED = "convolved"
_FIR = (0.125, 0.375, 0.375, 0.125)  # [1, 3, 3, 1] / 8 in each direction
# How up-sampling is done best from which output size on, on 2 CPU cores: below 256²
# nine products (128², 512→256 channels: 28 ms, phases 32, polyphase 102), from there on
# phases (1024², 64→32: 107, 75, 110; 512²: 61, 50, 107). Elsewhere one large
# convolution is expected to win; on an H200 it does for a shared kernel (512², 64→32,
# batch 8, bfloat16: 0.49 ms). The others were not measured there.
_PHASES_FROM = {"cpu": 256}
_POLYPHASE_FROM = 512


def conv2d(x, weight, stride: int = 1, padding: int | None = None):
    """Correlation of `x` [B, H, W, I] with `weight` [K, K, I, O], zeros around."""
    k = weight.shape[0]
    p = k // 2 if padding is None else padding
    if k == 1 and stride == 1 and p == 0:
        return x @ weight[0, 0]
    single = x.shape[0] == 1 and stride == 1 and p == k // 2
    if single and jax.default_backend() == "cpu":
        return _single_conv2d(x, weight)
    return _conv2d(x, weight, stride, p)


def _conv2d(x, weight, stride, p):
    return jax.lax.conv_general_dilated(
        x, weight, (stride, stride), ((p, p), (p, p)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip


# Images with kernels of their own are rendered one by one in a loop, and inside a loop
# XLA's CPU backend has no fast kernel for the weight gradient of a convolution (64²,
# 24 → 24 channels, 16 images: 368 ms). As a few matrix products it takes 40 ms.
@jax.custom_vjp
def _single_conv2d(x, weight):
    return _conv2d(x, weight, 1, weight.shape[0] // 2)


def _single_conv2d_fwd(x, weight):
    return _single_conv2d(x, weight), (x, weight)


def _single_conv2d_bwd(residuals, g):
    x, weight = residuals
    k, _, i, o = weight.shape
    dx = _conv2d(g, weight[::-1, ::-1].swapaxes(2, 3), 1, k // 2)
    # One product for each row of the kernel; the k columns stand side by side as
    # channels (1024², 32 channels: 189 ms, 613 with a product for every tap).
    _, h, w, _ = x.shape
    p = k // 2
    padded = jnp.pad(g[0], ((p, p), (p, p), (0, 0)))
    shifted = [padded[:, k - 1 - j : k - 1 - j + w] for j in range(k)]
    columns = jnp.concatenate(shifted, axis=-1)
    rows = [columns[k - 1 - r : k - 1 - r + h].reshape(h * w, -1) for r in range(k)]
    flat = x.reshape(h * w, i).T
    taps = jnp.stack([flat @ row for row in rows])
    return dx, taps.reshape(k, i, k, o).swapaxes(1, 2)


_single_conv2d.defvjp(_single_conv2d_fwd, _single_conv2d_bwd)


def blur(x, pad: tuple[int, int], gain: float = 1.0):
    """Separable [1, 3, 3, 1] filter of [B, H, W, C]; `gain` scales the result.

    Shifted adds: a depthwise convolution is several times slower on a CPU.
    """
    x = jnp.pad(x, ((0, 0), pad, pad, (0, 0)))
    for axis in (1, 2):
        n = x.shape[axis] - 3
        x = sum(
            tap * math.sqrt(gain) * jax.lax.slice_in_dim(x, i, i + n, axis=axis)
            for i, tap in enumerate(_FIR)
        )
    return x


def upsample(x):
    """[B, H, W, C] → [B, 2H, 2W, C], the FIR-interpolating skip path."""
    for axis in (1, 2):
        n = x.shape[axis]
        pads = [(0, 0)] * x.ndim
        pads[axis] = (1, 1)
        padded = jnp.pad(x, pads)
        before = jax.lax.slice_in_dim(padded, 0, n, axis=axis)
        after = jax.lax.slice_in_dim(padded, 2, n + 2, axis=axis)
        even, odd = 0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after
        shape = list(x.shape)
        shape[axis] *= 2
        x = jnp.stack([even, odd], axis=axis + 1).reshape(shape)
    return x


def upsampling_conv2d(x, weight):
    """Transposed 3×3 convolution with stride 2 and the FIR filter after it.

    [B, H, W, I] with `weight` [3, 3, I, O] → [B, 2H, 2W, O].
    """
    size, backend = 2 * x.shape[1], jax.default_backend()
    if size >= _PHASES_FROM.get(backend, math.inf):
        return blur(_phases(x, weight), (1, 1), gain=4.0)
    if size >= _POLYPHASE_FROM and backend != "cpu":
        return _polyphase(x, weight)
    return blur(_taps(x, weight), (1, 1), gain=4.0)


def _taps(x, weight):
    """Transposed convolution [B, 2H + 1, 2W + 1, O]: one product for the nine taps.

    Tap k of pixel i is added to output 2i + k.
    """
    b, h, w, i = x.shape
    o = weight.shape[-1]
    taps = x.reshape(-1, i) @ weight.transpose(2, 0, 1, 3).reshape(i, 9 * o)
    taps = taps.reshape(b, h, w, 3, 3, o)
    y = _spread(1, *(taps[:, :, :, t] for t in range(3)))
    return _spread(2, *(y[:, :, :, t] for t in range(3)))


# The gradient is that of the products: XLA's own takes seconds (256², 256 → 128
# channels: 2.9 s, so 65 ms).
@jax.custom_vjp
def _phases(x, weight):
    """The same as four convolutions, one for each parity of the output's place.

    Even outputs 2i see taps 0 and 2 at i and i − 1, odd ones tap 1 at i.
    """
    b, h, w, _ = x.shape

    def phase(row, column):
        taps = [slice(None, None, -2), slice(1, 2)]  # 2 and 0, or 1 alone
        pads = [(1, 1), (0, 0)]
        y = jax.lax.conv_general_dilated(
            x, weight[taps[row], taps[column]], (1, 1), (pads[row], pads[column]),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip
        return jnp.pad(y, ((0, 0), (0, row), (0, column), (0, 0)))

    rows = [jnp.stack([phase(r, 0), phase(r, 1)], axis=3) for r in (0, 1)]
    y = jnp.stack(rows, axis=2).reshape(b, 2 * h + 2, 2 * w + 2, -1)
    return y[:, :-1, :-1]


_phases.defvjp(
    lambda x, weight: (_phases(x, weight), (x, weight)),
    lambda residuals, g: jax.vjp(_taps, *residuals)[1](g),
)


def _spread(axis, first, middle, last):
    """Three arrays of length n along `axis` → one of 2n + 1: tap t of i at 2i + t."""
    pads = [(0, 0)] * first.ndim

    def pad(x, where):
        return jnp.pad(x, [*pads[:axis], where, *pads[axis + 1 :]])

    even = pad(first, (0, 1)) + pad(last, (1, 0))
    y = jnp.stack([even, pad(middle, (0, 1))], axis=axis + 1)
    shape = list(even.shape)
    shape[axis] *= 2
    return jax.lax.slice_in_dim(y.reshape(shape), 0, shape[axis] - 1, axis=axis)


def _polyphase(x, weight):
    """The same as one convolution whose 4·O outputs are the four output phases.

    Transposed convolution and filter together carry pixel i to outputs 2i−2 … 2i+3
    with a 6-tap kernel; output 2m+a reads its taps a+4, a+2, a at m−1, m, m+1.
    """
    for axis in (0, 1):
        pads = [(0, 0)] * 4
        pads[axis] = (3, 3)
        padded = jnp.pad(weight, pads)
        weight = sum(
            2.0 * tap * jax.lax.slice_in_dim(padded, i, i + 6, axis=axis)
            for i, tap in enumerate(_FIR)
        )
    rows = [weight[4::-2], weight[5::-2]]
    kernel = jnp.stack([r[:, t::-2] for r in rows for t in (4, 5)], axis=3)
    b, h, w, _ = x.shape
    o = weight.shape[-1]
    y = _ungrouped(x, kernel.reshape(3, 3, -1, 4 * o)).reshape(b, h, w, 2, 2, o)
    return y.transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, o)


# Images with kernels of their own, side by side (`jax.vmap`), are one grouped
# convolution. With so many outputs a GPU is faster one after another: 512², 64→4·32,
# batch 8, bfloat16 on an H200 2.2 ms, so 1.0; an inversion at 1024² 80 ms, so 71. The
# gradients are those of the grouped convolution.
@jax.custom_jvp
def _ungrouped(x, kernel):
    return _one_by_one(x, kernel)


@partial(_ungrouped.defjvp, symbolic_zeros=True)
def _ungrouped_jvp(primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    terms = [
        conv2d(*pair)
        for pair, changed in (((dx, kernel), dx), ((x, dkernel), dkernel))
        if not isinstance(changed, jax.custom_derivatives.SymbolicZero)
    ]
    return _ungrouped(x, kernel), sum(terms)


@jax.custom_batching.custom_vmap
def _one_by_one(x, kernel):
    return conv2d(x, kernel)


@_one_by_one.def_vmap
def _one_by_one_vmap(size, batched, x, kernel):
    if all(batched) and jax.default_backend() == "gpu":
        return jnp.stack([conv2d(x[i], kernel[i]) for i in range(size)]), True
    axes = [0 if b else None for b in batched]
    return jax.vmap(conv2d, axes)(x, kernel), True


def leaky_relu(x):
    """Slope 0.2 and gain √2, so that the variance stays."""
    return jax.nn.leaky_relu(x, 0.2) * math.sqrt(2)


def modulated_conv2d(x, weight, style, *, demodulate: bool = True, up: bool = False):
    """StyleGAN2's convolution with per-image channel scales (its equations 1 and 3).

    Several images share one kernel: scaling input and output equals scaling the kernel
    of every image and needs no grouped convolution. One image alone has its kernel
    scaled, which is smaller than a feature map.

    Args:
        x: [B, H, W, I]; its dtype is that of the convolution.
        weight: [K, K, I, O]. style: [B, I].

    Returns:
        [B, H, W, O], or twice the size with `up`.
    """
    k, _, i, o = weight.shape
    weight = weight * (1 / math.sqrt(k * k * i))
    out = 1.0
    if demodulate:
        # A product: a sum over the kernel's first axes is slow on a CPU (512 → 512
        # channels: 6.5 ms, so 1.4).
        power = jnp.tile(jnp.square(style), k * k) @ jnp.square(weight).reshape(-1, o)
        out = jax.lax.rsqrt(power + 1e-8)
    convolve = upsampling_conv2d if up else conv2d
    if x.shape[0] == 1:
        weight = weight * style[0][:, None] * (out[0] if demodulate else out)
        return checkpoint_name(convolve(x, weight.astype(x.dtype)), CONVOLVED)
    x = x * style.astype(x.dtype)[:, None, None, :]
    y = checkpoint_name(convolve(x, weight.astype(x.dtype)), CONVOLVED)
    return y * out.astype(y.dtype)[:, None, None, :] if demodulate else y


class EqualLinear(nn.Module):
    """[B, I] → [B, O] with equalized learning rate `lr_mul`."""

    features: int
    bias_init: float = 0.0
    lr_mul: float = 1.0

    @nn.compact
    def __call__(self, x):
        fan_in, mul = x.shape[-1], self.lr_mul
        init = nn.initializers.normal(1 / mul)
        weight = self.param("weight", init, (fan_in, self.features))
        bias = self.param(
            "bias", nn.initializers.constant(self.bias_init / mul), (self.features,)
        )
        return x @ (weight * (mul / math.sqrt(fan_in))) + bias * mul


class EqualConv(nn.Module):
    """Convolution with equalized learning rate; `down` filters and halves the size."""

    features: int
    kernel: int = 3
    down: bool = False
    use_bias: bool = True

    @nn.compact
    def __call__(self, x):
        k = self.kernel
        shape = (k, k, x.shape[-1], self.features)
        weight = self.param("weight", nn.initializers.normal(1.0), shape)
        weight = weight * (1 / math.sqrt(math.prod(shape[:3])))
        if self.down:
            p = k + 1  # 4 FIR taps and the kernel over a halved grid
            x = blur(x, ((p + 1) // 2, p // 2))
        y = conv2d(x, weight, 2 if self.down else 1, 0 if self.down else None)
        if self.use_bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,))
        return y
