"""Cropping and averaging of a square generator's images."""

import jax.numpy as jnp
import numpy as np
import pytest

from hyperstyle_jax.inversion import cropping


def test_wide_images_are_the_middle_of_a_square_one():
    """Cars: the middle rows of the square."""
    y = jnp.arange(16.0)[None, :, None, None] * jnp.ones((1, 16, 16, 3))
    pooled = cropping.crop_and_pool(y, (6, 8))
    rows = np.arange(2.0, 14.0).reshape(6, 2).mean(1)
    np.testing.assert_allclose(
        pooled, np.broadcast_to(rows[:, None, None], (1, 6, 8, 3))
    )


def test_block_means():
    x = np.random.default_rng(3).uniform(-1, 1, (2, 8, 12, 3)).astype(np.float32)
    expected = np.asarray(x).reshape(2, 4, 2, 6, 2, 3).mean((2, 4))
    np.testing.assert_allclose(cropping.block_mean(x, (4, 6)), expected, atol=1e-6)
    assert cropping.block_mean(x, (8, 12)) is x
    with pytest.raises(ValueError, match="8x12 images to 3x6: not a multiple"):
        cropping.block_mean(x, (3, 6))
