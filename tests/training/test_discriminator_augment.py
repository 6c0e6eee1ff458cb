"""The augmentation of the discriminator's images: what is exact, chances, gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from hyperstyle_jax.training import common
from hyperstyle_jax.training import discriminator_augment as ada
from hyperstyle_jax.training.discriminator_augment import Kinds

SIZE = 12
ALL = Kinds()


@jax.jit
def augment(x, keys, p):
    return ada.augment(x, ada.draw(keys, p, x.shape[1:3], ALL))


warp = jax.jit(ada.warp)
after_step = jax.jit(partial(ada.after_step, target=0.6, images=400), static_argnums=2)
draw_color = jax.jit(jax.vmap(ada._draw_color, (0, None)))
draw_geometry = jax.jit(jax.vmap(partial(ada._draw_geometry, size=(8, 16)), (0, None)))


@pytest.fixture(scope="module")
def x():
    draw = np.random.default_rng(0).normal(size=(6, SIZE, SIZE, 3))
    return np.stack([ndimage.gaussian_filter(a, (1, 1, 0)) for a in draw]).astype("f")


def keys(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)


def test_strength_0_changes_nothing(x):
    np.testing.assert_allclose(augment(x, keys(6), 0.0), x, atol=1e-6)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_blitting_moves_pixels_exactly(x, mirrored, quarters):
    expected = np.rot90(x[0][:, ::-1] if mirrored else x[0], quarters)
    expected = np.pad(expected, ((3, 0), (0, 2), (0, 0)), "reflect")[:SIZE, 2:]
    rows, columns = ada.blit_places(SIZE, mirrored, quarters, (3, -2))
    np.testing.assert_array_equal(x[0][rows, columns], expected)


def test_the_filter_is_orthogonal():
    taps = ada._SYM6.astype(np.float64)
    for shift in range(6):
        product = taps[2 * shift :] @ taps[: len(taps) - 2 * shift]
        assert product == pytest.approx(float(shift == 0), abs=1e-6)
    assert taps.sum() == pytest.approx(np.sqrt(2), abs=1e-6)


@pytest.mark.parametrize("shift", [(0, 0), (2, -3), (-1, 1)])
def test_warping_by_whole_pixels_is_exact(x, shift):
    """The result at (x, y) is the image at (x + dx, y + dy), mirrored at its edge."""
    matrix = np.concatenate([np.eye(2), np.array(shift)[:, None]], axis=1)
    big = np.pad(x[0], ((4, 4), (4, 4), (0, 0)), "reflect")
    expected = big[4 + shift[1] :, 4 + shift[0] :][:SIZE, :SIZE]
    np.testing.assert_allclose(warp(x[0], matrix), expected, atol=2e-5)


def test_warping_turns_and_scales_as_scipy_does(x):
    """Smooth images inside the edge; scipy interpolates with cubic splines."""
    smooth = ndimage.gaussian_filter(x[1], (2, 2, 0))
    angle, scale = 0.4, 1.1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.concatenate([turn / scale, [[0.3], [-0.6]]], axis=1)
    rows = matrix[::-1, [1, 0]]  # scipy counts rows first
    middle = (SIZE - 1) / 2
    offset = middle - rows @ np.full(2, middle) + matrix[::-1, 2]
    expected = np.stack(
        [ndimage.affine_transform(smooth[..., c], rows, offset, mode="mirror")
         for c in range(3)], axis=-1,
    )  # fmt: skip
    found = np.asarray(warp(smooth, matrix))
    np.testing.assert_allclose(found, expected, atol=0.03 * np.ptp(smooth))


def test_colours_keep_what_they_should(x):
    """Hue and saturation keep the grey of a pixel, hue also its distance from grey."""
    matrix = np.asarray(draw_color(keys(3000), 1.0))
    linear = matrix[..., :3]
    greys = linear @ np.ones(3)  # grey stays grey
    np.testing.assert_allclose(greys, greys[:, :1] @ np.ones((1, 3)), atol=1e-4)
    offsets = matrix[..., 3]
    np.testing.assert_allclose(offsets, offsets[:, :1] @ np.ones((1, 3)), atol=1e-4)
    # Contrast 2^(N/2), of which half are inverted; brightness N/5 before that.
    strength = np.log2(abs(greys[:, 0]))
    assert strength.std() == pytest.approx(0.5, rel=0.15)
    assert (greys[:, 0] < 0).mean() == pytest.approx(0.5, abs=0.1)
    assert (offsets[:, 0] / greys[:, 0]).std() == pytest.approx(0.2, rel=0.15)


def test_geometry_has_the_published_strengths():
    matrix, moved = draw_geometry(keys(3000), 1.0)
    assert moved.all()
    linear, shift = np.asarray(matrix[..., :2]), np.asarray(matrix[..., 2])
    scale = -0.5 * np.log2(np.linalg.det(linear))
    assert scale.std() == pytest.approx(0.2, rel=0.1)
    values = np.linalg.svd(linear, compute_uv=False)
    assert (0.5 * np.log2(values[:, 0] / values[:, 1])).mean() == pytest.approx(
        0.2 * np.sqrt(2 / np.pi), rel=0.1
    )
    moved_by = np.linalg.solve(linear, shift[..., None])[..., 0]
    np.testing.assert_allclose(moved_by.std(0), [2.0, 1.0], rtol=0.1)


def test_each_transformation_has_chance_p(x):
    """Of five of colour, of which inversion does nothing in half of the cases, and of
    four of geometry, as the two turns count as one."""
    p = 0.2
    matrix = np.asarray(draw_color(keys(3000), p))
    changed = abs(matrix - np.eye(3, 4)).max((1, 2)) > 1e-4
    assert changed.mean() == pytest.approx(1 - 0.8**4 * 0.9, abs=0.03)
    moved = draw_geometry(keys(3000), p)[1].mean()
    assert moved == pytest.approx(1 - 0.8**4, abs=0.03)


@pytest.mark.slow
def test_each_image_has_its_own_and_gradients_flow(x):
    same = np.repeat(x[:1], 6, axis=0)
    out = np.asarray(augment(same, keys(6), 1.0))
    assert len(np.unique(out.round(4).reshape(6, -1), axis=0)) == 6
    slope = jax.jit(jax.grad(lambda x: augment(x, keys(6), 1.0).sum()))(x)
    assert (
        np.isfinite(slope).all() and (abs(np.asarray(slope)).max((1, 2, 3)) > 0).all()
    )


def test_the_strength_follows_the_sign():
    """Up by 4·B / images each fourth step while r_t is above the target, else down."""
    state, history = ada.initial(0.0), []
    for sign in [1.0] * 8 + [0.2] * 8 + [-1.0] * 8:
        state = after_step(state, jnp.float32(sign), 10)
        history.append(float(state["p"]))
    steps = [history[i] for i in range(3, 24, 4)]
    np.testing.assert_allclose(steps, [0.1, 0.2, 0.1, 0.0, 0.0, 0.0], atol=1e-6)
    assert history[:3] == [0.0] * 3
    fixed = ada.after_step(ada.initial(0.3), jnp.float32(1.0), 10, 0.0, 400)
    assert fixed["p"] == pytest.approx(0.3)


def test_the_average_ramps_up():
    """Half-lives of 5 % of the steps, until that of the decay is reached."""
    decay = 0.5 ** (1 / 10)
    found = [float(common.ramped_decay(decay, 0.05, jnp.float32(t))) for t in (20, 100)]
    np.testing.assert_allclose(found, [0.5, 0.5 ** (1 / 5)], rtol=1e-5)
    late = common.ramped_decay(decay, 0.05, jnp.float32(10_000))
    np.testing.assert_allclose(late, decay, rtol=1e-5)
