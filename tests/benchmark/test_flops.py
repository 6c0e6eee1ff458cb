"""Arithmetic is counted as by hand, and as XLA does where it can."""

import jax
import jax.numpy as jnp
import pytest

from hyperstyle_jax.benchmark import flops

X, KERNEL = jnp.ones((2, 16, 16, 8)), jnp.ones((3, 3, 8, 4))


def convolve(x, kernel, **options):
    options = {"window_strides": (1, 1), "padding": "SAME"} | options
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, dimension_numbers=numbers, **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 2 * (2 * 16 * 16 * 4) * 9 * 8),
        ({"window_strides": (2, 2)}, 2 * (2 * 8 * 8 * 4) * 9 * 8),
        (
            {"lhs_dilation": (2, 2), "padding": ((1, 1), (1, 1))},
            2 * (2 * 31 * 31 * 4) * 9 * 8 / 4,
        ),
    ],
    ids=["plain", "strided", "transposed"],
)
def test_a_convolution(options, expected):
    assert flops.count(lambda x, k: convolve(x, k, **options), X, KERNEL) == expected


def test_groups_see_their_own_channels_only():
    def grouped(x, kernel):
        return convolve(x, kernel, feature_group_count=2)

    kernel = jnp.ones((3, 3, 4, 4))
    assert flops.count(grouped, X, kernel) == 2 * (2 * 16 * 16 * 4) * 9 * 4


def test_a_gradient_is_two_more():
    def loss(x, kernel):
        return convolve(x, kernel).sum()

    forward = flops.count(loss, X, KERNEL)
    both = flops.count(jax.value_and_grad(loss, (0, 1)), X, KERNEL)
    assert both == 3 * forward


def test_a_convolution_for_every_image_and_its_gradient():
    def loss(kernels):
        def one(args):
            return convolve(args[0][None], args[1]).sum()

        return jax.vmap(one)((X, kernels)).sum()

    forward = flops.count(loss, jnp.stack([KERNEL, KERNEL]))
    assert forward == 2 * (2 * 16 * 16 * 4) * 9 * 8
    both = flops.count(jax.value_and_grad(loss), jnp.stack([KERNEL, KERNEL]))
    assert both == 2 * forward


def test_products_are_counted_as_xla_counts_them():
    def function(a, b):
        return jnp.einsum("bij,bjk->bik", a, b)

    shapes = jnp.ones((3, 4, 5)), jnp.ones((3, 5, 6))
    cost = jax.jit(function).lower(*shapes).compile().cost_analysis()
    assert flops.count(function, *shapes) == cost["flops"] == 2 * 3 * 4 * 5 * 6


def test_every_round_of_a_loop_counts():
    square = jnp.ones((8, 8))

    def rounds(a):
        return jax.lax.scan(lambda a, _: (a @ a, None), a, None, 5)[0]

    assert flops.count(jax.jit(rounds), square) == 5 * 2 * 8**3
    assert flops.count(lambda a: jax.lax.map(rounds, a), jnp.ones((3, 8, 8))) == (
        3 * 5 * 2 * 8**3
    )


def test_of_a_branch_the_dearer_side_counts():
    def function(a):
        return jax.lax.cond(a[0, 0] > 0, lambda a: a @ a @ a, lambda a: a, a)

    assert flops.count(function, jnp.ones((8, 8))) == 2 * 2 * 8**3
