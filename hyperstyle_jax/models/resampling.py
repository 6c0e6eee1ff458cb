"""StyleGAN2's filtered resampling: blur, up-sampling, up-sampling convolution.

All use the separable filter [1, 3, 3, 1] of https://arxiv.org/abs/1912.04958. The
up-sampling convolution is computed in one of three ways, whichever is fastest.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp

from hyperstyle_jax.models.convolution import conv2d, convolution

_FIR = (0.125, 0.375, 0.375, 0.125)  # [1, 3, 3, 1] / 8 in each direction
# The output size from which each form of the up-sampling convolution is used. On 2 CPU
# cores one matrix product is fastest below 256² (128², 512 → 256 channels: 28 ms, four
# phases 32 ms, polyphase 102 ms). From 256² on four phases are fastest (1024², 64 → 32
# channels: 75 ms, one product 107 ms, polyphase 110 ms). Other devices are expected to
# prefer one large convolution. On an H200 it takes 0.49 ms (512², 64 → 32 channels,
# batch 8, bfloat16, one shared kernel); the other forms were not measured there.
_PHASES_FROM = {"cpu": 256}
_POLYPHASE_FROM = 512


def blur(x, pad: tuple[int, int], gain: float = 1.0):
    """Filters [B, H, W, C] with [1, 3, 3, 1] / 8 in both directions.

    The filter is a sum of shifted images: a depthwise convolution is several times
    slower on a CPU.

    Args:
        x: [B, H, W, C].
        pad: zeros (before, after) the rows and the columns.
        gain: factor of the result.

    Returns:
        [B, H', W', C] with H' = H + sum(pad) − 3, and W' alike.
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
    """Interpolates [B, H, W, C] to [B, 2H, 2W, C] with the filter, for skip images."""
    for axis in (1, 2):
        n = x.shape[axis]
        pads = [(0, 0)] * x.ndim
        pads[axis] = (1, 1)
        padded = jnp.pad(x, pads)
        before = jax.lax.slice_in_dim(padded, 0, n, axis=axis)
        after = jax.lax.slice_in_dim(padded, 2, n + 2, axis=axis)
        even, odd = 0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after
        x = _interleave(even, odd, axis)
    return x


def upsampling_conv2d(x, weight):
    """Transposed 3×3 convolution with stride 2, then the filter.

    Args:
        x: [B, H, W, I].
        weight: [3, 3, I, O].

    Returns:
        [B, 2H, 2W, O].
    """
    size, backend = 2 * x.shape[1], jax.default_backend()
    if size >= _PHASES_FROM.get(backend, math.inf):
        return blur(_transposed_phases(x, weight), (1, 1), gain=4.0)
    if size >= _POLYPHASE_FROM and backend != "cpu":
        return _polyphase(x, weight)
    return blur(_transposed_product(x, weight), (1, 1), gain=4.0)


def _transposed_product(x, weight):
    """Transposed convolution [B, 2H + 1, 2W + 1, O] as one matrix product.

    The product gives all nine taps of the kernel for each pixel; tap k of pixel i is
    then added to output 2i + k.
    """
    b, h, w, i = x.shape
    o = weight.shape[-1]
    taps = x.reshape(-1, i) @ weight.transpose(2, 0, 1, 3).reshape(i, 9 * o)
    taps = taps.reshape(b, h, w, 3, 3, o)
    y = _overlap_add(1, *(taps[:, :, :, t] for t in range(3)))
    return _overlap_add(2, *(y[:, :, :, t] for t in range(3)))


