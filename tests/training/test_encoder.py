"""Training a W-encoder, on one repeated batch."""

import jax
import numpy as np
import pytest
import tasks

from hyperstyle_jax.loop import fit, parallel
from hyperstyle_jax.training import encoder, latent_losses


@pytest.fixture(scope="module")
def config():
    c = tasks.tiny("encoder")
    c.loss.latent = 0.3
    c.optim.ema = 0.5
    return c


@pytest.fixture(scope="module")
def task(config):
    return encoder.make_task(config)


@pytest.fixture(scope="module")
def trained(task, config):
    return tasks.train(task, config, steps=8)


def test_it_learns_one_batch(trained):
    _, metrics = trained
    names = {"l2", "lpips", "id", "latent", "loss", "grad_norm"}
    for step in metrics:
        assert step.keys() == names and np.isfinite(list(step.values())).all()
    assert metrics[-1]["loss"] < metrics[0]["loss"]


def test_the_loss_is_the_weighted_sum(config, trained):
    weights = config.loss
    for metrics in trained[1]:
        expected = sum(weights[k] * metrics[k] for k in ("l2", "lpips", "id", "latent"))
        assert metrics["loss"] == pytest.approx(expected, rel=1e-4)


def test_frozen_networks_stay(task, config, trained):
    fresh = encoder.make_task(config).frozen
    jax.tree.map(np.testing.assert_array_equal, fresh, task.frozen)


def test_export_is_the_average_and_adds_the_mean_latent(
    task, config, trained, tmp_path
):
    state, _ = trained
    nets = encoder.export(config, state, task.frozen)
    assert nets.keys() == {"encoder", "generator", "feature_extractor"}
    net = nets["encoder"]
    assert net.params is state["ema"] and net.module.axis_name is None
    w_avg = nets["generator"].variables["buffers"]["mapping"]["w_avg"]
    assert net.variables["buffers"]["latent_avg"] is w_avg
    tasks.assert_bundled(nets, tmp_path / "bundle")


def test_evaluation(task, config, trained):
    outputs = tasks.evaluated(task, config, trained[0])
    assert set(task.columns) == outputs["images"].keys()
    assert {k: v.shape for k, v in outputs["per_image"].items()} == {
        "l2": (4,), "lpips": (4,), "id": (4,), "loss": (4,),
    }  # fmt: skip


def test_without_latent_loss_nothing_is_generated(config):
    c = config.copy_and_resolve_references()
    c.loss.latent = 0.0
    task, key = encoder.make_task(c), jax.random.key(0)
    state = jax.eval_shape(task.init, key)
    examples = parallel.split(tasks.batch(c), 1)
    step = fit.guarded(task.train_step)
    step = jax.vmap(step, (None, None, 0, None), axis_name=parallel.AXIS)
    _, metrics = jax.eval_shape(step, state, task.frozen, examples, key)
    assert metrics.keys() == {"l2", "lpips", "id", "loss", "grad_norm"}


def test_a_discriminator_and_a_norm_keep_latents_near_the_mapping(config):
    options = config.copy_and_resolve_references()
    options.loss.update(latent=0.0, w_norm=0.1, w_adversarial=0.5)
    task = encoder.make_task(options)
    state, metrics = tasks.train(task, options, steps=2)
    first = metrics[0]
    assert {"w_norm", "w_adversarial", "latent_discriminator_loss"} <= first.keys()
    weights = {"l2": 1.0, "lpips": 0.8, "id": 0.1, "w_norm": 0.1, "w_adversarial": 0.5}
    total = sum(weight * first[name] for name, weight in weights.items())
    assert first["loss"] == pytest.approx(total, rel=1e-4)
    # A discriminator that has learnt nothing cannot tell: log 2 for each kind.
    assert first["latent_discriminator_loss"] == pytest.approx(2 * np.log(2), rel=0.3)
    before = task.init(jax.random.key(options.seed))["latent_discriminator"]
    moved = jax.tree.map(
        lambda a, b: float(abs(a - b).max()), before, state["latent_discriminator"]
    )
    assert max(jax.tree.leaves(moved)) > 0
    assert [task.phase(step)["r1"] for step in (15, 16)] == [False, True]


def test_the_penalty_makes_the_discriminators_loss_steeper(config):
    options = config.copy_and_resolve_references()
    options.loss.update(latent=0.0, w_adversarial=0.5)
    task = encoder.make_task(options)
    state = task.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    real, fake = (rng.normal(size=(4, 6)).astype(np.float32) for _ in range(2))
    metrics = []
    for r1 in (0.0, options.loss.w_r1):

        def step(params, r1=r1):
            return latent_losses.discriminator_gradients(params, real, fake, r1)

        run = jax.vmap(step, axis_name=parallel.AXIS, in_axes=None, axis_size=1)
        metrics.append(run(state["latent_discriminator"])[1])
    plain, punished = metrics
    np.testing.assert_allclose(
        plain["latent_discriminator_loss"], punished["latent_discriminator_loss"]
    )
    assert (
        punished["latent_discriminator_grad_norm"]
        != plain["latent_discriminator_grad_norm"]
    )
