"""Convolutions against scipy.signal, and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolution_oracles import correlate, normal

from hyperstyle_jax.models import convolution


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_conv2d(batch, kernel):
    x, weight = normal(batch, 5, 6, 3), normal(kernel, kernel, 3, 4, seed=1)
    expected = correlate(x, weight)
    np.testing.assert_allclose(convolution.conv2d(x, weight), expected, atol=1e-5)


def test_conv2d_with_stride():
    x, weight = normal(2, 7, 7, 2), normal(3, 3, 2, 2, seed=1)
    expected = correlate(x, weight, "valid")[:, ::2, ::2]
    np.testing.assert_allclose(convolution.conv2d(x, weight, 2, 0), expected, atol=1e-5)


def test_gradients_of_the_single_image_convolution():
    """First and second derivatives are those of the plain convolution."""
    x, weight = normal(1, 5, 4, 2), normal(3, 3, 2, 3, seed=1)

    def plain(x, weight):
        return convolution.convolution(x, weight, 1, ((1, 1), (1, 1)))

    def first(convolve):
        def value(x, weight):
            return jnp.sum(jnp.sin(convolve(x, weight)))

        return jax.grad(value, (0, 1))

    def second(convolve):
        def value(x, weight):
            dx, dw = first(convolve)(x, weight)
            return jnp.sum(dx**2) + jnp.sum(jnp.cos(dw))

        return jax.grad(value, (0, 1))

    @jax.jit
    def both(x, weight):
        return [
            [order(f)(x, weight) for order in (first, second)]
            for f in (convolution._single_image_conv2d, plain)
        ]

    gradients, expected = both(x, weight)
    for a, b in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
