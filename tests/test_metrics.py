"""Measures of image quality against plain loops and known values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hyperstyle_jax import metrics

KEY = jax.random.key(0)
ms_ssim = jax.jit(metrics.ms_ssim, static_argnums=2)


def images(n=2, size=176):
    return jax.random.uniform(KEY, (n, size, size, 3), minval=-1.0)


def test_psnr_of_known_noise():
    x = jnp.zeros((1, 8, 8, 3))
    np.testing.assert_allclose(metrics.psnr(x, x + 0.2), 20.0, rtol=1e-5)


def test_ms_ssim_laws():
    x = images()
    noise = 0.3 * jax.random.normal(KEY, x.shape)
    np.testing.assert_allclose(ms_ssim(x, x), 1.0, atol=1e-5)
    little, much = ms_ssim(x, x + 0.3 * noise), ms_ssim(x, x + noise)
    assert (much < little).all() and (little < 1).all()
    mixed = ms_ssim(x, x + noise * jnp.array([0.3, 1.0])[:, None, None, None])
    np.testing.assert_allclose(mixed, [little[0], much[1]], rtol=1e-5)
    bright = (x + 1) / 2
    guessed = ms_ssim(bright, bright + noise, None)
    np.testing.assert_allclose(guessed, ms_ssim(bright, bright + noise, 1.0))


def test_ssim_against_a_plain_loop():
    x, y = np.asarray(jax.random.uniform(KEY, (2, 1, 12, 13, 1)), np.float64)
    t = np.arange(11) - 5
    window = np.exp(-(t[:, None] ** 2 + t**2) / 4.5)
    window /= window.sum()
    values = []
    for i in range(2):
        for j in range(3):
            a, b = x[0, i : i + 11, j : j + 11, 0], y[0, i : i + 11, j : j + 11, 0]
            ma, mb = (a * window).sum(), (b * window).sum()
            va, vb = (a * a * window).sum() - ma**2, (b * b * window).sum() - mb**2
            cov = (a * b * window).sum() - ma * mb
            c = (2 * cov + 0.0009) / (va + vb + 0.0009)
            values.append(c * (2 * ma * mb + 1e-4) / (ma**2 + mb**2 + 1e-4))
    similarity, _ = metrics.ssim(jnp.float32(x), jnp.float32(y), 1.0)
    np.testing.assert_allclose(similarity, [np.mean(values)], rtol=1e-4)


def test_similarity_ignores_length():
    x = jnp.array([[3.0, 4.0], [1.0, 0.0]])
    np.testing.assert_allclose(
        metrics.similarity(x, jnp.array([[6.0, 8.0], [0.0, 2.0]])), [1.0, 0.0]
    )


def test_frechet_distance_of_scaled_and_shifted_features():
    x = np.random.default_rng(0).normal(size=(500, 6))
    assert abs(metrics.frechet_distance(x, x)) < 1e-9
    np.testing.assert_allclose(metrics.frechet_distance(x, x + 2.0), 24.0, rtol=1e-6)
    # commuting covariances: tr(Σ) · (1 − 2)², and the mean doubles
    trace = np.trace(np.cov(x, rowvar=False)) + np.sum(x.mean(0) ** 2)
    np.testing.assert_allclose(metrics.frechet_distance(x, 2 * x), trace, rtol=1e-6)


def test_frechet_distance_refuses_a_single_feature():
    with pytest.raises(ValueError, match="N ≥ 2"):
        metrics.frechet_distance(np.zeros((1, 4)), np.zeros((5, 4)))


def test_unknown_normalization_is_refused():
    with pytest.raises(ValueError, match="simple"):
        metrics.combine_scales(jnp.ones((5, 1)), jnp.ones((5, 1)), "other")
