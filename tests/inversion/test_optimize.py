"""Latent optimization on a tiny generator."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from networks import tiny_generator

from hyperstyle_jax.inversion import optimize as o


@pytest.fixture(scope="module")
def net():
    return tiny_generator()


@pytest.fixture(scope="module")
def target(net):
    w = net(jax.random.normal(jax.random.key(5), (2, 4)), method="mapping")
    return net(w, method="synthesis")


@pytest.mark.parametrize("space", ["w", "w_plus"])
def test_it_comes_much_closer_and_returns_its_last_image(net, target, space):
    result = o.optimize(net, target, space=space, steps=150, lr=0.2)
    inversion = result.inversion
    first_loss = np.asarray(result.losses[0])
    last_loss = np.square(result.image - target).mean((1, 2, 3))
    assert result.losses.shape == (150, 2) and (last_loss < 0.2 * first_loss).all()
    rows = np.asarray(inversion.w_plus)
    assert rows.shape == (2, 4, 6) and (rows == rows[:, :1]).all() == (space == "w")
    again = net(inversion.w_plus, method="synthesis")
    np.testing.assert_allclose(again, result.image, atol=1e-4)
    assert inversion.offsets == {} and inversion.embeddings is None


def test_a_batch_of_two_is_two_batches_of_one(net, target):
    both = o.optimize(net, target, steps=20).inversion.w_plus
    second = o.optimize(net, target[1:], steps=20).inversion.w_plus
    np.testing.assert_allclose(both[1:], second, atol=1e-4)


def test_no_steps_is_the_start(net, target):
    w_avg = net.variables["buffers"]["mapping"]["w_avg"]
    result = o.optimize(net, target, space="w", steps=0)
    np.testing.assert_array_equal(result.inversion.w_plus[:, 3], [w_avg, w_avg])
    start = jnp.ones((2, 6))
    result = o.optimize(net, target, steps=0, start=start)
    np.testing.assert_array_equal(result.inversion.w_plus, jnp.ones((2, 4, 6)))


def test_small_targets_are_compared_at_their_size(net, target):
    small = target.reshape(2, 4, 2, 4, 2, 3).mean((2, 4))
    result = o.optimize(net, small, steps=2)
    assert result.image.shape == (2, 4, 4, 3)


def test_wide_targets_are_compared_with_the_middle_rows(net, target):
    """Cars: the square image is cropped and not squashed."""
    result = o.optimize(net, target[:, 2:6], steps=1)
    start = o.optimize(net, target, steps=0).image
    np.testing.assert_array_equal(
        o.optimize(net, target[:, 2:6], steps=0).image, start[:, 2:6]
    )
    assert result.image.shape == (2, 4, 8, 3)


def test_the_loss_gets_its_networks_as_arguments(net, target):
    def loss(scale, y_hat, x):
        return scale * o.l2_loss(None, y_hat, x)

    once = o.optimize(net, target, steps=1, loss=loss, frozen=jnp.float32(1)).losses
    twice = o.optimize(net, target, steps=1, loss=loss, frozen=jnp.float32(2)).losses
    np.testing.assert_allclose(2 * once, twice, rtol=1e-6)


def test_the_learning_rate_rises_and_falls():
    rates = np.array([o._learning_rate(0.1, 100)(t) for t in range(101)])
    assert rates.max() == pytest.approx(0.1) and rates[0] < 0.03 and rates[100] == 0


def test_one_huge_gradient_moves_only_its_image_and_not_far():
    """Adam alone would walk on for ten steps, each almost as large as the first."""
    steps, lr = 40, 0.1
    usual = np.random.default_rng(0).normal(size=(steps, 2, 3, 4)).astype(np.float32)
    spiked = usual.copy()
    spiked[20, 0] *= 2000

    def path(gradients, tx):
        state, moves = tx.init(jnp.zeros((2, 3, 4))), []
        for gradient in gradients:
            move, state = tx.update(jnp.asarray(gradient), state)
            moves.append(move)
        return np.array(moves)

    adam = optax.adam(o._learning_rate(lr, steps))
    plain, limited = path(usual, adam), path(spiked, o._adam(lr, steps))
    far = np.abs(path(spiked, adam)[20:30, 0].sum(0)).mean()
    assert np.abs((limited - plain)[20:30, 0].sum(0)).mean() < far / 4
    np.testing.assert_allclose(limited[:, 1], plain[:, 1], atol=1e-6)
    np.testing.assert_allclose(limited[:20], plain[:20], atol=1e-6)


def test_no_gradient_stays_none_and_the_next_one_counts():
    tx = o._limit_gradients()
    state = tx.init(jnp.zeros((1, 2)))
    first_update, state = tx.update(jnp.zeros((1, 2)), state)
    second_update, _ = tx.update(jnp.ones((1, 2)), state)
    assert not first_update.any() and second_update.all()


def test_senseless_arguments_are_refused(net, target):
    with pytest.raises(ValueError, match='expected "w" or "w_plus"'):
        o.optimize(net, target, space="z")
    with pytest.raises(ValueError, match=r"expected \(2, 4, 6\)"):
        o.optimize(net, target, start=jnp.zeros((3, 6)))
