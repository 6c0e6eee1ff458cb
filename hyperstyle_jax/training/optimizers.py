"""Optimizers and schedules: Adam, and Ranger, with which HyperStyle was trained."""

import math
import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


def make(
    *,
    name: str,
    lr: float,
    schedule: str,
    warmup_steps: int,
    num_steps: int,
    b1: float,
    b2: float,
    eps: float,
    clip: float,
    frozen: str = "",
    late: str = "",
    **ranger_options,
) -> optax.GradientTransformation:
    """An optimizer with its schedule and clipping.

    Args:
        name: "adam" or "ranger".
        lr: the step size, after warming up.
        schedule: "constant", or "cosine" down to 0 at `num_steps`.
        warmup_steps: over which the step size grows from 0, linearly.
        b1, b2, eps: of Adam and RAdam.
        clip: the largest global norm of the gradients; 0 for no limit.
        frozen: regular expression for the whole paths of parameters that stay.
        late: regular expression for names of parts that `beginning_late` treats.
        ranger_options: other arguments of `ranger`; Adam has none of them.
    """
    step_size = _schedule(lr, schedule, warmup_steps, num_steps)
    if name == "ranger":
        tx = ranger(step_size, b1=b1, b2=b2, eps=eps, **ranger_options)
    else:
        tx = optax.adam(step_size, b1=b1, b2=b2, eps=eps)
    if late:
        tx = beginning_late(tx, late)
    if clip:
        tx = optax.chain(optax.clip_by_global_norm(clip), tx)
    if frozen:
        tx = optax.chain(tx, optax.masked(optax.set_to_zero(), _matching(frozen)))
    return tx


def _matching(pattern: str):
    """Parameters → whether the path of each matches a regular expression."""

    def matching(params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: bool(re.fullmatch(pattern, _name(path))), params
        )

    return matching


def _name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def beginning_late(
    tx: optax.GradientTransformation, pattern: str
) -> optax.GradientTransformation:
    """Lets parts of the parameters begin with their first gradient.

    A part whose gradient has always been zero stays as it is, and its optimizer begins
    to count steps with the first other one, as PyTorch's do for parameters without a
    gradient. Else the first steps would be several times too long: the moments start
    from zero, but their bias would count as gone.

    Args:
        tx: the optimizer; every such part has one of its own.
        pattern: regular expression for names of the parts, the first level of the
            parameters.
    """

    def split(tree):
        late = {k: {k: v} for k, v in tree.items() if re.fullmatch(pattern, k)}
        return {"": {k: v for k, v in tree.items() if k not in late}} | late

    def init(params):
        parts = split(params)
        begun = {name: jnp.zeros((), bool) for name in parts if name}
        return {k: tx.init(part) for k, part in parts.items()}, begun

    def update(grads, state, params=None):
        parts = zip(split(grads).items(), split(params).values(), strict=True)
        opts, begun = state
        updates, new_opts, new_begun = {}, {}, {}
        for (name, part), of_params in parts:
            change, opt = tx.update(part, opts[name], of_params)
            if name:
                moves = [jnp.any(g != 0) for g in jax.tree.leaves(part)]
                on = begun[name] | jnp.any(jnp.stack(moves))
                opt = jax.tree.map(partial(jnp.where, on), opt, opts[name])
                change = jax.tree.map(lambda u, on=on: jnp.where(on, u, 0.0), change)
                new_begun[name] = on
            updates |= change
            new_opts[name] = opt
        return {k: updates[k] for k in grads}, (new_opts, new_begun)

    return optax.GradientTransformation(init, update)


def _schedule(lr, schedule, warmup_steps, num_steps):
    if schedule == "cosine":
        return optax.warmup_cosine_decay_schedule(
            0.0 if warmup_steps else lr,
            lr,
            warmup_steps,
            max(num_steps, warmup_steps + 1),
        )
    if warmup_steps:
        return optax.linear_schedule(0.0, lr, warmup_steps)
    return lr


