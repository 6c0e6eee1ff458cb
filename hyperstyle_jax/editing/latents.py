"""How the latents of a generator are distributed."""

import jax
import numpy as np

from hyperstyle_jax.net import Net

_RIDGE = 1e-4  # added to the covariance, relative to the mean variance


def covariance_root(generator: Net, count: int = 4096, seed: int = 0) -> np.ndarray:
    """C [D, D] with C·Cᵀ the covariance of w; C·g of Gaussian g varies as w does.

    Args:
        generator: Net of a Generator.
        count: of latents that are drawn.
        seed: of these.
    """
    z = jax.random.normal(jax.random.key(seed), (count, generator.module.z_dim))
    return root_of(np.asarray(jax.jit(_map)(generator, z))).astype(np.float32)


def root_of(w: np.ndarray) -> np.ndarray:
    """C [D, D] with C·Cᵀ the covariance of these latents [N, D], float64."""
    w = np.asarray(w, np.float64)
    ridge = _RIDGE * w.var(0).mean() * np.eye(w.shape[1])
    return np.linalg.cholesky(np.cov(w.T) + ridge)


def gaussian_of_seed(seed: int, z_dim: int) -> np.ndarray:
    """z [Z] of a seed, drawn as in NVIDIA's scripts: there it gives the same image."""
    return np.random.RandomState(seed).randn(z_dim).astype(np.float32)


def _map(generator, z):
    return generator(z, method="mapping")
