"""Training a generator: every term, lazily regularized, on one repeated batch."""

import jax
import numpy as np
import pytest
import tasks

from hyperstyle_jax import trees
from hyperstyle_jax.loop import fit, parallel
from hyperstyle_jax.training import gan
from hyperstyle_jax.weights import bundle


@pytest.fixture(scope="module")
def config():
    c = tasks.tiny("gan")
    c.loss.update(adversarial=0.1, render=1.0, lpips=0.5, attributes=0.1, r1_every=2)
    c.loss.path_length_every = 2
    c.optim.ema = 0.9
    return c


@pytest.fixture(scope="module")
def task(config):
    return gan.make_task(config)


@pytest.fixture(scope="module")
def trained(task, config):
    return tasks.train(task, config, steps=6)


def test_every_term_is_finite_and_the_regression_learns(trained):
    _, metrics = trained
    always = {"d_loss", "g_loss", "render_l2", "render_lpips", "render_attributes"}
    always |= {"d_grad_norm", "g_grad_norm", "real_sign"}
    for step, terms in enumerate(metrics, start=1):
        lazy = {"r1", "path_length"} if step % 2 == 0 else set()
        assert terms.keys() == always | lazy
        assert np.isfinite(list(terms.values())).all()
    assert metrics[-1]["render_l2"] < 0.9 * metrics[0]["render_l2"]


def noise_is_on(params):
    strengths = trees.select(params, ".*/noise_strength").values()
    return min(map(abs, strengths)) > 1e-3


def test_two_devices_are_one_device(task, config, trained):
    """Latents, mixed styles, noise, statistics of the batch, lazy terms: all the same.

    As long as each device has an even number of images, half of which path lengths
    are taken of.
    """
    assert noise_is_on(trained[0]["generator"])
    tasks.assert_same_on_two(task, config, *trained)


def test_averages_follow_the_networks(task, config, trained):
    state, _ = trained
    start = task.init(jax.random.key(config.seed))
    assert state["path_mean"] > 0
    assert abs(state["w_avg"] - start["w_avg"]).max() > 0

    def distance(a, b):
        leaves = jax.tree.leaves(jax.tree.map(lambda x, y: abs(x - y).sum(), a, b))
        return float(sum(leaves))

    moved = distance(state["generator"], start["generator"])
    assert 0 < distance(state["ema"], start["generator"]) < 0.7 * moved
    assert distance(state["discriminator"], start["discriminator"]) > 0


def test_export_is_the_averaged_generator(task, config, trained, tmp_path):
    state, _ = trained
    nets = gan.export(config, state, task.frozen)
    assert nets.keys() == {"generator", "discriminator"}
    net = nets["generator"]
    assert net.params is state["ema"]
    assert net.variables["buffers"]["mapping"]["w_avg"] is state["w_avg"]
    tasks.assert_bundled(nets, tmp_path / "bundle")


def test_evaluation_shows_and_scores(task, config, trained):
    outputs = tasks.evaluated(task, config, trained[0])
    assert set(task.columns) == outputs["images"].keys()
    assert {x.shape for x in outputs["images"].values()} == {(4, 8, 8, 3)}
    assert outputs["per_image"].keys() == {"real", "fake", "render_l2"}
    rng = np.random.default_rng(0)
    points = rng.normal(size=(64, 3))
    l2 = rng.uniform(size=64)
    same = gan.summarize({"real": points, "fake": points, "render_l2": l2})
    assert abs(same["frechet"]) < 1e-6
    assert same["render_l2"] == pytest.approx(l2.mean())
    apart = gan.summarize({"real": points, "fake": points + 2.0})
    assert apart["frechet"] == pytest.approx(3 * 4.0, rel=1e-3)


