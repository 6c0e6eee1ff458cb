"""Crops, sizes and value ranges."""

import numpy as np
import pytest
from gradient import gradient

from hyperstyle_jax import images


def test_crop_takes_the_centre():
    assert images.crop(gradient(20, 40)).shape == (20, 20, 3)
    np.testing.assert_array_equal(
        images.crop(gradient(40, 20)), gradient(40, 20)[10:30]
    )


def test_resize_is_antialiased_and_keeps_constants():
    checker = np.indices((64, 64)).sum(0) % 2 * 255
    image = np.repeat(checker[..., None], 3, -1).astype(np.uint8)
    small = images.resize(image, 16, 16)[2:-2, 2:-2]
    assert np.abs(small.astype(int) - 127.5).max() < 3
    flat = np.full((30, 20, 3), 77, np.uint8)
    assert (images.resize(flat, 7, 90) == 77).all()


def test_uint8_round_trip_is_exact_and_rounds():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, -1)
    floats = images.to_float(levels)
    assert floats.dtype == np.float32 and floats.min() == -1 and floats.max() == 1
    np.testing.assert_array_equal(images.to_uint8(floats), levels)
    np.testing.assert_array_equal(images.to_uint8(floats + 0.0038), levels)
    assert images.to_uint8(np.array([-7.0, 7.0])).tolist() == [0, 255]
    with pytest.raises(ValueError, match="NaN"):
        images.to_uint8(np.array([np.nan]))
