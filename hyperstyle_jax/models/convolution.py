"""Convolutions of NHWC images with HWIO kernels, and a fast gradient for one image."""

import jax
import jax.numpy as jnp

Padding = tuple[tuple[int, int], tuple[int, int]]


def convolution(x, weight, stride: int, padding: Padding):
    """Correlates `x` [B, H, W, I] with `weight` [K, L, I, O].

    Args:
        stride: of rows and columns.
        padding: rows of zeros (above, below) and columns of zeros (left, right).
    """
    return jax.lax.conv_general_dilated(
        x, weight, (stride, stride), padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip


def conv2d(x, weight, stride: int = 1, padding: int | None = None):
    """Correlates images with a square kernel.

    Args:
        x: [B, H, W, I].
        weight: [K, K, I, O].
        stride: of rows and columns.
        padding: zeros on each side; by default K // 2, so that stride 1 keeps the size.

    Returns:
        [B, H', W', O].
    """
    k = weight.shape[0]
    p = k // 2 if padding is None else padding
    if k == 1 and stride == 1 and p == 0:
        return x @ weight[0, 0]
    same_size = stride == 1 and p == k // 2
    if x.shape[0] == 1 and same_size and jax.default_backend() == "cpu":
        return _single_image_conv2d(x, weight)
    return convolution(x, weight, stride, ((p, p), (p, p)))


def _same_conv2d(x, weight):
    p = weight.shape[0] // 2
    return convolution(x, weight, 1, ((p, p), (p, p)))


# Images with kernels of their own are rendered one by one in a loop, and inside a loop
# XLA's CPU backend has no fast program for the gradient of a convolution's kernel: 64²,
# 24 → 24 channels, 16 images took 368 ms. As a few matrix products it takes 40 ms.
@jax.custom_vjp
def _single_image_conv2d(x, weight):
    """The convolution of one image [1, H, W, I], with a gradient made for loops."""
    return _same_conv2d(x, weight)


def _single_image_conv2d_fwd(x, weight):
    return _single_image_conv2d(x, weight), (x, weight)


def _single_image_conv2d_bwd(residuals, g):
    x, weight = residuals
    k, _, i, o = weight.shape
    dx = _same_conv2d(g, weight[::-1, ::-1].swapaxes(2, 3))
    # One product for each row of the kernel, with the k shifted copies of the gradient
    # side by side as channels. At 1024² and 32 channels this takes 189 ms; one product
    # for each of the k·k taps takes 613 ms.
    _, h, w, _ = x.shape
    p = k // 2
    padded = jnp.pad(g[0], ((p, p), (p, p), (0, 0)))
    shifted = [padded[:, k - 1 - j : k - 1 - j + w] for j in range(k)]
    columns = jnp.concatenate(shifted, axis=-1)
    rows = [columns[k - 1 - r : k - 1 - r + h].reshape(h * w, -1) for r in range(k)]
    flat = x.reshape(h * w, i).T
    dweight = jnp.stack([flat @ row for row in rows])
    return dx, dweight.reshape(k, i, k, o).swapaxes(1, 2)


_single_image_conv2d.defvjp(_single_image_conv2d_fwd, _single_image_conv2d_bwd)
