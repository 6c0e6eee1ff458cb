"""Pivotal tuning, where the answer is known."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from linear_nets import DIM, PATH, ROWS, linear_generator, pictures

from hyperstyle_jax.inversion import closeness, pivotal
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import synthesize

SLOWER = {"lr": 0.03, "steps": 120}


@pytest.fixture(scope="module")
def net():
    return linear_generator()


@pytest.fixture(scope="module")
def pivots():
    values = np.random.default_rng(4).normal(size=(2, ROWS, DIM))
    return jnp.asarray(values, jnp.float32)


@pytest.fixture(scope="module")
def targets():
    return closeness.targets(None, pictures())


def test_each_generator_comes_to_draw_its_image(net, pivots, targets):
    tuned = pivotal.tune(net, pivots, targets, **SLOWER)
    np.testing.assert_allclose(tuned.image, targets.x, atol=3e-2)
    np.testing.assert_allclose(synthesize(net, tuned.inversion), tuned.image, atol=1e-5)
    np.testing.assert_array_equal(tuned.inversion.w_plus, pivots)
    assert tuned.losses["l2"].shape == (120, 2) and [*tuned.steps] == [120, 120]


def test_together_they_share_one_generator(net, pivots, targets):
    """Two images and six rows of a matrix: one matrix draws both."""
    tuned = pivotal.tune_together(net, pivots, targets, **SLOWER)
    np.testing.assert_allclose(tuned.image, targets.x, atol=4e-2)
    weights = tuned.inversion.replaced[PATH]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert tuned.losses["l2"].shape == (120, 2)


def test_together_with_one_image_is_alone(net, pivots, targets):
    one = closeness.rows(targets, slice(0, 1))
    few = {"steps": 5, "lr": 0.01}
    alone = pivotal.tune(net, pivots[:1], one, **few)
    together = pivotal.tune_together(net, pivots[:1], one, **few)
    np.testing.assert_allclose(alone.image, together.image, atol=1e-6)


def test_no_steps_is_the_start(net, pivots, targets):
    tuned = pivotal.tune(net, pivots, targets, steps=0)
    np.testing.assert_array_equal(tuned.inversion.replaced[PATH][1], _own(net))
    start = {PATH: jnp.stack([_own(net), 2 * _own(net)])}
    tuned = pivotal.tune(net, pivots, targets, steps=0, start=start)
    np.testing.assert_array_equal(tuned.inversion.replaced[PATH][1], 2 * _own(net))
    assert tuned.losses["loss"].shape == (0, 2)


def test_an_image_does_not_depend_on_the_others(net, pivots, targets):
    few = {"steps": 3, "lr": 0.01}
    both = pivotal.tune(net, pivots, targets, **few)
    one = pivotal.tune(net, pivots[1:], closeness.rows(targets, slice(1, 2)), **few)
    np.testing.assert_allclose(both.image[1:], one.image, atol=1e-6)


def test_images_end_one_by_one_once_they_are_close(net, pivots, targets):
    """A perceptual distance of 0.05·L2 here; the last update is not made."""
    seeing = closeness.targets(Net(Seeing(), {}), targets.x)
    loss = pivotal.Loss(stop=0.02)
    tuned = pivotal.tune(net, pivots, seeing, loss=loss, lr=0.02, steps=100)
    ends = [int(n) for n in tuned.steps]
    assert 0 < min(ends) < max(ends) < 100
    for i, end in enumerate(ends):
        values = tuned.losses["lpips"][:, i]
        assert (
            values[end] <= 0.02 < values[:end].min()
            and np.isnan(values[end + 1 :]).all()
        )
    assert len(tuned.losses["lpips"]) == max(ends) + 1
    distance = closeness.distances(seeing, tuned.image)[1]
    lasts = [tuned.losses["lpips"][end, i] for i, end in enumerate(ends)]
    np.testing.assert_allclose(distance, lasts, rtol=1e-4)


class Seeing(nn.Module):
    """Features of one stage that are the pixels."""

    def extract_features(self, x):
        return [x], x[:, 0, 0]


def test_several_at_once_are_one_after_another(net, pivots, targets, monkeypatch):
    """As on GPUs; the CPU takes one image at a time."""
    few = {"steps": 3, "lr": 0.01}
    alone = pivotal.tune(net, pivots, targets, **few)
    monkeypatch.setattr(pivotal.chunks.offsets, "images_at_once", lambda: 8)
    together = pivotal.tune(net, pivots, targets, **few)
    np.testing.assert_allclose(alone.image, together.image, atol=1e-6)
    assert [*together.steps] == [3, 3] and together.losses["l2"].shape == (3, 2)


def test_the_first_step_is_adams(net, pivots, targets):
    """Every number whose gradient is not zero moves by the learning rate."""
    tuned = pivotal.tune(net, pivots, targets, steps=1, lr=0.01)
    moved = np.abs(np.asarray(tuned.inversion.replaced[PATH] - _own(net)))
    np.testing.assert_allclose(moved, 0.01, rtol=1e-2)


def test_the_regularizer_is_zero_at_first_and_keeps_what_is_near(net, pivots, targets):
    loss = pivotal.Loss(locality=pivotal.Locality(weight=1.0, samples=4))
    plain, kept = (pivotal.tune(net, pivots, targets, loss=one, **SLOWER)
                   for one in (pivotal.DEFAULT, loss))  # fmt: skip
    assert (kept.losses["locality"][0] == 0).all()
    assert (kept.losses["locality"][1:] > 0).all()
    assert (plain.losses["locality"] == 0).all()
    changes = [
        jnp.abs(t.inversion.replaced[PATH] - _own(net)).mean() for t in (plain, kept)
    ]
    assert changes[1] < changes[0]


def test_latents_near_the_pivot_are_alpha_away(net, pivots):
    z = jnp.asarray(np.random.default_rng(5).normal(size=(3, DIM)), jnp.float32)
    near = pivotal.near_pivot(net, pivots[:1], z, pivotal.Locality(alpha=7.0))
    distances = jnp.sqrt(jnp.square(near - pivots[:1]).sum((1, 2)))
    np.testing.assert_allclose(distances, 7.0, rtol=1e-5)


def _own(net):
    return net.params["synthesis"]["b4"]["conv1"]["weight"]
