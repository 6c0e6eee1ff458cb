"""Losses between images: one number for each image, [B].

Images are [B, H, W, 3] in [-1, 1]. The networks that compare them are arguments.
"""

import jax
import jax.numpy as jnp

from hyperstyle_jax.net import Net

# Mean and deviation of ImageNet for images in [0, 1], by which ResNets normalize.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def l2(y_hat: jax.Array, y: jax.Array) -> jax.Array:
    """The mean squared difference of two batches of images, [B]."""
    return jnp.square(y_hat - y).mean((1, 2, 3))


def lpips(net: Net, y_hat: jax.Array, y: jax.Array) -> jax.Array:
    """The LPIPS distance of two batches of images, [B]; `net` is a `LPIPS`."""
    return net(y_hat, y)


def identity(net: Net, y_hat: jax.Array, y: jax.Array) -> jax.Array:
    """The identity loss, 1 − the cosine similarity of ArcFace's vectors, [B].

    `net` is a `models.irnet.FaceNet`. No gradient flows into `y`.
    """
    return dissimilarity(face_features(net, y_hat), face_features(net, y))


def moco(net: Net, y_hat: jax.Array, y: jax.Array, normalize: bool = True) -> jax.Array:
    """The identity loss of domains without faces: MoCo's vectors instead, [B].

    `net` and `normalize` as in `moco_features`. No gradient flows into `y`.
    """
    features, target = (moco_features(net, x, normalize) for x in (y_hat, y))
    return dissimilarity(features, target)


def dissimilarity(features: jax.Array, target: jax.Array) -> jax.Array:
    """1 − ⟨features, target⟩, [B], of vectors [B, E] of length one.

    No gradient flows into `target`.
    """
    return 1.0 - jnp.sum(features * jax.lax.stop_gradient(target), axis=-1)


def face_features(net: Net, x: jax.Array) -> jax.Array:
    """The vectors of a face recognition network.

    Args:
        net: a `models.irnet.FaceNet`.
        x: aligned faces [B, H, W, 3] in [-1, 1]. ArcFace sees a part of the image at
            256×256, averaged to 112×112.

    Returns:
        [B, E], of length one.
    """
    x = x if x.shape[1] == 256 else adaptive_pool(x, (256, 256))
    return net(adaptive_pool(x[:, 35:223, 32:220], (112, 112)))


def moco_features(net: Net, x: jax.Array, normalize: bool = True) -> jax.Array:
    """The vectors of a network trained with MoCo.

    Args:
        net: a `models.resnet.ResNet`.
        x: [B, H, W, 3] in [-1, 1]; resized to 224×224 by the nearest pixels.
        normalize: by ImageNet's mean and deviation, as in the network's training; the
            official release leaves this out.

    Returns:
        [B, F], of length one.
    """
    rows, columns = (jnp.arange(224) * n // 224 for n in x.shape[1:3])
    x = x[:, rows][:, :, columns]
    if normalize:
        mean, std = jnp.array(_IMAGENET_MEAN), jnp.array(_IMAGENET_STD)
        x = ((x + 1) / 2 - mean) / std
    features = net(x).mean((1, 2))
    return features / jnp.linalg.norm(features, axis=-1, keepdims=True)


def adaptive_pool(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Averages an image over a grid of nearly equal cells, as PyTorch does.

    Of n cells, cell i covers the rows ⌊i·H/n⌋ … ⌈(i+1)·H/n⌉ − 1.

    Args:
        x: [B, H, W, C].
        size: (h, w), the number of cells.

    Returns:
        [B, h, w, C].
    """
    rows, columns = (
        _averaging_matrix(n, m) for n, m in zip(x.shape[1:3], size, strict=True)
    )
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("hi,bijc,wj->bhwc", rows, x, columns, precision=exact)


def _averaging_matrix(size_in, size_out):
    """[size_out, size_in]; row i averages cell i."""
    i, j = jnp.arange(size_out)[:, None], jnp.arange(size_in)
    start, stop = i * size_in // size_out, -(-(i + 1) * size_in // size_out)
    inside = ((j >= start) & (j < stop)).astype(jnp.float32)
    return inside / inside.sum(1, keepdims=True)
