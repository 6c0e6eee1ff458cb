"""The flow's laws: forth and back, edits alone and in a row, densities."""

import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_net

from hyperstyle_jax.editing import styleflow
from hyperstyle_jax.models.styleflow import StyleFlow
from hyperstyle_jax.offsets import Inversion

NAMES, ROWS = ("smile", "age", "yaw"), ((0, 1), (1, 3), (0, 3))
B, L, D = 2, 4, 6


@pytest.fixture(scope="module")
def flow():
    return random_net(StyleFlow(D, NAMES, ROWS, widths=(8, 8)), scale=0.4)


def numbers(*shape, seed=0):
    values = np.random.default_rng(seed).normal(size=shape)
    return jnp.asarray(values.astype("f4"))


@pytest.fixture(scope="module")
def setting(flow):
    return flow, Inversion(numbers(B, L, D)), numbers(B, 3, seed=1)


def relative(x, y):
    return float(jnp.linalg.norm(x - y) / jnp.linalg.norm(y))


def test_decoding_undoes_encoding(setting):
    flow, inversion, given = setting
    z = styleflow.encode(flow, inversion.w_plus, given)
    assert relative(z, inversion.w_plus) > 0.1
    assert relative(styleflow.decode(flow, z, given), inversion.w_plus) < 1e-4


def test_attributes_that_stay_change_nothing(setting):
    flow, inversion, given = setting
    same = styleflow.edit(flow, inversion, given, given)
    np.testing.assert_array_equal(same.w_plus, inversion.w_plus)


def test_an_edit_moves_the_rows_of_its_attribute(setting):
    flow, inversion, given = setting
    for name, (lo, hi) in zip(NAMES, ROWS, strict=True):
        after = styleflow.set_attribute(flow, given, name, 2.0)
        w = styleflow.edit(flow, inversion, given, after).w_plus
        moved = np.asarray(w != inversion.w_plus).any((0, 2))
        assert moved.tolist() == [lo <= row <= hi for row in range(L)]


def test_five_edits_in_a_row_and_back_return(setting):
    flow, start, given = setting
    steps = [("smile", 2.0), ("age", -1.0), ("yaw", 1.5), ("smile", -2.0), ("age", 1.0)]
    inversion, states = start, [given]
    for name, value in steps:
        states.append(styleflow.set_attribute(flow, states[-1], name, value))
        inversion = styleflow.edit(flow, inversion, *states[-2:])
    assert relative(inversion.w_plus, start.w_plus) > 0.05
    for before, after in zip(states[::-1], states[-2::-1], strict=False):
        inversion = styleflow.edit(flow, inversion, before, after)
    assert relative(inversion.w_plus, start.w_plus) < 1e-3


def test_a_batch_of_two_is_two_batches_of_one(setting):
    flow, inversion, given = setting
    # The second image's equation is harder: it would make the first one's steps short.
    given = given * jnp.asarray([[1.0], [20.0]])
    z = styleflow.encode(flow, inversion.w_plus, given)
    for i in range(B):
        one = styleflow.encode(flow, inversion.w_plus[i : i + 1], given[i : i + 1])
        np.testing.assert_allclose(z[i : i + 1], one, rtol=1e-5, atol=1e-5)


def test_density_is_that_of_the_change_of_volume(setting):
    flow, inversion, given = setting
    w, attributes = inversion.w_plus[:1, 0], given[:1]
    # √D times the unit vectors give the divergence exactly, on average.
    many = jnp.repeat(w, D, 0), jnp.repeat(attributes, D, 0), np.sqrt(D) * jnp.eye(D)
    z, log_density = styleflow.log_density(flow, *many)
    h = 1e-2  # of central differences; their points are rows of one image
    points = w + jnp.concatenate([h * jnp.eye(D), -h * jnp.eye(D)])
    up, down = jnp.split(styleflow.encode(flow, points[None], attributes)[0], 2)
    log_det = np.linalg.slogdet((up - down) / (2 * h))[1]
    log_normal = -0.5 * (jnp.square(z[0]) + np.log(2 * np.pi)).sum()
    expected = float(log_normal + log_det)
    assert float(log_density.mean()) == pytest.approx(expected, abs=5e-3)


def test_latents_and_attributes_of_another_model_are_refused(setting):
    flow, inversion, given = setting
    with pytest.raises(ValueError, match="another generator"):
        styleflow.edit(flow, Inversion(numbers(B, L, D + 1)), given, given)
    with pytest.raises(ValueError, match="expected .2, 3.*smile, age, yaw"):
        styleflow.edit(flow, inversion, given[:, :2], given)
    with pytest.raises(ValueError, match="knows none.*smile, age, yaw"):
        styleflow.set_attribute(flow, given, "beard", 1.0)
