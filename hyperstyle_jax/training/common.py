"""Parts of a training step that several tasks share."""

import math
import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from hyperstyle_jax.loop import parallel
from hyperstyle_jax.models.generator import Generator


def images(batch: dict) -> jax.Array:
    """The images of a batch, uint8 [B, H, W, 3], as float32 in [-1, 1]."""
    return batch["image"].astype(jnp.float32) / 127.5 - 1.0


def draw_z(generator: Generator, keys: jax.Array) -> jax.Array:
    """Gaussian latents [B, Z], one for each of B keys."""
    return jax.vmap(lambda key: jax.random.normal(key, (generator.z_dim,)))(keys)


def draw_noise(generator: Generator, keys: jax.Array) -> dict[str, jax.Array]:
    """Noise maps [B, r, r] for every layer, one for each of B keys.

    Returns:
        {"b64/conv0": [B, 64, 64], …}, as `Generator.synthesis` takes them.
    """
    layers = [layer for layer in generator.layers() if layer.kernel == 3]

    def draw(key):
        maps = {}
        for layer, k in zip(layers, jax.random.split(key, len(layers)), strict=True):
            name = "/".join(layer.path.split("/")[1:3])
            maps[name] = jax.random.normal(k, 2 * (layer.resolution,))
        return maps

    return jax.vmap(draw)(keys)


def accumulate_gradients(step: Callable, stats, batch, num_parts: int):
    """The gradients of a batch, computed part by part to need less memory.

    Batch normalization sees one part at a time.

    Args:
        step: (stats, part) → (gradients, stats, aux).
        stats: the statistics of batch normalization, handed from part to part.
        batch: pytree of [B, …].
        num_parts: equal parts of the batch; a divisor of B.

    Returns:
        The mean of the parts' gradients, the last stats, aux stacked [num_parts, …].
    """
    if num_parts == 1:
        grads, stats, aux = step(stats, batch)
        return grads, stats, jax.tree.map(lambda a: jnp.asarray(a)[None], aux)

    def body(carry, part):
        stats, total = carry
        grads, stats, aux = step(stats, part)
        return (stats, jax.tree.map(jnp.add, total, grads)), aux

    parts = jax.tree.map(lambda a: a.reshape(num_parts, -1, *a.shape[1:]), batch)
    shapes = jax.eval_shape(step, stats, jax.tree.map(lambda a: a[0], parts))[0]
    total = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
    # A scan on every backend: unrolled, XLA would keep all parts in memory at once.
    (stats, total), aux = loop(body, (stats, total), parts, num_parts, scanned=True)
    return jax.tree.map(lambda g: g / num_parts, total), stats, aux


def loop(body: Callable, carry, xs, length: int, scanned: bool | None = None):
    """`lax.scan`, or its body repeated `length` times in the compiled program.

    XLA's convolution gradients are slow inside loops on a CPU: a step at 64² took
    0.75 s with the scan and 0.15 s without.

    Args:
        body, carry, xs, length: as `lax.scan` takes them.
        scanned: whether to scan; by default everywhere but on a CPU.

    Returns:
        The last carry, and the outputs stacked [length, …].
    """
    if scanned is None:
        scanned = jax.default_backend() != "cpu"
    if scanned:
        return jax.lax.scan(body, carry, xs, length)
    outs = []
    for i in range(length):
        carry, out = body(carry, jax.tree.map(operator.itemgetter(i), xs))
        outs.append(out)
    return carry, jax.tree.map(lambda *values: jnp.stack(values), *outs)


def average_gradients(grads) -> tuple[dict, jax.Array]:
    """The mean of the gradients over all devices, and its global norm."""
    if jax.lax.axis_size(parallel.AXIS) > 1:  # the mean of one is a copy
        grads = jax.lax.pmean(grads, parallel.AXIS)
    return grads, optax.tree.norm(grads)


def optimizer_step(tx: optax.GradientTransformation, grads, opt, params) -> tuple:
    """One optimizer step: the new parameters and the new optimizer state."""
    updates, opt = tx.update(grads, opt, params)
    return optax.apply_updates(params, updates), opt


def fresh_state(
    tx: optax.GradientTransformation, ema_decay: float, params: dict, stats: dict
) -> dict:
    """A task's state before the first step, as `apply_gradients` takes it."""
    state = {"params": params, "batch_stats": stats, "opt": tx.init(params)}
    return state | ({"ema": params} if ema_decay else {})


def apply_gradients(
    tx: optax.GradientTransformation, ema_decay: float, state: dict, grads, stats
) -> dict:
    """A task's state after one optimizer step.

    Args:
        tx: the optimizer.
        ema_decay: of the averaged parameters, where the state has them.
        state: {"params", "batch_stats", "opt"} and perhaps "ema".
        grads: in the structure of "params".
        stats: the new "batch_stats".
    """
    params, opt = optimizer_step(tx, grads, state["opt"], state["params"])
    new = {"params": params, "batch_stats": stats, "opt": opt}
    if "ema" in state:
        new["ema"] = ema(ema_decay, state["ema"], params)
    return new


def ema(decay: float, average, params):
    """The exponential moving average: average ← decay·average + (1 − decay)·params."""
    return jax.tree.map(lambda a, p: a + (1 - decay) * (p - a), average, params)


def ramped_decay(decay: float, rampup: float, step: jax.Array) -> jax.Array:
    """The decay of an average whose half-life is at most `rampup` · `step`.

    The networks of the first steps are soon forgotten.

    Args:
        decay: that the average has in the end, from 0 up to, not including, 1.
        rampup: as a share of the steps so far.
        step: the number of this step, from 1 on.
    """
    if not decay:
        return jnp.zeros(())
    half_life = math.log(0.5) / math.log(decay)
    return 0.5 ** (1 / jnp.minimum(half_life, rampup * step))
