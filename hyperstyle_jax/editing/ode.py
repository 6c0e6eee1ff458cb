"""Solves ordinary differential equations; the door of JAX's solver.

Against StyleFlow's golden results in double precision, dopri5 of `jax.experimental.ode`
at 1e-5 errs by 2e-5 (forth and back), that of diffrax by 2e-6, and the release by 3e-4.
diffrax would bring five more packages along.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.ode import odeint

_TOLERANCE = 1e-5
State = Any  # a pytree of arrays


def solve(
    velocity: Callable[[jax.Array, State], State],
    start: State,
    begin: jax.Array,
    end: jax.Array,
) -> State:
    """The state at the end, by Dormand and Prince's method (dopri5) at 1e-5.

    Args:
        velocity: (time, state) → its derivative.
        start: the state at the time `begin`.
        begin, end: times, in either order.

    Returns:
        The state at `end`; its steps are as small as it takes for all of the state.
        States under `jax.vmap` take steps of their own.
    """
    length = end - begin
    sign = jnp.where(length < 0, -1.0, 1.0)

    def unit_velocity(state, progress):
        """The solver's own time runs upwards."""
        rates = velocity(begin + sign * progress, state)
        return jax.tree.map(lambda rate: sign * rate, rates)

    times = jnp.stack([jnp.zeros_like(length), jnp.abs(length)])
    states = odeint(unit_velocity, start, times, rtol=_TOLERANCE, atol=_TOLERANCE)
    return jax.tree.map(lambda path: path[-1], states)


def solve_in_steps(
    velocity: Callable[[jax.Array, State], State],
    start: State,
    end: jax.Array,
    steps: int,
) -> State:
    """The state at the end, by the classical Runge-Kutta method in equal steps.

    For training: its gradient is exact, and three times as fast as that of `solve`.

    Args:
        velocity: (time, state) → its derivative.
        start: the state at time 0.
        end: the last time.
        steps: their number.
    """
    h = end / steps
    stages = jnp.array([0.0, 0.5, 0.5, 1.0]), jnp.array([1.0, 2.0, 2.0, 1.0]) / 6

    def moved(state, rate, by):
        return jax.tree.map(lambda x, dx: x + by * dx, state, rate)

    @jax.checkpoint
    def step(state, index):
        def stage(carry, shares):  # a loop: velocity is compiled once, and not 4 times
            rate, total = carry
            place, weight = shares
            here = moved(state, rate, h * place)
            rate = velocity(h * (index + place), here)
            return (rate, moved(total, rate, h * weight)), None

        nothing = jax.tree.map(jnp.zeros_like, state)
        return jax.lax.scan(stage, (nothing, state), stages)[0][1], None

    return jax.lax.scan(step, start, jnp.arange(steps, dtype=jnp.float32))[0]
