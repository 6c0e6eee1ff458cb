"""LPIPS: published sizes and the laws of a distance."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hyperstyle_jax import trees
from hyperstyle_jax.models.layers import max_pool
from hyperstyle_jax.models.lpips import LPIPS, Trunk, distance

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    "net, trunk, heads", [("alex", 2469696, 1152), ("vgg", 14714688, 1472),
                          ("squeeze", 722496, 2240)]
)  # fmt: skip
def test_full_size_counts(net, trunk, heads):
    x = jnp.zeros((1, 64, 64, 3))
    params = jax.eval_shape(LPIPS(net).init, KEY, x, x)["params"]
    assert trees.count(params["trunk"]) == trunk
    assert trees.count(params) == trunk + heads


def test_distance_laws():
    x, y = jax.random.uniform(KEY, (2, 3, 48, 40, 3), minval=-1.0)
    module = LPIPS("squeeze")
    variables = jax.jit(module.init)(KEY, x, y)
    lpips = jax.jit(functools.partial(module.apply, variables))
    d = lpips(x, y)
    assert d.shape == (3,) and (d > 0).all()
    np.testing.assert_allclose(lpips(y, x), d, rtol=1e-5)
    np.testing.assert_allclose(lpips(x, x), 0.0, atol=1e-7)
    np.testing.assert_allclose(lpips(x[::-1], y[::-1]), d[::-1], rtol=1e-5)


def test_gradient_of_black_features_is_finite():
    x = jnp.zeros((1, 4, 4, 8))
    gradient = jax.grad(lambda x: distance(x, x + 1.0, jnp.ones(8)).sum())(x)
    assert jnp.isfinite(gradient).all()


def test_ceil_pooling_keeps_the_last_column():
    x = jnp.arange(6.0).reshape(1, 1, 6, 1) * jnp.ones((1, 6, 1, 1))
    assert max_pool(x, 3).shape == (1, 2, 2, 1)
    pooled = max_pool(x, 3, ceil=True)
    np.testing.assert_array_equal(pooled[0, 0, :, 0], [2, 4, 5])


def test_unknown_net_is_refused():
    with pytest.raises(ValueError, match="alex, vgg, squeeze"):
        Trunk("resnet").init(KEY, jnp.zeros((1, 64, 64, 3)))
