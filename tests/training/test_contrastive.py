"""Training without labels: SimCLR's loss, its views, and what it teaches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tasks

from hyperstyle_jax.loop import parallel
from hyperstyle_jax.training import contrastive, recognition

views = jax.jit(contrastive.views)
recoloured = jax.jit(contrastive.recoloured)


@pytest.fixture(scope="module")
def config():
    c = tasks.tiny("recognition")
    c.loss.update(id=0.0, attributes=0.0, contrastive=1.0)
    c.optim.ema = 0.5
    return c


@pytest.fixture(scope="module")
def task(config):
    return recognition.make_task(config)


@pytest.fixture(scope="module")
def trained(task, config):
    return tasks.train(task, config, steps=8)


def expected(first, second):
    """Equation 1 of the paper, pair by pair, in NumPy."""
    z = np.concatenate([first, second]).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    similarity = np.exp(z @ z.T / contrastive._TEMPERATURE)
    losses = []
    for i in range(len(z)):
        j = (i + len(first)) % len(z)
        others = sum(similarity[i, k] for k in range(len(z)) if k != i)
        losses.append(-np.log(similarity[i, j] / others))
    return np.array(losses)


@pytest.mark.parametrize("devices", [1, 2])
def test_the_loss_is_the_papers_on_any_number_of_devices(devices):
    first, second = np.random.default_rng(0).normal(size=(2, 6, 5)).astype("f")
    pieces = parallel.split({"first": first, "second": second}, devices)
    loss = jax.pmap(contrastive.nt_xent, parallel.AXIS, devices=jax.devices()[:devices])
    found = loss(pieces["first"], pieces["second"])
    assert found.mean() == pytest.approx(expected(first, second).mean(), rel=1e-5)


def test_views_are_of_their_own_and_stay_in_range():
    x = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 3)).astype("f")
    x = np.repeat(x, 6, axis=0)
    keys = jax.random.split(jax.random.key(0), 6)
    for change in (views, recoloured):
        out = np.asarray(change(x, keys))
        assert out.shape == x.shape and abs(out).max() <= 1
        # Some keep their colours.
        assert len(np.unique(out.round(4).reshape(6, -1), axis=0)) >= 4
    grey = jnp.zeros((6, 16, 16, 3))
    out = np.asarray(recoloured(grey, keys))
    np.testing.assert_allclose(out, out[..., :1] * np.ones(3), atol=0.02)


def test_it_learns_without_labels(trained):
    _, metrics = trained
    for step in metrics:
        assert step.keys() == {"contrastive", "grad_norm"}
    assert metrics[-1]["contrastive"] < metrics[0]["contrastive"]


def test_the_network_has_no_projection_and_no_attributes(
    task, config, trained, tmp_path
):
    config = config.copy_and_resolve_references()
    config.data.update(kind="folder", path="images")  # no labels
    task = recognition.make_task(config)
    state = task.init(jax.random.key(0))
    assert state["params"].keys() == {"net", "projection"}
    nets = recognition.export(config, state, task.frozen)
    assert nets["feature_extractor"].module.num_attributes == 0
    tasks.assert_bundled(nets, tmp_path / "bundle")


def test_scores_know_views_of_one_image_from_those_of_others():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(40, 16))
    second = first + 0.05 * rng.normal(size=(40, 16))
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (first, second)]
    assert contrastive.scores(*unit) == {
        "same_image_auc": 1.0, "same_image_nearest": 1.0
    }  # fmt: skip
    chance = contrastive.scores(unit[0], rng.permutation(unit[1]))
    assert chance["same_image_auc"] == pytest.approx(0.5, abs=0.15)
    near, far = rng.uniform(0, 1, 50), rng.uniform(2, 3, 50)
    assert contrastive.distance_scores(near, far)["same_image_lpips_auc"] == 1.0
    assert contrastive.distance_scores(far, near)["same_image_lpips_auc"] == 0.0
