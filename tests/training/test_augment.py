"""Pasted shapes: chances, range, one key per image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hyperstyle_jax.training import augment

COUNT = 64


@pytest.fixture(scope="module")
def x():
    values = np.random.default_rng(0).uniform(-1, 1, (COUNT, 16, 16, 3))
    return jnp.asarray(values, jnp.float32)


@pytest.fixture(scope="module")
def keys():
    return jax.random.split(jax.random.key(0), COUNT)


@pytest.fixture(scope="module")
def always(x, keys):
    return augment.paste(x, keys, 1.0)


def changed(a, b):
    return np.asarray(abs(a - b).max((1, 2, 3)) > 1e-6)


def test_probability_zero_returns_the_images(x, keys):
    assert augment.paste(x, keys, 0.0) is x


def test_the_share_that_is_changed(x, keys, always):
    assert changed(always, x).mean() > 0.9  # a shape may lie outside the image
    half = augment.paste(x, keys, 0.5)
    assert 0.25 < changed(half, x).mean() < 0.75
    rest = ~changed(half, x)
    np.testing.assert_array_equal(half[rest], x[rest])
    np.testing.assert_allclose(half[~rest], always[~rest], atol=1e-6)


def test_the_range_is_kept(always):
    assert always.shape == (COUNT, 16, 16, 3) and always.dtype == jnp.float32
    assert float(abs(always).max()) <= 1 + 1e-6


def test_shapes_cover_a_part(x, always):
    covered = (abs(always - x) > 1e-6).any(-1).mean((1, 2))
    assert 0.1 < float(covered.mean()) < 0.8


def test_each_image_has_its_own_key(x, keys, always):
    again = augment.paste(x, keys, 1.0)
    np.testing.assert_array_equal(again, always)
    swapped = keys.at[0].set(keys[1])
    pasted = augment.paste(x, swapped, 1.0)
    np.testing.assert_array_equal(pasted[1:], always[1:])
    assert changed(pasted, always)[0]
    flat = jnp.zeros_like(x)
    masks = augment.paste(flat, keys, 1.0)
    assert changed(masks[1:], masks[:-1]).mean() > 0.9
