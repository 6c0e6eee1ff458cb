"""Dragging on a small generator: what arrives, what stays, and when it ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import tiny_generator

from hyperstyle_jax.editing import drag, feature_maps
from hyperstyle_jax.offsets import Inversion, generator_of, latent_only, synthesize


@pytest.fixture(scope="module")
def net():
    return tiny_generator(16)


@pytest.fixture(scope="module")
def inversion(net):
    w = net(jax.random.normal(jax.random.key(1), (1, 4)), method="mapping")
    offsets = {"synthesis/b8/conv0/weight": 0.1 * jnp.ones((1, 8, 8))}
    return latent_only(w, net.module.num_ws).replace(offsets=offsets)


def test_a_point_that_is_there_moves_nothing(net, inversion):
    taken = list(drag.steps(net, inversion, [[5, 6]], [[5, 6]]))
    assert len(taken) == 1 and taken[0].distances == [0] and taken[0].outside == 0
    np.testing.assert_array_equal(taken[0].inversion.w_plus, inversion.w_plus)
    own = synthesize(net, inversion)[0]
    np.testing.assert_allclose(taken[0].image, own, atol=1e-5)
    assert taken[0].inversion.offsets is inversion.offsets


def test_a_drag_ends_and_gives_its_best_step(net, inversion):
    taken = list(drag.steps(net, inversion, [[5, 6]], [[8, 6]], max_steps=30))
    best = drag.best(taken)
    assert 1 < len(taken) <= 31
    assert best.distances.max() < taken[0].distances.max()
    assert best.distances.max() == min(step.distances.max() for step in taken)
    np.testing.assert_allclose(taken[0].distances, [3.0], atol=1e-5)


def test_a_mask_keeps_the_rest_quieter(net, inversion):
    mask = np.zeros((16, 16))
    mask[3:10, 3:12] = 1
    loose, kept = (
        list(drag.steps(net, inversion, [[5, 6]], [[8, 6]], m, max_steps=12))[-1]
        for m in (None, mask)
    )
    before = synthesize(net, inversion)[0]
    changes = [
        float(np.square(step.image - before)[mask == 0].mean())
        for step in (loose, kept)
    ]
    assert changes[1] < changes[0] and loose.outside == 0
    np.testing.assert_allclose(kept.outside, changes[1], rtol=1e-4)


def test_several_points_are_dragged_together(net, inversion):
    points, targets = [[4, 4], [10, 10]], [[5, 4], [10, 11]]
    best = drag.drag(net, inversion, points, targets, max_steps=5)
    assert best.points.shape == (2, 2) and best.distances.shape == (2,)


@pytest.mark.parametrize(
    "points, targets, mask, reason",
    [
        ([[1, 2]], [[1, 2], [3, 4]], None, "expected \\[P, 2\\] each"),
        ([[1, 2]], [[1, 16]], None, "from 0 to 15"),
        ([[1, 2]], [[1, 3]], np.ones((8, 8)), "mask of \\(8, 8\\)"),
    ],
)
def test_what_cannot_be_dragged_is_refused(
    net, inversion, points, targets, mask, reason
):
    with pytest.raises(ValueError, match=reason):
        next(drag.steps(net, inversion, points, targets, mask))


def test_one_image_at_a_time(net):
    two = Inversion(jnp.zeros((2, net.module.num_ws, 6)))
    with pytest.raises(ValueError, match="2 images"):
        next(drag.steps(net, two, [[1, 2]], [[2, 2]]))


def test_maps_are_the_generators_and_sampling_is_bilinear(net, inversion):
    own = generator_of(net, inversion)
    image, maps = feature_maps.feature_maps(own, inversion.w_plus[0])
    np.testing.assert_allclose(image, synthesize(net, inversion)[0], atol=1e-5)
    assert maps.shape == (16, 16, 16)
    at = feature_maps.sample(maps, jnp.array([[3.0, 7.0], [3.25, 7.5], [-4.0, 99.0]]))
    np.testing.assert_allclose(at[0], maps[7, 3], atol=1e-6)
    corners = maps[7:9, 3:5]
    between = (0.75 * corners[:, 0] + 0.25 * corners[:, 1]).mean(0)
    np.testing.assert_allclose(at[1], between, atol=1e-5)
    np.testing.assert_allclose(at[2], maps[15, 0], atol=1e-6)
