"""Optimizers and schedules: Adam, and Ranger, with which HyperStyle was trained."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


def make(optim, num_steps: int, **of_ranger) -> optax.GradientTransformation:
    """From `config.optim`: schedule, clipping, optimizer."""
    lr = _schedule(optim, num_steps)
    if optim.name == "ranger":
        tx = ranger(lr, b1=optim.b1, b2=optim.b2, eps=optim.eps, **of_ranger)
    else:
        tx = optax.adam(lr, b1=optim.b1, b2=optim.b2, eps=optim.eps)
    if optim.clip:
        tx = optax.chain(optax.clip_by_global_norm(optim.clip), tx)
    return tx


def _schedule(optim, num_steps: int):
    if optim.schedule == "cosine":
        return optax.warmup_cosine_decay_schedule(
            0.0 if optim.warmup_steps else optim.lr,
            optim.lr,
            optim.warmup_steps,
            max(num_steps, optim.warmup_steps + 1),
        )
    if optim.warmup_steps:
        return optax.linear_schedule(0.0, optim.lr, optim.warmup_steps)
    return optim.lr


def all_but_outputs(path: str, ndim: int) -> tuple[int, ...]:
    """The inputs of HWIO kernels and of [in, out] matrices; nothing of vectors."""
    return tuple(range(ndim - 1))


class RangerState(NamedTuple):
    count: jax.Array
    mu: optax.Params
    nu: optax.Params
    slow: optax.Params


def ranger(
    lr: optax.ScalarOrSchedule,
    b1: float = 0.95,
    b2: float = 0.999,
    eps: float = 1e-5,
    alpha: float = 0.5,
    every: int = 6,
    threshold: float = 5.0,
    weight_decay: float = 0.0,
    centralized: Callable[[str, int], tuple[int, ...]] = all_but_outputs,
) -> optax.GradientTransformation:
    """RAdam (https://arxiv.org/abs/1908.03265), Lookahead (1907.08610) and gradient
    centralization (2004.01461) in one.

    Args:
        lr: step size. b1, b2, eps: of RAdam.
        alpha, every: slow weights move by `alpha` every so many steps.
        threshold: degrees of freedom from which the variance is trusted.
        weight_decay: times `lr`, how much of a parameter is lost in a step.
        centralized: from a parameter's path and number of axes to the axes over which
            its gradient gets mean 0; () for none.
    """

    def init(params):
        zeros = jax.tree.map(jnp.zeros_like, params)
        slow = jax.tree.map(jnp.copy, params)
        return RangerState(jnp.zeros((), jnp.int32), zeros, zeros, slow)

    def update(grads, state, params=None):
        if params is None:
            raise ValueError(
                "ranger needs the parameters: update(grads, state, params)"
            )
        count = state.count + 1
        t = count.astype(jnp.float32)
        rate = lr(state.count) if callable(lr) else lr
        grads = _centered(grads, centralized)
        mu = optax.tree.update_moment(grads, state.mu, b1, 1)
        nu = optax.tree.update_moment(grads, state.nu, b2, 2)
        trusted, rectified = _rectification(t, b2, threshold)
        scale = rate * rectified / _seen(t, b1)

        sync = count % every == 0

        def change(p, m, v, slow):
            direction = jnp.where(trusted, m / (jnp.sqrt(v) + eps), m)
            fast = p * (1 - rate * weight_decay) - scale * direction
            return jnp.where(sync, slow + alpha * (fast - slow), fast) - p

        updates = jax.tree.map(change, params, mu, nu, state.slow)
        # Worked out once: whatever reads the old slow weights too needs a copy of them.
        # One by one: a barrier for all would keep all of them in memory.
        updates = jax.tree.map(jax.lax.optimization_barrier, updates)
        slow = jax.tree.map(
            lambda s, p, u: jnp.where(sync, p + u, s), state.slow, params, updates
        )
        return updates, RangerState(count, mu, nu, slow)

    return optax.GradientTransformation(init, update)


def _centered(grads, centralized):
    def center(path, g):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        axes = centralized(name, g.ndim)
        return g - g.mean(axes, keepdims=True) if axes else g

    return jax.tree_util.tree_map_with_path(center, grads)


def _rectification(t, b2, threshold):
    """Whether the variance is trusted, and RAdam's factor for it (1 where not)."""
    n, n_max = _degrees_of_freedom(t, b2), 2 / (1 - b2) - 1
    trusted = n > threshold
    ratio = (n - 4) / (n_max - 4) * (n - 2) / n * n_max / (n_max - 2)
    return trusted, jnp.sqrt(jnp.where(trusted, _seen(t, b2) * ratio, 1.0))


def _seen(t, decay):
    """1 − decayᵗ, the weight of all that a moving average has seen."""
    return -jnp.expm1(-t * _rate(decay))


def _degrees_of_freedom(t, b2):
    """2/(1 − b2) − 1 − 2·t·b2ᵗ/(1 − b2ᵗ).

    A difference of two large numbers, of which float32 would keep four digits; so with
    λ = −ln b2 and g(x) = 1/x − 1/(eˣ − 1) it is written as 1 + 2·t·g(t·λ) − 2·g(λ).
    """
    rate = _rate(b2)
    return 1 + 2 * t * _difference(t * rate) - 2 * _difference(jnp.float32(rate))


def _rate(decay: float) -> float:
    return -math.log(decay) if decay else math.inf


def _difference(x):
    """1/x − 1/(eˣ − 1) for x > 0; near 0 by its series."""
    series = 1 / 2 - x / 12 + x**3 / 720 - x**5 / 30240 + x**7 / 1209600
    return jnp.where(x < 1, series, 1 / x - 1 / jnp.expm1(x))
