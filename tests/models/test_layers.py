"""The layers of backbones against NumPy, with PyTorch's conventions."""

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.models.layers import BatchNorm, Conv, PReLU

KEY = jax.random.key(0)


def test_strided_convolution_pads_both_sides():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    params = {"params": {"weight": jnp.ones((3, 3, 1, 1))}}
    y = Conv(1, 3, 2).apply(params, x)[0, :, :, 0]
    padded = np.pad(np.asarray(x)[0, :, :, 0], 1)
    expected = [[padded[i : i + 3, j : j + 3].sum() for j in (0, 2)] for i in (0, 2)]
    np.testing.assert_allclose(y, expected)


def test_batch_norm_against_numpy():
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, (3, 4, 5, 2)).astype(np.float32)
    module = BatchNorm()
    variables = {
        "params": {"weight": jnp.array([2.0, 0.5]), "bias": jnp.array([1.0, -1.0])},
        "batch_stats": {"mean": jnp.array([0.5, 1.0]), "var": jnp.array([4.0, 9.0])},
    }
    y, updated = module.apply(variables, x, True, mutable=["batch_stats"])
    flat = x.reshape(-1, 2).astype(np.float64)
    expected = (x - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-5) * [2.0, 0.5] + [1, -1]
    np.testing.assert_allclose(y, expected, atol=1e-5)
    stats = updated["batch_stats"]
    new_mean = 0.9 * np.array([0.5, 1.0]) + 0.1 * flat.mean(0)
    new_var = 0.9 * np.array([4.0, 9.0]) + 0.1 * flat.var(0, ddof=1)
    np.testing.assert_allclose(stats["mean"], new_mean, rtol=1e-6)
    np.testing.assert_allclose(stats["var"], new_var, rtol=1e-6)
    still = module.apply(variables, x)
    expected = (x - [0.5, 1.0]) / np.sqrt(np.array([4.0, 9.0]) + 1e-5) * [2.0, 0.5]
    np.testing.assert_allclose(still, expected + [1, -1], atol=1e-5)


def test_batch_norm_over_two_devices_is_one_batch():
    x = jax.random.normal(KEY, (4, 3, 3, 2)) + 1.0
    variables = BatchNorm().init(KEY, x)

    def apply(x, axis_name):
        module = BatchNorm(axis_name=axis_name)
        return module.apply(variables, x, True, mutable=["batch_stats"])

    y, stats = apply(x, None)
    halves = x.reshape(2, 2, 3, 3, 2)
    apply_halves = jax.vmap(lambda x: apply(x, "devices"), axis_name="devices")
    y_halves, half_stats = apply_halves(halves)
    np.testing.assert_allclose(y_halves.reshape(x.shape), y, atol=1e-6)
    for a, b in zip(jax.tree.leaves(stats), jax.tree.leaves(half_stats), strict=True):
        np.testing.assert_allclose(b[0], a, rtol=1e-6)


def test_prelu_scales_negative_values():
    params = {"params": {"weight": jnp.array([0.5])}}
    np.testing.assert_array_equal(
        PReLU().apply(params, jnp.array([[-2.0], [3.0]])), [[-1.0], [3.0]]
    )
