"""Ways to compute the same training step: half precision, less memory, in parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tasks
from networks import tiny_nets

from hyperstyle_jax import trees
from hyperstyle_jax.inversion.hyperstyle import decode, invert
from hyperstyle_jax.offsets import synthesize
from hyperstyle_jax.training import common, hyperstyle


def one_step(examples=None, **changes):
    config = tasks.tiny("hyperstyle")
    config.num_iters = 1
    config.update(changes)
    task = hyperstyle.make_task(config)
    state, metrics = tasks.train(task, config, steps=1, examples=examples)
    trained = {k: state[k] for k in ("params", "batch_stats")}
    return trees.flatten(trained), metrics[0]


@pytest.fixture(scope="module")
def plain():
    return one_step()


def test_bfloat16_keeps_float32_parameters_and_nearly_the_losses(plain):
    state, metrics = one_step(precision="bfloat16")
    assert {str(v.dtype) for v in state.values()} == {"float32"}
    assert metrics == pytest.approx(plain[1], rel=0.05)
    assert metrics != plain[1]


def test_rematerialisation_changes_nothing(plain):
    state, metrics = one_step(remat=True)
    assert metrics == pytest.approx(plain[1], rel=1e-4)
    for path, value in plain[0].items():
        np.testing.assert_allclose(state[path], value, atol=1e-4, err_msg=path)


def test_two_equal_parts_have_the_gradient_of_the_whole():
    """Batch normalization sees the same statistics in each half as in the whole."""
    batch = tasks.batch(tasks.tiny("hyperstyle"))
    twice = {k: np.concatenate([v[:2], v[:2]]) for k, v in batch.items()}
    whole, metrics = one_step(twice)
    parts, metrics_of_parts = one_step(twice, accumulation_steps=2)
    assert metrics_of_parts == pytest.approx(metrics, rel=1e-3)
    for path, value in whole.items():
        if path.startswith("params/"):
            np.testing.assert_allclose(parts[path], value, atol=1e-4, err_msg=path)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_parts_average_gradients_and_hand_statistics_on(count):
    def step(stats, part):
        grads = {"w": jnp.sum(part, 0) / len(part)}
        return grads, stats + part.sum(), part.mean()

    batch = jnp.arange(8.0).reshape(4, 2)
    grads, stats, aux = common.accumulate_gradients(step, jnp.float32(1), batch, count)
    np.testing.assert_allclose(grads["w"], batch.mean(0))
    assert float(stats) == 1 + batch.sum() and aux.shape == (count,)
    assert float(aux.mean()) == pytest.approx(float(batch.mean()))


@pytest.mark.parametrize("scanned", [False, True])
def test_a_loop_is_a_scan(scanned):
    def body(carry, x):
        return carry + x["a"], carry * 2

    xs = {"a": jnp.arange(3.0)}
    carry, out = common.loop(body, jnp.float32(1), xs, 3, scanned)
    assert float(carry) == 4 and out.tolist() == [2, 2, 4]


def test_inversion_in_bfloat16_is_near_the_one_in_float32():
    nets = tiny_nets()
    names = ("encoder", "hypernet", "generator")
    x = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3), minval=-1)
    inverted = jax.jit(lambda nets, x: invert(*nets, x, num_iters=2))
    full, half = (
        inverted([nets[k] for k in names], x.astype(t)) for t in ("float32", "bfloat16")
    )
    assert half.images.dtype == jnp.float32
    assert {str(c.dtype) for c in half.embeddings.values.values()} == {"float32"}
    scale = float(jnp.square(full.images).mean())
    error = float(jnp.square(full.images - half.images).mean())
    assert 0 < error < 1e-3 * scale


def test_blocks_computed_twice_give_the_same_image_and_gradient():
    generator = tiny_nets()["generator"]
    w = jax.random.normal(jax.random.key(1), (2, generator.module.w_dim))

    def power(w, remat):
        image = generator(w, "const", method="synthesis", remat=remat)
        return jnp.square(image).sum()

    results = [
        jax.jit(jax.value_and_grad(lambda w, r=r: power(w, r)))(w) for r in (0, 1)
    ]
    for a, b in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_rematerialisation_with_given_noise_maps():
    generator = tiny_nets()["generator"]
    w = jax.random.normal(jax.random.key(1), (1, generator.module.w_dim))
    noise = {"b8/conv0": jnp.ones((1, 8, 8))}
    a, b = (generator(w, noise, method="synthesis", remat=r) for r in (False, True))
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_offsets_in_half_precision_still_count():
    """1 + Δ is formed in float32: small offsets do not vanish in rounding."""
    nets = tiny_nets()
    x = jax.random.uniform(jax.random.key(0), (1, 16, 16, 3), minval=-1)
    refinement = invert(
        nets["encoder"], nets["hypernet"], nets["generator"], x, num_iters=1
    )
    inversion = decode(nets["hypernet"], refinement.w_plus, refinement.embeddings)
    small = jax.tree.map(lambda o: 1e-3 * o, inversion.offsets)
    images = [
        synthesize(nets["generator"], inversion.replace(offsets=o), dtype=jnp.bfloat16)
        for o in (small, jax.tree.map(jnp.zeros_like, small))
    ]
    assert float(jnp.abs(images[0] - images[1]).max()) > 0
