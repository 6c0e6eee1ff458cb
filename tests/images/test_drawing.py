"""Grids and error maps."""

import numpy as np
import pytest
from gradient import gradient

from hyperstyle_jax import images


def test_grid_places_every_gradient():
    rows = [
        [np.full((32, 32, 3), 10 * r + c, np.uint8) for c in range(3 - r)]
        for r in range(2)
    ]
    plain = images.grid(rows, gap=2)
    assert plain.shape == (2 + 2 * 34, 2 + 3 * 34, 3)
    labelled = images.grid(
        rows, ["target", "first", "a very long label"], ["x", "y"], scale=2
    )
    for value in (0, 1, 2, 10, 11):
        assert (labelled == value).all(-1).sum() >= 64 * 64
        assert (plain == value).all(-1).sum() == 32 * 32
    with pytest.raises(ValueError, match="one size"):
        images.grid([[gradient(), gradient(20, 20)]])


def test_error_map_grows_with_the_error():
    a = np.zeros((3, 20, 20, 3), np.uint8)
    b = a + np.array([0, 20, 60], np.uint8)[:, None, None, None]
    brightness = images.error_map(a, b).astype(int).sum((1, 2, 3))
    assert brightness[0] < brightness[1] < brightness[2]
    np.testing.assert_array_equal(
        images.error_map(images.to_float(a), b), images.error_map(a, b)
    )
    with pytest.raises(ValueError, match="one size"):
        images.error_map(a, b[:, :10])
