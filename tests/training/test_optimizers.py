"""Ranger against its papers in NumPy and the published implementation's numbers."""

import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from paths import GOLDENS

from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.training import from_config, optimizers


def optimize(tx, params, gradient, steps):
    """All parameters after each step; `gradient(t, params)` with t from 0."""

    @jax.jit
    def step(grads, state, params):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    params = jax.tree.map(jnp.asarray, params)
    state, seen = tx.init(params), []
    for t in range(steps):
        params, state = step(gradient(t, params), state, params)
        seen.append(jax.tree.map(np.asarray, params))
    return seen


def numpy_ranger(p, gradients, rates, alpha, every, b1=0.95, b2=0.999, eps=1e-5):
    """RAdam's algorithm 2, Lookahead's algorithm 1, float64, one array."""
    p = p.astype(np.float64)
    m, v, slow = np.zeros_like(p), np.zeros_like(p), p.copy()
    longest = 2 / (1 - b2) - 1
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        if g.ndim > 1:
            g = g - g.reshape(-1, g.shape[-1]).mean(0)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        unbiased = m / (1 - b1**t)
        length = longest - 2 * t * b2**t / (1 - b2**t)
        if length > 5:
            top = (length - 4) * (length - 2) * longest
            r = np.sqrt(top / ((longest - 4) * (longest - 2) * length))
            p = p - rate * r * unbiased * np.sqrt(1 - b2**t) / (np.sqrt(v) + eps)
        else:
            p = p - rate * unbiased
        if t % every == 0:
            slow = slow + alpha * (p - slow)
            p = slow.copy()
    return p


@pytest.mark.parametrize(("alpha", "every"), [(0.5, 6), (0.8, 5)])
def test_ranger_is_what_its_papers_say(alpha, every):
    rng = np.random.default_rng(0)
    shapes = {"kernel": (3, 3, 2, 4), "matrix": (5, 3), "bias": (4,), "scale": ()}
    start = {k: rng.normal(size=s).astype(np.float32) for k, s in shapes.items()}
    gradients = [
        {k: rng.normal(size=s).astype(np.float32) for k, s in shapes.items()}
        for _ in range(17)
    ]
    rates = [0.01 * (1 + t) for t in range(17)]
    tx = optimizers.ranger(lambda t: 0.01 * (1 + t), alpha=alpha, every=every)
    params = optimize(tx, start, lambda t, _: gradients[t], 17)[-1]
    for name, value in start.items():
        given = [g[name] for g in gradients]
        expected = numpy_ranger(value, given, rates, alpha, every)
        np.testing.assert_allclose(params[name], expected, atol=2e-5, err_msg=name)


@pytest.mark.skipif(not GOLDENS.exists(), reason="needs the published numbers")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("default_lr1e-2", {"lr": 1e-2}),
        ("k3_alpha0.8", {"lr": 1e-2, "every": 3, "alpha": 0.8}),
        ("coach_lr1e-4", {"lr": 1e-4}),
    ],
)
def test_ranger_is_the_published_one(name, options):
    """Their output axis comes first, ours last."""
    where = GOLDENS / "procedural_weights.py"
    spec = importlib.util.spec_from_file_location("procedural_weights", where)
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    shapes = json.loads((GOLDENS / "ranger_seed0.json").read_text())["shapes"]
    del shapes["prelu"]  # has no gradient at some steps: torch leaves it alone

    def normal(kind, parameter, scale):
        unit = weights.unit(0, f"ranger.{kind}.{parameter}", shapes[parameter])
        return scale * np.moveaxis(unit, 0, -1)

    def gradient(t, params):
        return {
            k: normal(f"grad.{t}", k, np.float32(0.5)) + np.float32(0.3) * p
            for k, p in params.items()
        }

    start = {k: normal("param", k, np.float32(1)) for k in shapes}
    history = optimize(optimizers.ranger(**options), start, gradient, 20)
    with np.load(GOLDENS / "ranger_seed0.npz") as golden:
        for key in shapes:
            steps = [np.moveaxis(p[key], -1, 0) for p in history]
            expected = golden[f"{name}.{key}"]
            np.testing.assert_allclose(steps, expected, atol=2e-6, err_msg=key)


@pytest.mark.parametrize("b2", [0.9, 0.99, 0.999, 0.9999])
def test_degrees_of_freedom_in_single_precision(b2):
    t = np.unique(np.geomspace(1, 1e6, 200).astype(int))
    powers = b2 ** t.astype(np.float64)
    expected = 2 / (1 - b2) - 1 - 2 * t * powers / (1 - powers)
    degrees = optimizers._degrees_of_freedom(jnp.asarray(t, jnp.float32), b2)
    np.testing.assert_allclose(degrees, expected, rtol=3e-6)


def test_ranger_needs_the_parameters():
    tx = optimizers.ranger(0.1)
    with pytest.raises(ValueError, match="ranger needs the parameters"):
        tx.update({"w": jnp.ones(2)}, tx.init({"w": jnp.ones(2)}))


def make(**fields):
    """The optimizer of a config with some fields of `config.optim` set."""
    config = cfg.base("hyperstyle")
    config.optim.update(fields)
    return from_config.optimizer(config)


def test_make_reads_the_config():
    start, gradients = {"w": np.ones(3, np.float32)}, {"w": np.arange(3.0)}
    for name, expected in (
        ("adam", optax.adam(0.1, 0.8, 0.9, 1e-4)),
        ("ranger", optimizers.ranger(0.1, 0.8, 0.9, 1e-4)),
    ):
        made = make(name=name, lr=0.1, b1=0.8, b2=0.9, eps=1e-4)
        params, wanted = (
            optimize(tx, start, lambda *_: gradients, 3)[-1]["w"]
            for tx in (made, expected)
        )
        np.testing.assert_allclose(params, wanted, rtol=1e-6)


@pytest.mark.parametrize("name", ["adam", "ranger"])
def test_frozen_parameters_stay(name):
    start = {"mapping": {"w": np.ones(3, "f4")}, "synthesis": {"w": np.ones(3, "f4")}}
    tx = make(name=name, lr=0.1, frozen="mapping/.*")
    ends = optimize(tx, start, lambda _, p: jax.tree.map(jnp.ones_like, p), 3)[-1]
    np.testing.assert_array_equal(ends["mapping"]["w"], start["mapping"]["w"])
    assert (ends["synthesis"]["w"] < 1).all()


def test_clipping_limits_the_gradient():
    tx = make(lr=1.0, name="ranger", clip=0.5)
    big = {"w": np.array([30.0, 40.0], np.float32)}
    (params,) = optimize(tx, {"w": np.zeros(2)}, lambda *_: big, 1)
    np.testing.assert_allclose(params["w"], [-0.3, -0.4], rtol=1e-5)


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0, {0: 2, 20: 2}),
        ("constant", 4, {0: 0, 1: 0.5, 4: 2, 20: 2}),
        ("cosine", 0, {0: 2, 4: 2 * np.cos(np.pi * 0.1) ** 2, 10: 1, 20: 0}),
        ("cosine", 4, {0: 0, 2: 1, 4: 2, 6: 2 * np.cos(np.pi / 16) ** 2, 20: 0}),
    ],
)
def test_schedules(schedule, warmup, expected):
    rate = optimizers._schedule(2.0, schedule, warmup, num_steps=20)
    for step, value in expected.items():
        lr = rate(step) if callable(rate) else rate
        np.testing.assert_allclose(lr, value, atol=1e-6)
