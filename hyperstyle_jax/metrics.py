"""Measures of quality, in numbers that can be compared with published ones."""

import jax
import jax.numpy as jnp
import numpy as np

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def psnr(x: jax.Array, y: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio in dB of images in [-1, 1], [B]."""
    return 10 * jnp.log10(4.0 / jnp.square(x - y).mean((1, 2, 3)))


def similarity(x: jax.Array, y: jax.Array) -> jax.Array:
    """Cosine similarity of features [B, E], [B]."""
    lengths = jnp.linalg.norm(x, axis=-1) * jnp.linalg.norm(y, axis=-1)
    return jnp.sum(x * y, axis=-1) / lengths


def ms_ssim(x: jax.Array, y: jax.Array, val_range: float | None = 2.0) -> jax.Array:
    """Multi-scale structural similarity as the HyperStyle paper measured it, [B].

    https://ece.uwaterloo.ca/~z70wang/publications/msssim.pdf

    Args:
        x, y: [B, H, W, C].
        val_range: width of the range of values; None guesses it at every scale from
            the values of `x`, as the release does.
    """
    return combine_scales(*ssim_scales(x, y, val_range))


def ssim_scales(
    x: jax.Array, y: jax.Array, val_range: float | None = 2.0
) -> tuple[jax.Array, jax.Array]:
    """Similarity and contrast at five scales, two arrays [5, B]."""
    scales = []
    for _ in _WEIGHTS:
        scales.append(ssim(x, y, val_range))
        x, y = _halve(x), _halve(y)
    similarities, contrasts = zip(*scales, strict=True)
    return jnp.stack(similarities), jnp.stack(contrasts)


def combine_scales(
    similarities: jax.Array, contrasts: jax.Array, normalize: str = "relu"
) -> jax.Array:
    """The weighted product over scales [5, …] → […].

    `normalize` keeps the powers real: "relu" cuts negative values, "simple" maps
    [-1, 1] to [0, 1]; "none" is the release's NaN for images that have nothing to do
    with each other.
    """
    if normalize == "simple":
        similarities, contrasts = (similarities + 1) / 2, (contrasts + 1) / 2
    elif normalize == "relu":
        similarities, contrasts = (jnp.maximum(v, 0) for v in (similarities, contrasts))
    elif normalize != "none":
        raise ValueError(f"normalize {normalize!r}: expected relu, simple or none")
    weights = jnp.array(_WEIGHTS).reshape(-1, *[1] * (contrasts.ndim - 1))
    factors = jnp.concatenate([contrasts[:-1], similarities[-1:]])
    return jnp.prod(factors**weights, axis=0)


def ssim(
    x: jax.Array, y: jax.Array, val_range: float | None = 2.0
) -> tuple[jax.Array, jax.Array]:
    """Structural similarity and its contrast factor, averaged: two arrays [B]."""
    length = _guess_range(x) if val_range is None else val_range
    c1, c2 = (0.01 * length) ** 2, (0.03 * length) ** 2
    window = _gaussian(min(11, *x.shape[1:3]))
    mean_x, mean_y = _filter(x, window), _filter(y, window)
    var_x = _filter(x * x, window) - mean_x**2
    var_y = _filter(y * y, window) - mean_y**2
    covariance = _filter(x * y, window) - mean_x * mean_y
    contrast = (2 * covariance + c2) / (var_x + var_y + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Fréchet distance of the Gaussians fitted to two sets of features [N, F].

    ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁^½ Σ₂ Σ₁^½)^½), in float64.
    """
    (mean_x, cov_x), (mean_y, cov_y) = _moments(x, "first"), _moments(y, "second")
    values, vectors = np.linalg.eigh(cov_x)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ cov_y @ root)
    trace = np.trace(cov_x) + np.trace(cov_y) - 2 * np.sqrt(np.maximum(cross, 0)).sum()
    return float(np.sum((mean_x - mean_y) ** 2) + trace)


def _moments(features, which):
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(
            f"{which} set of features has the shape {features.shape}: "
            "expected [N, F] with N ≥ 2"
        )
    return features.mean(0), np.atleast_2d(np.cov(features, rowvar=False))


def _guess_range(x):
    """255 or 1 above, −1 or 0 below, per image."""
    high = jnp.where(x.max((1, 2, 3)) > 128, 255.0, 1.0)
    low = jnp.where(x.min((1, 2, 3)) < -0.5, -1.0, 0.0)
    return (high - low)[:, None, None, None]


def _gaussian(size, sigma=1.5):
    window = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    return (window / window.sum()).astype(np.float32)


def _filter(x, window):
    """Separable filter without padding, as shifted sums: exact on every backend."""
    for axis in (1, 2):
        n = x.shape[axis] - len(window) + 1
        x = sum(
            float(tap) * jax.lax.slice_in_dim(x, i, i + n, axis=axis)
            for i, tap in enumerate(window)
        )
    return x


def _halve(x):
    """Mean of 2×2 pixels; a last odd row or column is dropped."""
    b, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2]
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))
