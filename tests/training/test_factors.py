"""Gradients of large matrices as two factors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hyperstyle_jax.loop import parallel
from hyperstyle_jax.training import factors
from hyperstyle_jax.training.factors import Factors


@pytest.fixture
def sides():
    """Rows [parts, iterations, images, C] and gradients of shape (3, 2)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    return Factors(x, rng.standard_normal((2, 3, 4, 3, 2)).astype(np.float32))


def averaged(tree, large, devices=1):
    """`factors.average_gradients` on devices that all hold the same."""

    def run(_, tree, large):
        tree, norm = factors.average_gradients(tree, large)
        return factors.materialize(tree), norm

    run = jax.pmap(run, parallel.AXIS, in_axes=(0, None, None), out_axes=None)
    return run(np.arange(devices), tree, large)


@pytest.mark.parametrize("devices", [1, 2])
def test_the_product_is_the_sum_over_rows_and_the_mean_over_parts(sides, devices):
    plain = {"a": {"bias": jnp.arange(3.0)}}
    tree, norm = averaged(plain, {"a/weight": sides}, devices)
    wanted = np.einsum("ptbc,ptbij->cij", *sides) / 2
    np.testing.assert_allclose(tree["a"]["weight"], wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(tree["a"]["bias"], plain["a"]["bias"])
    norms = np.square(wanted, dtype=np.float64).sum() + 5.0
    assert float(norm) == pytest.approx(norms**0.5, rel=1e-5)


def test_without_factors_gradients_are_as_they_were(sides):
    plain = {"a": {"bias": jnp.arange(3.0)}}
    tree, norm = averaged(plain, {})
    np.testing.assert_array_equal(tree["a"]["bias"], plain["a"]["bias"])
    assert float(norm) == pytest.approx(5.0**0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_norm_shows_what_is_not_finite(sides, bad):
    sides.delta[0, 0, 0] = bad
    assert not np.isfinite(averaged({}, {"weight": sides})[1])


def test_a_gradient_of_zero_has_the_norm_0(sides):
    assert averaged({}, {"weight": Factors(sides.x, 0 * sides.delta)})[1] == 0.0
