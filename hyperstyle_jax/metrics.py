"""Measures image quality in numbers that can be compared with published ones."""

import jax
import jax.numpy as jnp
import numpy as np

# The exponents of the five scales in MS-SSIM's product.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def psnr(x: jax.Array, y: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio in dB, [B], of images [B, H, W, C] in [-1, 1]."""
    return 10 * jnp.log10(4.0 / jnp.square(x - y).mean((1, 2, 3)))


def similarity(x: jax.Array, y: jax.Array) -> jax.Array:
    """Cosine similarity [B] of features [B, E]."""
    lengths = jnp.linalg.norm(x, axis=-1) * jnp.linalg.norm(y, axis=-1)
    return jnp.sum(x * y, axis=-1) / lengths


def ms_ssim(x: jax.Array, y: jax.Array, val_range: float | None = 2.0) -> jax.Array:
    """Multi-scale structural similarity as the HyperStyle paper measures it.

    https://ece.uwaterloo.ca/~z70wang/publications/msssim.pdf

    Args:
        x, y: [B, H, W, C].
        val_range: the width of the range of values; None guesses it at each scale from
            the values of `x`, as the release does.

    Returns:
        [B], 1 for equal images.
    """
    return combine_scales(*ssim_scales(x, y, val_range))


def ssim_scales(
    x: jax.Array, y: jax.Array, val_range: float | None = 2.0
) -> tuple[jax.Array, jax.Array]:
    """Similarity and contrast at five scales; see `ms_ssim` for the arguments.

    Returns:
        Similarities [5, B] and contrasts [5, B].
    """
    scales = []
    for _ in _SCALE_WEIGHTS:
        scales.append(ssim(x, y, val_range))
        x, y = _halve(x), _halve(y)
    similarities, contrasts = zip(*scales, strict=True)
    return jnp.stack(similarities), jnp.stack(contrasts)


def combine_scales(
    similarities: jax.Array, contrasts: jax.Array, normalize: str = "relu"
) -> jax.Array:
    """Multiplies contrasts and the last similarity, each to the power of its scale.

    Args:
        similarities, contrasts: [5, ...].
        normalize: keeps the powers real. "relu" sets negative values to 0, "simple"
            maps [-1, 1] to [0, 1]. With "none" unrelated images give NaN, as in the
            release.

    Returns:
        [...].

    Raises:
        ValueError: an unknown `normalize`.
    """
    if normalize == "simple":
        similarities, contrasts = (similarities + 1) / 2, (contrasts + 1) / 2
    elif normalize == "relu":
        similarities, contrasts = (jnp.maximum(v, 0) for v in (similarities, contrasts))
    elif normalize != "none":
        raise ValueError(f"normalize {normalize!r}: expected relu, simple or none")
    weights = jnp.array(_SCALE_WEIGHTS).reshape(-1, *[1] * (contrasts.ndim - 1))
    factors = jnp.concatenate([contrasts[:-1], similarities[-1:]])
    return jnp.prod(factors**weights, axis=0)


def ssim(
    x: jax.Array, y: jax.Array, val_range: float | None = 2.0
) -> tuple[jax.Array, jax.Array]:
    """Structural similarity and its contrast factor, averaged over the image.

    Args:
        x, y: [B, H, W, C].
        val_range: as in `ms_ssim`.

    Returns:
        Similarity [B] and contrast [B].
    """
    length = _guess_range(x) if val_range is None else val_range
    c1, c2 = (0.01 * length) ** 2, (0.03 * length) ** 2
    window = _gaussian(min(11, *x.shape[1:3]))
    # One batch for all five: a fifth of the operations to compile.
    means = _filter(jnp.concatenate([x, y, x * x, y * y, x * y]), window)
    mean_x, mean_y, square_x, square_y, product = jnp.split(means, 5)
    var_x, var_y = square_x - mean_x**2, square_y - mean_y**2
    covariance = product - mean_x * mean_y
    contrast = (2 * covariance + c2) / (var_x + var_y + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Fréchet distance of the Gaussians fitted to two sets of features.

    ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½), in float64.

    Args:
        x, y: [N, F], each with an N of its own.

    Raises:
        ValueError: fewer than two features, or another shape.
    """
    (mean_x, cov_x), (mean_y, cov_y) = _moments(x, "first"), _moments(y, "second")
    values, vectors = np.linalg.eigh(cov_x)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ cov_y @ root)
    trace = np.trace(cov_x) + np.trace(cov_y) - 2 * np.sqrt(np.maximum(cross, 0)).sum()
    return float(np.sum((mean_x - mean_y) ** 2) + trace)


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy of two sets of features.

    With the kernel (⟨a, b⟩ / F + 1)³, as the kernel inception distance has
    (https://arxiv.org/abs/1801.01401); over all pairs at once. Unlike the Fréchet
    distance its mean does not depend on the number of images.

    Args:
        x, y: [N, F], each with an N of its own.

    Raises:
        ValueError: fewer than two features, or another shape.
    """
    for features, name in ((x, "first"), (y, "second")):
        _moments(features, name)  # checks the shapes
    x, y = (np.asarray(a, np.float64) for a in (x, y))

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a):
        whole = kernel(a, a)
        return (whole.sum() - np.trace(whole)) / (len(a) * (len(a) - 1))

    return float(within(x) + within(y) - 2 * kernel(x, y).mean())


def _moments(features, set_name):
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(
            f"{set_name} set of features has the shape {features.shape}: "
            "expected [N, F] with N ≥ 2"
        )
    return features.mean(0), np.atleast_2d(np.cov(features, rowvar=False))


def _guess_range(x):
    """The width of each image's range: up to 255 or 1, from −1 or 0."""
    high = jnp.where(x.max((1, 2, 3)) > 128, 255.0, 1.0)
    low = jnp.where(x.min((1, 2, 3)) < -0.5, -1.0, 0.0)
    return (high - low)[:, None, None, None]


def _gaussian(size, sigma=1.5):
    window = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    return (window / window.sum()).astype(np.float32)


def _filter(x, window):
    """Separable filter without padding, by sums of shifted images, which are exact."""
    for axis in (1, 2):
        n = x.shape[axis] - len(window) + 1
        x = sum(
            float(tap) * jax.lax.slice_in_dim(x, i, i + n, axis=axis)
            for i, tap in enumerate(window)
        )
    return x


def _halve(x):
    """Means of 2×2 pixels; the last row or column of an odd number is left out."""
    b, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2]
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))
