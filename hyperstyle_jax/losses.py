"""Distances between images; every function returns one number per image, [B].

Images are [B, H, W, 3] in [-1, 1]. Networks are arguments.
"""

import jax
import jax.numpy as jnp

from hyperstyle_jax.net import Net

# Statistics of ImageNet for images in [0, 1], in which ResNets are trained.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def l2(y_hat: jax.Array, y: jax.Array) -> jax.Array:
    """Mean squared difference, [B]."""
    return jnp.square(y_hat - y).mean((1, 2, 3))


def lpips(net: Net, y_hat: jax.Array, y: jax.Array) -> jax.Array:
    """Perceptual distance, [B]. `net` is a `models.lpips.LPIPS`."""
    return net(y_hat, y)


def identity(net: Net, y_hat: jax.Array, y: jax.Array) -> jax.Array:
    """1 − cosine similarity of ArcFace features, [B]; the gradient is that of y_hat."""
    return dissimilarity(face_features(net, y_hat), face_features(net, y))


def moco(net: Net, y_hat: jax.Array, y: jax.Array, normalize: bool = True) -> jax.Array:
    """1 − cosine similarity of MoCo features, [B]; for domains other than faces."""
    features, target = (moco_features(net, x, normalize) for x in (y_hat, y))
    return dissimilarity(features, target)


def dissimilarity(features: jax.Array, target: jax.Array) -> jax.Array:
    """1 − ⟨features, target⟩ of unit vectors [B, E]; no gradient into `target`."""
    return 1.0 - jnp.sum(features * jax.lax.stop_gradient(target), axis=-1)


def face_features(net: Net, x: jax.Array) -> jax.Array:
    """Unit vectors [B, E] of a `models.resnet.FaceNet` for aligned faces.

    The crop is ArcFace's: a part of the 256×256 image, averaged to 112×112.
    """
    x = x if x.shape[1] == 256 else adaptive_pool(x, (256, 256))
    return net(adaptive_pool(x[:, 35:223, 32:220], (112, 112)))


def moco_features(net: Net, x: jax.Array, normalize: bool = True) -> jax.Array:
    """Unit vectors [B, F] of a `models.resnet.ResNet`, from 224×224 pixels.

    `normalize=False` feeds images in [-1, 1] as they are, like the official release;
    the network was trained on normalized ones.
    """
    rows, columns = (jnp.arange(224) * n // 224 for n in x.shape[1:3])
    x = x[:, rows][:, :, columns]
    if normalize:
        mean, std = jnp.array(_IMAGENET_MEAN), jnp.array(_IMAGENET_STD)
        x = ((x + 1) / 2 - mean) / std
    features = net(x).mean((1, 2))
    return features / jnp.linalg.norm(features, axis=-1, keepdims=True)


def adaptive_pool(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Averages [B, H, W, C] over a grid of nearly equal, overlapping cells.

    Cell i of n covers ⌊i·H/n⌋ … ⌈(i+1)·H/n⌉ − 1, PyTorch's convention.
    """
    rows, columns = (_cells(n, m) for n, m in zip(x.shape[1:3], size, strict=True))
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("hi,bijc,wj->bhwc", rows, x, columns, precision=exact)


def _cells(size_in, size_out):
    """Averaging matrix [size_out, size_in]."""
    i, j = jnp.arange(size_out)[:, None], jnp.arange(size_in)
    start, stop = i * size_in // size_out, -(-(i + 1) * size_in // size_out)
    inside = ((j >= start) & (j < stop)).astype(jnp.float32)
    return inside / inside.sum(1, keepdims=True)
