"""Generators of two domains: layers come from one or the other, whole."""

import jax
import numpy as np
import pytest
from networks import tiny_generator

from hyperstyle_jax import trees
from hyperstyle_jax.editing import domains
from hyperstyle_jax.offsets import Inversion


@pytest.fixture(scope="module")
def nets():
    return tiny_generator(32), tiny_generator(32, seed=1)


def origin(mixed, first, second) -> dict[str, str]:
    """Whose each array is."""
    flat = [trees.flatten(net.variables) for net in (mixed, first, second)]
    names = {}
    for path, value in flat[0].items():
        same = [np.array_equal(value, other[path]) for other in flat[1:]]
        names[path] = {(1, 0): "first", (0, 1): "second"}.get(tuple(same), "neither")
    return names


def test_a_generator_swapped_with_itself_is_itself(nets):
    first, _ = nets
    for same in (domains.swap_above(first, first, 8), domains.blend(first, first, 8)):
        jax.tree.map(np.testing.assert_array_equal, same, first)


def test_blocks_above_come_from_the_other_with_their_noise(nets):
    for path, whose in origin(domains.swap_above(*nets, 8), *nets).items():
        above = "/b16/" in path or "/b32/" in path
        assert whose == ("second" if above else "first"), path


def test_toonify_leaves_noise_mapping_and_the_first_convolution(nets):
    for path, whose in origin(domains.blend(*nets, 4, level=1), *nets).items():
        taken = path.startswith("params/synthesis/b") and "/b4/" not in path
        taken = taken and "/b8/conv0" not in path
        assert whose == ("second" if taken else "first"), path


def test_a_soft_blend_is_between(nets):
    whose = origin(domains.blend(*nets, 8, width=1.0), *nets)
    assert whose["params/synthesis/b4/conv1/weight"] == "first"
    assert whose["params/synthesis/b4/const"] == "neither"
    path = "synthesis/b8/conv0/weight"  # x = 0: half of each
    mixed, a, b = (trees.flatten(n.params)[path] for n in
                   (domains.blend(*nets, 8, width=1.0), *nets))  # fmt: skip
    np.testing.assert_allclose(mixed, (a + b) / 2, atol=1e-6)


def test_what_does_not_fit_is_refused(nets):
    with pytest.raises(ValueError, match="differ in their layers"):
        domains.swap_above(nets[0], tiny_generator(16), 8)
    with pytest.raises(ValueError, match="expected one of 4, 8, 16"):
        domains.swap_above(*nets, 32)
    with pytest.raises(ValueError, match="level 2"):
        domains.blend(*nets, 8, level=2)


def test_tuned_weights_move_over_as_differences(nets):
    own, other = nets
    mine, theirs = (trees.flatten(net.params) for net in nets)
    path, factor = "synthesis/b8/conv0/weight", "synthesis/b8/conv1/weight"
    tuned = {path: mine[path][None] + 0.5}
    offsets = {factor: np.full((1, 8, 8), 0.2, np.float32)}
    w_plus = np.zeros((1, own.module.num_ws, own.module.w_dim), np.float32)
    inversion = Inversion(w_plus, offsets, tuned)
    for share in (1.0, 0.5, 0.0):
        there = domains.adapted(own, other, inversion, share)
        expected = theirs[path] + 0.5 * share
        np.testing.assert_allclose(there.replaced[path][0], expected, atol=1e-6)
        np.testing.assert_allclose(there.offsets[factor], 0.2 * share, atol=1e-6)
    same = domains.adapted(own, own, inversion)
    np.testing.assert_allclose(same.replaced[path], tuned[path], atol=1e-6)
