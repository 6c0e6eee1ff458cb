"""Sharing a batch over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hyperstyle_jax.loop import parallel


def test_devices():
    assert len(parallel.devices(0, 8)) == len(jax.local_devices())
    assert len(parallel.devices(2, 8)) == 2
    with pytest.raises(ValueError, match="num_devices is 99"):
        parallel.devices(99, 99)
    with pytest.raises(ValueError, match="batch_size is 7, which 2 devices"):
        parallel.devices(2, 7)


def test_split_keeps_the_order():
    batch = {"x": np.arange(12).reshape(6, 2), "index": np.arange(6)}
    pieces = parallel.split(batch, 3)
    assert pieces["x"].shape == (3, 2, 2)
    np.testing.assert_array_equal(pieces["index"].ravel(), batch["index"])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_example_keys_do_not_depend_on_the_devices(count):
    def step(state, frozen, batch, key):
        keys = parallel.example_keys(key, len(batch["x"]))
        return jax.vmap(jax.random.normal)(keys)

    run = parallel.eval_step(step, jax.local_devices()[:count], seed=3)
    numbers = run((), (), parallel.split({"x": np.zeros(8)}, count), np.int32(5))
    alone = parallel.eval_step(step, jax.local_devices()[:1], seed=3)
    expected = alone((), (), parallel.split({"x": np.zeros(8)}, 1), np.int32(5))
    np.testing.assert_array_equal(np.ravel(numbers), np.ravel(expected))
    assert len(np.unique(numbers)) == 8


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_function_of_the_whole_batch_does_not_depend_on_the_devices(count):
    """Nor does its gradient, to which all devices contribute."""

    def step(state, frozen, batch, key):
        def total(x):
            result = parallel.on_whole_batch(lambda x: x * jnp.cumsum(x[::-1]), x)
            return result.sum(), result

        slope, result = jax.grad(total, has_aux=True)(batch["x"])
        return result, slope

    run = parallel.eval_step(step, jax.local_devices()[:count], seed=3)
    x = np.arange(8.0, dtype=np.float32)
    result, slope = run((), (), parallel.split({"x": x}, count), np.int32(5))
    np.testing.assert_allclose(np.ravel(result), x * np.cumsum(x[::-1]))
    meet = np.add.outer(np.arange(8), np.arange(8)) >= 7  # x[i]·x[j], from both sides
    np.testing.assert_allclose(np.ravel(slope), 2 * meet @ x)


def test_every_step_has_its_own_key_and_state_keeps_its_shape():
    def step(state, frozen, batch, key):
        draw = jax.random.normal(key)
        mean = jax.lax.pmean(batch["x"].mean(), parallel.AXIS)
        return state + frozen["a"] * mean, {"draw": draw, "mean": mean}

    devices = jax.local_devices()[:2]
    run = parallel.train_step(step, devices, seed=0)
    state, frozen = jnp.zeros(3), {"a": jnp.ones(3)}
    batch = parallel.split({"x": np.arange(4.0, dtype=np.float32)}, 2)
    draws = []
    for number in range(3):
        state, metrics = run(state, frozen, batch, np.int32(number))
        draws.append(float(metrics["draw"]))
    np.testing.assert_allclose(state, 3 * 1.5)
    assert len(set(draws)) == 3