def all_but_outputs(path: str, ndim: int) -> tuple[int, ...]:
    """All axes but the last of a kernel [..., in, out]; none of a vector.

    Args:
        path: of the parameter; the answer does not depend on it.
        ndim: the number of its axes.
    """
    return tuple(range(ndim - 1))


class RangerState(NamedTuple):
    """The state of `ranger`: `mu` and `nu` are the moments of RAdam.

    `count` is the number of steps so far, `slow` Lookahead's slow weights.
    """

    count: jax.Array  # type: ignore[assignment]  # optax's name; hides tuple.count
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
        alpha: share by which slow weights move to the fast ones every `every` steps.
        threshold: degrees of freedom above which RAdam uses the variance.
        weight_decay: times `lr`, the share of a parameter that a step removes.
        centralized: (a parameter's path, its number of axes) → the axes over which its
            gradient is centred; () for none.
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
        grads = _centralize(grads, centralized)
        mu = optax.tree.update_moment(grads, state.mu, b1, 1)
        nu = optax.tree.update_moment(grads, state.nu, b2, 2)
        trusted, rectified = _rectification(t, b2, threshold)
        scale = rate * rectified / _bias_correction(t, b1)

        sync = count % every == 0

        def change(p, m, v, slow):
            direction = jnp.where(trusted, m / (jnp.sqrt(v) + eps), m)
            fast = p * (1 - rate * weight_decay) - scale * direction
            return jnp.where(sync, slow + alpha * (fast - slow), fast) - p

        updates = jax.tree.map(change, params, mu, nu, state.slow)
        # The barriers keep XLA from computing the updates again for the slow weights,
        # which would need a copy of the old ones. One barrier for each parameter: one
        # for all would keep all updates in memory.
        updates = jax.tree.map(jax.lax.optimization_barrier, updates)
        slow = jax.tree.map(
            lambda s, p, u: jnp.where(sync, p + u, s), state.slow, params, updates
        )
        return updates, RangerState(count, mu, nu, slow)

    return optax.GradientTransformation(init, update)


def _centralize(grads, centralized):
    def center(path, g):
        axes = centralized(_name(path), g.ndim)
        return g - g.mean(axes, keepdims=True) if axes else g

    return jax.tree_util.tree_map_with_path(center, grads)


def _rectification(t, b2, threshold):
    """Whether the variance is used, and RAdam's factor for it (1 where it is not)."""
    rho, rho_max = _degrees_of_freedom(t, b2), 2 / (1 - b2) - 1
    trusted = rho > threshold
    ratio = (rho - 4) / (rho_max - 4) * (rho - 2) / rho * rho_max / (rho_max - 2)
    return trusted, jnp.sqrt(jnp.where(trusted, _bias_correction(t, b2) * ratio, 1.0))


def _bias_correction(t, decay):
    """1 − decayᵗ, the sum of a moving average's weights after t steps."""
    return -jnp.expm1(-t * _decay_rate(decay))


def _degrees_of_freedom(t, b2):
    """ρ_t = 2/(1 − b2) − 1 − 2·t·b2ᵗ/(1 − b2ᵗ).

    As a difference of two large numbers float32 would keep four digits of it. With
    λ = −ln b2 and g(x) = 1/x − 1/(eˣ − 1) it equals 1 + 2·t·g(t·λ) − 2·g(λ).
    """
    rate = _decay_rate(b2)
    return 1 + 2 * t * _g(t * rate) - 2 * _g(jnp.float32(rate))


def _decay_rate(decay: float) -> float:
    return -math.log(decay) if decay else math.inf


def _g(x):
    """1/x − 1/(eˣ − 1) for x > 0; near 0 by its series."""
    series = 1 / 2 - x / 12 + x**3 / 720 - x**5 / 30240 + x**7 / 1209600
    return jnp.where(x < 1, series, 1 / x - 1 / jnp.expm1(x))