# The gradient is that of the matrix product. XLA's own takes seconds on a CPU: 2.9 s
# instead of 65 ms for 256², 256 → 128 channels.
@jax.custom_vjp
def _transposed_phases(x, weight):
    """Transposed convolution as four convolutions, one for each phase of the output.

    The phase of an output is the parity of its row and column. An even output 2i reads
    taps 0 and 2 of pixels i and i − 1, an odd one tap 1 of pixel i.
    """
    b, h, w, _ = x.shape

    def phase(row, column):
        taps = [slice(None, None, -2), slice(1, 2)]  # taps 2 and 0, or tap 1 alone
        pads = [(1, 1), (0, 0)]
        kernel = weight[taps[row], taps[column]]
        y = convolution(x, kernel, 1, (pads[row], pads[column]))
        return jnp.pad(y, ((0, 0), (0, row), (0, column), (0, 0)))

    rows = [_interleave(phase(r, 0), phase(r, 1), axis=2) for r in (0, 1)]
    return _interleave(*rows, axis=1)[:, :-1, :-1]


_transposed_phases.defvjp(
    lambda x, weight: (_transposed_phases(x, weight), (x, weight)),
    lambda residuals, g: jax.vjp(_transposed_product, *residuals)[1](g),
)


def _interleave(even, odd, axis):
    """Two arrays of length n along `axis` → one of 2n with their entries in turn."""
    shape = list(even.shape)
    shape[axis] *= 2
    return jnp.stack([even, odd], axis=axis + 1).reshape(shape)


def _overlap_add(axis, *taps):
    """Three arrays of length n along `axis` → one of 2n + 1: tap t of i at 2i + t."""
    pads = [(0, 0)] * taps[0].ndim

    def pad(x, before, after):
        return jnp.pad(x, [*pads[:axis], (before, after), *pads[axis + 1 :]])

    even = pad(taps[0], 0, 1) + pad(taps[2], 1, 0)
    y = _interleave(even, pad(taps[1], 0, 1), axis)
    return jax.lax.slice_in_dim(y, 0, y.shape[axis] - 1, axis=axis)


def _polyphase(x, weight):
    """Up-sampling convolution and filter as one convolution with 4·O outputs.

    Transposed convolution and filter together carry pixel i to outputs 2i−2 … 2i+3
    with a kernel of 6 taps. Output 2m+a reads its taps a+4, a+2, a at m−1, m, m+1: a
    kernel of 3 taps for each of the four phases a of rows and columns.
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
    y = _ungrouped_conv2d(x, kernel.reshape(3, 3, -1, 4 * o))
    y = y.reshape(b, h, w, 2, 2, o).transpose(0, 1, 3, 2, 4, 5)
    return y.reshape(b, 2 * h, 2 * w, o)


# `jax.vmap` over images with kernels of their own makes one grouped convolution. With
# so many outputs a GPU is faster when it convolves one image after another: on an H200
# 1.0 ms instead of 2.2 ms for 512², 64 → 4·32 channels, batch 8 in bfloat16, and 71 ms
# instead of 80 ms for an inversion at 1024². The gradients stay those of the grouped
# convolution.
@jax.custom_jvp
def _ungrouped_conv2d(x, kernel):
    """`conv2d` that `jax.vmap` does not turn into a grouped convolution on a GPU."""
    return _image_by_image_conv2d(x, kernel)


@partial(_ungrouped_conv2d.defjvp, symbolic_zeros=True)
def _ungrouped_conv2d_jvp(primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    terms = [
        conv2d(*operands)
        for operands, tangent in (((dx, kernel), dx), ((x, dkernel), dkernel))
        if not isinstance(tangent, jax.custom_derivatives.SymbolicZero)
    ]
    return _ungrouped_conv2d(x, kernel), sum(terms)


@jax.custom_batching.custom_vmap
def _image_by_image_conv2d(x, kernel):
    return conv2d(x, kernel)


@_image_by_image_conv2d.def_vmap
def _image_by_image_conv2d_vmap(size, batched, x, kernel):
    if all(batched) and jax.default_backend() == "gpu":
        return jnp.stack([conv2d(x[i], kernel[i]) for i in range(size)]), True
    axes = [0 if b else None for b in batched]
    return jax.vmap(conv2d, axes)(x, kernel), True