@pytest.mark.parametrize("count", [2, 4])
def test_every_device_draws_images_of_its_own(task, config, trained, count):
    """Together those of one device."""
    state, features = trained[0], []
    assert noise_is_on(state["ema"])
    for number in (1, count):
        devices = jax.local_devices()[:number]
        step = parallel.eval_step(task.eval_step, devices, config.seed)
        place = parallel.replicated(devices)
        placed, frozen = jax.device_put((state, task.frozen), place)
        pieces = parallel.split(tasks.batch(config), number)
        fake = step(placed, frozen, pieces, np.int32(0))["per_image"]["fake"]
        features.append(np.asarray(fake).reshape(config.batch_size, -1))
    np.testing.assert_allclose(*features, rtol=1e-4, atol=1e-5)
    assert len(np.unique(features[0].round(6), axis=0)) == config.batch_size


def test_regularization_is_lazy(config):
    """Twice the cost every 16th and 4th step, at 16 and 4 times the weight."""
    c = config.copy_and_resolve_references()
    c.loss.update(r1_every=16, path_length_every=4)
    phase = gan.make_task(c).phase
    assert phase(1) == {"r1": False, "path": False}
    assert phase(4) == {"r1": False, "path": True}
    assert phase(16) == {"r1": True, "path": True}
    c.loss.update(r1=0.0, path_length=0.0)
    phase = gan.make_task(c).phase
    assert phase(16) == {"r1": False, "path": False}


def test_without_the_adversary_there_is_no_discriminator(config):
    c = config.copy_and_resolve_references()
    c.loss.update(adversarial=0.0, lpips=0.0, attributes=0.0)
    task = gan.make_task(c)
    assert task.phase(16) == {} and "feature_extractor" not in task.frozen
    key = jax.random.key(0)
    state = jax.eval_shape(task.init, key)
    assert not [name for name in state if "discriminator" in name]
    examples = parallel.split(tasks.batch(c), 1)
    step = fit.guarded(task.train_step)
    step = jax.vmap(step, (None, None, 0, None), axis_name=parallel.AXIS)
    new, metrics = jax.eval_shape(step, state, task.frozen, examples, key)
    assert metrics.keys() == {"render_l2", "g_grad_norm"}
    assert new.keys() == state.keys()


@pytest.fixture(scope="module")
def adaptive(config):
    c = config.copy_and_resolve_references()
    c.loss.update(render=0.0, path_length=0.0, adversarial=1.0)
    c.ada.update(target=0.6, p=0.5, images=160)
    c.optim.ema_rampup, c.model.discriminator.frozen_blocks = 0.05, 1
    return c, gan.make_task(c)


@pytest.mark.slow
def test_augmentation_ramp_and_frozen_blocks(adaptive):
    """The strength moves each fourth step, by 4·4 / 160; the first block stays."""
    config, task = adaptive
    state, metrics = tasks.train(task, config, steps=5)
    strengths = [step["augment_p"] for step in metrics]
    np.testing.assert_allclose(strengths[:3], 0.5)
    signs = np.mean([step["real_sign"] for step in metrics[:4]])
    expected = 0.5 + np.sign(signs - 0.6) * 0.1
    np.testing.assert_allclose(strengths[3:], expected, rtol=1e-6)
    assert state["steps"] == 5
    start = task.init(jax.random.key(config.seed))["discriminator"]
    first, second = (
        max(abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, pair), strict=True))
        for pair in ((state["discriminator"][k], start[k]) for k in ("b8", "b4"))
    )
    assert first == 0 < second


def test_a_run_goes_on_with_both_networks_of_another(adaptive, tmp_path):
    config, task = adaptive
    state = task.init(jax.random.key(5))
    noisy = jax.tree.map(lambda x: x + 1.0, state["discriminator"])
    nets = gan.export(config, state | {"discriminator": noisy}, task.frozen)
    bundle.save(tmp_path / "both", nets)
    config = config.copy_and_resolve_references()
    config.init.generator = config.init.discriminator = str(tmp_path / "both")
    again = gan.make_task(config).init(jax.random.key(0))
    for a, b in zip(
        *map(jax.tree.leaves, (again["discriminator"], noisy)), strict=True
    ):
        np.testing.assert_array_equal(a, b)
