"""StyleGAN2's operations in NumPy and scipy.signal, to compare ours with."""

import numpy as np
from scipy import signal

FIR = np.array([1.0, 3.0, 3.0, 1.0]) / 8


def normal(*shape, seed=0):
    """Standard normal numbers, float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def correlate(x, weight, mode="same"):
    """x [B, H, W, I] with weight [K, K, I, O], plane by plane."""
    planes = [
        sum(
            signal.correlate2d(image[..., i], weight[..., i, o], mode)
            for i in range(weight.shape[2])
        )
        for image in x
        for o in range(weight.shape[3])
    ]
    stacked = np.reshape(planes, (len(x), weight.shape[3], *planes[0].shape))
    return stacked.transpose(0, 2, 3, 1)


def filtered(x, pad, gain=1.0):
    """The two-dimensional FIR filter on every channel."""
    padded = np.pad(x, ((0, 0), pad, pad, (0, 0)))
    kernel = gain * np.outer(FIR, FIR)
    out = [
        [signal.convolve2d(image[..., c], kernel, "valid") for c in range(x.shape[3])]
        for image in padded
    ]
    return np.transpose(out, (0, 2, 3, 1))


def upsampling_conv2d(x, weight):
    """Zeros between the pixels, then a full convolution, then the filter."""
    b, h, w, _ = x.shape
    sparse = np.zeros((b, 2 * h - 1, 2 * w - 1, x.shape[3]), np.float32)
    sparse[:, ::2, ::2] = x
    return filtered(correlate(sparse, weight[::-1, ::-1], "full"), (1, 1), 4.0)
