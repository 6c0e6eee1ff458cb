"""Code tuning, where the answer is known."""

import jax.numpy as jnp
import numpy as np
import pytest
from linear_nets import DIM, PATH, ROWS, linear_generator, linear_hypernet, pictures

from hyperstyle_jax.inversion import closeness, code_tuning, hyperstyle
from hyperstyle_jax.offsets import LayerEmbeddings, synthesize


@pytest.fixture(scope="module")
def nets():
    return linear_hypernet(), linear_generator()


@pytest.fixture(scope="module")
def start():
    rng = np.random.default_rng(6)
    w, embeddings = rng.normal(size=(2, ROWS, DIM)), rng.normal(size=(2, 5))
    values = {PATH: jnp.asarray(0.3 * embeddings, jnp.float32)}
    return jnp.asarray(w, jnp.float32), LayerEmbeddings(values, 1)


@pytest.fixture(scope="module")
def targets():
    return closeness.targets(None, pictures())


def test_it_finds_the_least_squares_of_linear_networks(nets, start, targets):
    """y = w·θ(1 + e·M) is linear in e."""
    w, embeddings = start
    tuned = code_tuning.tune(*nets, w, embeddings, targets, steps=200, lr=0.5, lr_w=0)
    theta = np.asarray(nets[1].params["synthesis"]["b4"]["conv1"]["weight"])
    matrix = np.asarray(nets[0].params["matrix"]).reshape(5, *theta.shape)
    for i, x in enumerate(np.asarray(targets.x).reshape(2, -1)):
        row = np.asarray(w[i].mean(0))
        columns = np.stack([row @ (theta * m) for m in matrix], axis=1)
        best = np.linalg.lstsq(columns, x - row @ theta, rcond=None)[0]
        np.testing.assert_allclose(tuned.embeddings.values[PATH][i], best, atol=2e-3)
    np.testing.assert_array_equal(tuned.w_plus, w)


def test_the_image_is_that_of_the_decoded_inversion(nets, start, targets):
    tuned = code_tuning.tune(*nets, *start, targets, steps=4, lr_w=0.1)
    inversion = hyperstyle.decode(nets[0], tuned.w_plus, tuned.embeddings)
    np.testing.assert_allclose(synthesize(nets[1], inversion), tuned.image, atol=1e-5)
    assert not np.allclose(tuned.w_plus, start[0])
    assert tuned.losses.shape == (4, 2)


def test_no_steps_is_the_start(nets, start, targets):
    tuned = code_tuning.tune(*nets, *start, targets, steps=0)
    np.testing.assert_array_equal(tuned.embeddings.values[PATH], start[1].values[PATH])
    assert tuned.embeddings.num_iters == 1 and tuned.losses.shape == (0, 2)


def test_an_image_does_not_depend_on_the_others(nets, start, targets):
    w, embeddings = start
    both = code_tuning.tune(*nets, *start, targets, steps=3)
    one = LayerEmbeddings({PATH: embeddings.values[PATH][1:]}, 1)
    part = closeness.rows(targets, slice(1, 2))
    alone = code_tuning.tune(*nets, w[1:], one, part, steps=3)
    np.testing.assert_allclose(both.image[1:], alone.image, atol=1e-6)


def test_learning_rates_rise_and_fall():
    rates = [code_tuning.learning_rate(t, 100) for t in range(100)]
    assert max(rates) == 1 and rates[0] == pytest.approx(0.2) and 0 < rates[99] < 0.01
