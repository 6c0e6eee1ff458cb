"""Both solvers against a linear equation's matrix exponential."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from hyperstyle_jax.editing import ode

A = np.array([[-0.3, 1.2], [-0.9, 0.1]], np.float32)
START, TIME = np.array([1.0, -2.0], np.float32), 1.5


def velocity(time, state):
    """x' = A·x, and a clock."""
    return {"x": A @ state["x"], "clock": jnp.ones(()) + 2 * time}


def exact(time):
    x = scipy.linalg.expm(A.astype(float) * time) @ START
    return {"x": x, "clock": time + time**2}


def assert_close(state, expected, rtol):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol), state, expected)


def test_solvers_reach_the_end():
    start, end = {"x": START, "clock": jnp.zeros(())}, jnp.float32(TIME)
    assert_close(ode.solve(velocity, start, jnp.zeros(()), end), exact(TIME), 1e-4)
    assert_close(ode.solve_in_steps(velocity, start, end, 8), exact(TIME), 1e-4)


def test_time_runs_backwards():
    end = {k: jnp.asarray(v, jnp.float32) for k, v in exact(TIME).items()}
    back = ode.solve(velocity, end, jnp.float32(TIME), jnp.zeros(()))
    np.testing.assert_allclose(back["x"], START, rtol=1e-4)
    assert float(back["clock"]) == pytest.approx(0, abs=1e-4)
