"""Training encoders to W+ on one repeated batch: pSp, e4e, and ReStyle over both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tasks

from hyperstyle_jax.config import checks
from hyperstyle_jax.training import (
    latent_discriminator,
    latent_losses,
    optimizers,
    style_encoder,
)

SLOW = pytest.mark.slow


def config(method):
    c = tasks.tiny("style_encoder")
    c.model.style_encoder.method = method
    c.loss.update(w_norm=0.005, l2_crop=0.5, lpips_crop=0.1)
    c.optim.name = "ranger"
    if method.endswith("e4e"):
        c.loss.update(w_norm=0.0, delta=2e-4, w_adversarial=0.1, w_pool=6, w_lr=1e-3)
        c.progressive.update(start=1, every=1)
    return c


# The loss and the norm of the gradients in the first step; both kinds of everything.
GOLDEN = {
    "psp": (2.503486, 6.540983),
    "restyle_e4e": (4.471816, 55.643135),
}


@pytest.fixture(scope="module")
def trained():
    """(config, task, state, metrics) of a method's first step."""
    made = {}

    def train(method):
        if method not in made:
            c = config(method)
            checks.check(c)
            task = style_encoder.make_task(c)
            made[method] = (c, task, *tasks.train(task, c, steps=1))
        return made[method]

    return train


@SLOW
@pytest.mark.parametrize("method", GOLDEN)
def test_the_first_step_is_as_it_was(method, trained):
    c, _, _, (first,) = trained(method)
    found = (first["loss"], first["grad_norm"])
    assert found == pytest.approx(GOLDEN[method], rel=1e-3), f"now: {found}"
    named = {"l2", "lpips", "id", "l2_crop", "lpips_crop"}
    named |= {"delta", "w_adversarial"} if method.endswith("e4e") else {"w_norm"}
    total = sum(c.loss[name] * first[name] for name in named)
    assert first["loss"] == pytest.approx(total, rel=1e-4)


@SLOW
@pytest.mark.parametrize("method", ["psp", "restyle_e4e"])
def test_export_is_a_bundles_role(method, trained, tmp_path):
    c, task, state, _ = trained(method)
    nets = style_encoder.export(c, state, task.frozen)
    assert nets.keys() == {method, "generator", "feature_extractor"}
    net, generator = nets[method], nets["generator"]
    w_avg = generator.variables["buffers"]["mapping"]["w_avg"]
    rows = np.broadcast_to(w_avg, (generator.module.num_ws, len(w_avg)))
    np.testing.assert_array_equal(net.variables["buffers"]["latent_avg"], rows)
    tasks.assert_bundled(nets, tmp_path / "bundle")


@SLOW
def test_rows_that_were_not_reached_are_row_0(trained):
    """After one step row 1 of three is reached, and the exported network says so."""
    c, task, state, _ = trained("restyle_e4e")
    net = style_encoder.export(c, state, task.frozen)["restyle_e4e"]
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 6))
    w = net(x) - net.variables["buffers"]["latent_avg"]
    assert float(jnp.abs(w[:, 1] - w[:, 0]).max()) > 1e-3
    assert net.module.num_ws == 4
    for row in (2, 3):
        np.testing.assert_array_equal(w[:, row], w[:, 0])


def test_the_published_schedule_of_rows():
    """20,000 steps with row 0, then a further row every 2,000, up to row 17."""
    steps = np.array([0, 19_999, 20_000, 21_999, 22_000, 52_000, 90_000])
    rows = style_encoder.reached(steps, 20_000, 2_000, 18)
    assert rows.tolist() == [0, 0, 1, 1, 2, 17, 17]


def test_distances_of_rows_have_finite_gradients_where_rows_are_equal():
    w = jnp.zeros((2, 4, 6)).at[:, 1].set(1.0)
    assert latent_losses.row_distances(w, 3).tolist() == pytest.approx([6**0.5, 0, 0])
    assert float(latent_losses.row_distances(w, 0).sum()) == 0.0
    gradient = jax.grad(lambda w: latent_losses.row_distances(w, 3).sum())(w)
    assert bool(jnp.isfinite(gradient).all()) and not gradient[:, 2:].any()


def test_the_norm_counts_all_rows_together():
    w = jnp.ones((3, 4, 6))
    assert float(latent_losses.w_norm(w, jnp.zeros(6))) == pytest.approx(24**0.5)


def test_a_pool_gives_what_it_gets_until_it_is_full():
    pool = latent_discriminator.empty_pool(4, 2)
    first = jnp.arange(8.0).reshape(4, 2)
    given, pool = latent_discriminator.exchange(pool, first, jax.random.key(0))
    np.testing.assert_array_equal(given, first)
    np.testing.assert_array_equal(pool.w, first)
    later = 100 + jnp.arange(200.0).reshape(100, 2)
    given, after = latent_discriminator.exchange(pool, later, jax.random.key(1))
    kept = {tuple(row) for row in np.asarray(after.w).tolist()}
    left = {tuple(row) for row in np.asarray(given).tolist()}
    everyone = {tuple(r) for r in np.concatenate([first, later]).tolist()}
    assert kept | left == everyone and not kept & left
    delayed = (np.asarray(given) != np.asarray(later)).any(1).mean()
    assert 0.3 < delayed < 0.7


def test_parts_begin_with_their_first_gradient():
    """A part's first step is the same whenever it comes, and none comes before it."""
    tx = optimizers.beginning_late(optimizers.ranger(0.1), r"late\d")
    params = {"body": jnp.ones(3), "late1": jnp.ones(3)}
    some, none = jnp.array([1.0, 2.0, 3.0]), jnp.zeros(3)
    state, p = tx.init(params), params
    for step in range(9):
        grads = {"body": some, "late1": some if step == 8 else none}
        updates, state = tx.update(grads, state, p)
        if step < 8:
            assert not updates["late1"].any() and updates["body"].any()
        p = jax.tree.map(jnp.add, p, updates)
    fresh = optimizers.ranger(0.1)
    alone = {"late1": params["late1"]}
    first = fresh.update({"late1": some}, fresh.init(alone), alone)[0]
    np.testing.assert_allclose(updates["late1"], first["late1"], rtol=1e-6)


def refuse(match, **changes):
    c = config("psp")
    c.loss.update(w_norm=0.0)
    c.update_from_flattened_dict(changes)
    with pytest.raises(ValueError, match=match):
        checks.check(c)


def test_what_cannot_work_is_refused():
    refuse("loss.moco is 0.5, expected 0 beside loss.id", **{"loss.moco": 0.5})
    refuse("loss.delta is 0.1, expected 0 for the method psp", **{"loss.delta": 0.1})
    refuse(
        "method is 'hyperstyle', expected one of psp, e4e",
        **{"model.style_encoder.method": "hyperstyle"},
    )
    refuse("progressive.every is 0", **{"progressive.every": 0})
    refuse(
        "widths is .*3 or more, for its pyramid",
        **{
            "model.style_encoder.widths": (4, 4),
            "model.style_encoder.depths": (1, 1),
        },
    )
