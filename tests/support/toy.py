"""A task without networks: linear regression with Adam, EMA and per-example noise."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hyperstyle_jax.loop import parallel
from hyperstyle_jax.loop.fit import Task

WEIGHTS = np.array([1.0, -2.0, 3.0], np.float32)


def make_task(lr: float = 0.1, noise: float = 0.01) -> Task:
    optimizer = optax.adam(lr)

    def init(key):
        params = {"w": 0.1 * jax.random.normal(key, (3,))}
        return {"params": params, "opt": optimizer.init(params), "ema": params}

    def loss(params, frozen, batch, key):
        keys = parallel.example_keys(key, len(batch["x"]))
        jitter = noise * jax.vmap(lambda k: jax.random.normal(k, (3,)))(keys)
        return jnp.mean(((batch["x"] + jitter) @ params["w"] - batch["y"]) ** 2)

    def train_step(state, frozen, batch, key):
        value, grads = jax.value_and_grad(loss)(state["params"], frozen, batch, key)
        grads = jax.lax.pmean(grads, parallel.AXIS)

        def update(state):
            updates, opt = optimizer.update(grads, state["opt"])
            params = optax.apply_updates(state["params"], updates)
            ema = optax.incremental_update(params, state["ema"], 0.1)
            return {"params": params, "opt": opt, "ema": ema}

        return update, {"loss": value, "grad_norm": optax.tree.norm(grads)}

    def eval_step(state, frozen, batch, key):
        error = batch["x"] @ state["ema"]["w"] - batch["y"]
        image = jnp.broadcast_to(error[:, None, None, None], (len(error), 4, 4, 3))
        images = {"target": jnp.zeros_like(image), "error": jnp.tanh(image)}
        return {"per_image": {"l2": error**2, "one": error**0}, "images": images}

    return Task(init, train_step, eval_step, (), columns=("target", "error"))


class Data:
    """Endless batches with a position; batch `bad` holds a NaN."""

    def __init__(self, batch_size: int = 8, bad: int = -1):
        self.next_index, self.batch_size, self.bad = 0, batch_size, bad

    def __next__(self):
        batch = examples(self.next_index * self.batch_size, self.batch_size)
        if self.next_index == self.bad:
            batch["y"][0] = np.nan
        self.next_index += 1
        return batch

    def get_state(self):
        return {"next_index": self.next_index}

    def set_state(self, state):
        self.next_index = state["next_index"]


def eval_data(count: int = 19, batch_size: int = 8):
    for lo in range(0, count, batch_size):
        yield examples(10_000 + lo, min(batch_size, count - lo))


def examples(first: int, count: int) -> dict[str, np.ndarray]:
    index = np.arange(first, first + count, dtype=np.int32)
    x = np.stack([np.random.default_rng(i).normal(size=3) for i in index])
    x = x.astype(np.float32)
    return {"index": index, "x": x, "y": x @ WEIGHTS}
