"""The projector as released, where the answer is known."""

import jax.numpy as jnp
import numpy as np
import pytest
from linear_nets import ROWS, linear_generator, pictures
from networks import tiny_generator

from hyperstyle_jax.inversion import closeness, projector


@pytest.fixture(scope="module")
def net():
    return linear_generator()


def l2(targets, y):
    return closeness.distances(targets, y)[0]


def project(net, x, steps, rows=1, lr=0.1, start=None):
    draws = projector.draw(net, steps, rows)
    start = start or projector.statistics(net, 500)
    frozen = closeness.targets(None, x)
    return projector.project(net, l2, frozen, len(x), x.shape[1:3], start, draws, lr)


@pytest.mark.parametrize("rows", [1, ROWS])
def test_it_finds_the_least_squares_of_a_linear_generator(net, rows):
    x = pictures()
    result = project(net, x, 400, rows)
    matrix = np.asarray(net.params["synthesis"]["b4"]["conv1"]["weight"])
    flat = np.asarray(x).reshape(len(x), -1)
    best = np.linalg.lstsq(matrix.T, flat.T, rcond=None)[0].T
    np.testing.assert_allclose(result.w.mean(1), best, atol=2e-3)
    assert result.w.shape == (2, rows, 6) and result.path.shape == (400, 2, rows, 6)


def test_no_step_is_the_mean_and_the_first_moves_nothing(net):
    start = projector.statistics(net, 500)
    none, one = (project(net, pictures(), steps, start=start) for steps in (0, 1))
    for result in (none, one):  # the learning rate starts at 0
        np.testing.assert_allclose(result.w[0, 0], start.mean, atol=1e-7)
    assert none.distances.shape == (0, 2)


def test_an_image_does_not_depend_on_the_others(net):
    x = pictures()
    both, other = project(net, x, 20), project(net, x[jnp.array([0, 0])], 20)
    np.testing.assert_allclose(both.w[0], other.w[0], atol=1e-6)


def test_the_deviation_is_that_of_all_dimensions_together(net):
    z = np.random.RandomState(123).randn(500, 6)
    expected = np.sqrt(np.square(z - z.mean(0)).sum() / 500)
    assert float(projector.statistics(net, 500).std) == pytest.approx(expected, 1e-5)


def test_learning_rates_rise_from_zero_and_fall_to_almost_zero():
    rates = [projector.learning_rate(0.1, t, 100) for t in range(100)]
    assert rates[0] == 0 and max(rates) == pytest.approx(0.1)
    assert rates[2] == pytest.approx(0.04) and 0 < rates[99] < 1e-3


def test_noise_maps_stay_noise():
    """Normalized after each step; a picture costs more than noise."""
    net = tiny_generator(16)
    draws = projector.draw(net, 2, 1)
    assert {k: v.shape for k, v in draws.maps.items()}["b16/conv0"] == (16, 16)
    noise = np.random.default_rng(0).normal(size=(1, 16, 16))
    smooth = np.sin(np.arange(16) / 16 * 2 * np.pi) * np.ones((1, 16, 16)) * 2**0.5
    values = [projector.regularizer({"a": jnp.asarray(v)}) for v in (noise, smooth)]
    assert values[0][0] < 0.1 < values[1][0]
    maps = project(linear_generator(), pictures(), 3).maps["b4/conv1"]
    np.testing.assert_allclose(maps.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(jnp.square(maps).mean((1, 2)), 1, atol=1e-5)


def test_the_regularizer_sums_squares_of_neighbours_products_over_sizes():
    v = np.random.default_rng(3).normal(size=(16, 16))
    half = v.reshape(8, 2, 8, 2).mean((1, 3))
    expected = sum(
        np.mean(m * np.roll(m, 1, axis)) ** 2 for m in (v, half) for axis in (0, 1)
    )
    value = projector.regularizer({"a": jnp.asarray(v[None])})
    assert float(value[0]) == pytest.approx(expected, rel=1e-5)
