"""Checks of pivotal tuning: every run of PTI's coaches."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.convert import official
from hyperstyle_jax.inversion import closeness, pivotal
from hyperstyle_jax.inversion.closeness import Targets
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, synthesize
from hyperstyle_jax.parity.case import Case, convert, nchw, nhwc
from hyperstyle_jax.parity.check import Output
from hyperstyle_jax.parity.projections import lpips


class _Run(NamedTuple):
    """A run of the fixture: its steps, of one image or together, the samples."""

    steps: int
    together: bool = False
    samples: int = 0


_RUNS = {
    "single": _Run(10),
    "locality": _Run(10, samples=1),
    "multi": _Run(6, together=True),
    "multi_locality": _Run(3, together=True, samples=2),
    "early": _Run(60),
}


def pivotal_tuning(case: Case) -> Iterator[Output]:
    """Losses, images and changes of parameters of every run."""
    generator = convert({"G_ema": case.tensors(case.specs[0])})["generator"]
    pivot, net = jnp.asarray(case.arrays["pivot"]), lpips(case)
    start = {"image.start": nchw(_render(generator, Inversion(pivot)))}
    yield from case.outputs(start, "image")
    for name, run in _RUNS.items():
        count = 2 if run.together else 1
        x = case.image("x")[:count]
        if name == "early":
            x = nhwc(case.arrays["early.target"])
        targets = closeness.targets(net, x)
        yield from _run(case, generator, pivot[:count], targets, name, run)
    targets = closeness.targets(net, case.image("x")[:1])
    gradient = _gradient(generator, pivot[:1], targets)
    zeros = generator.with_params(jax.tree.map(jnp.zeros_like, generator.params))
    names = _official(pivotal.with_parameters(zeros, gradient))
    values = {f"single.grad.first.{k}": v for k, v in names.items()}
    yield from case.outputs(values, "first step")


def _run(case, generator, pivot, targets, name, run) -> Iterator[Output]:
    loss, z = pivotal.DEFAULT, None
    if run.samples:
        loss = loss._replace(locality=pivotal.Locality(samples=run.samples))
        z = _samples(case, generator, run, len(pivot))
        ends = {"first": z[0], "last": z[-1]}
        w = {
            f"{name}.w_reg.{k}": pivotal.near_pivot(generator, pivot, v, loss.locality)
            for k, v in ends.items()
        }
        yield from case.outputs(w, "step")
    tune = pivotal.tune_together if run.together else pivotal.tune
    tuned = tune(generator, pivot, targets, steps=run.steps, loss=loss, draws=z)
    parts = {"loss": "loss", "loss_l2": "l2", "loss_lpips": "lpips"}
    values: dict[str, Any]
    values = {f"{name}.{k}": tuned.losses[v].reshape(-1) for k, v in parts.items()}
    yield from case.outputs(values, "step")
    local = {f"{name}.loss_reg": tuned.losses["locality"].reshape(-1)}
    yield from case.outputs(local, "loss")
    yield from case.outputs({f"{name}.steps": tuned.steps[0]}, "exact")
    values = {
        f"{name}.image.{key}": nchw(_render(generator, tuned.inversion, noise))
        for key, noise in (("after", "const"), ("after_nonoise", "none"))
    }
    yield from case.outputs(values, "tuned image")
    yield from _changes(case, generator, tuned.inversion, name)


def _changes(case, generator, inversion, name) -> Iterator[Output]:
    own = {path: value[0] for path, value in inversion.replaced.items()}
    before = _official(generator)
    after = _official(pivotal.with_parameters(generator, own))
    changes = {k: np.asarray(after[k]) - np.asarray(before[k]) for k in sorted(before)}
    norms = np.array([np.linalg.norm(v.reshape(-1)) for v in changes.values()])
    yield from case.outputs({f"{name}.change_norms": norms}, "change")
    for key, value in changes.items():
        kind = "kernel's change" if value.ndim == 4 else "change"
        yield from case.outputs({f"{name}.change.{key}": value}, kind)


def _samples(case, generator, run, count):
    """The fixture's z of every update, [steps·B, N, Z]."""
    shape = (run.samples, generator.module.z_dim)
    keys = [f"pti.z_reg.{k}" for k in range(run.steps * count)]
    return jnp.asarray(np.stack([case.unit(key, shape) for key in keys]))


def _official(generator: Net) -> dict[str, Any]:
    return official.generator_contents(generator, "nvidia")["G_ema"]


@jax.jit
def _gradient(generator: Net, pivot: jax.Array, targets: Targets):
    """Of the sum of both losses, by the parameters that are tuned."""

    def loss(weights):
        tuned = pivotal.with_parameters(generator, weights)
        y = tuned(pivot, method="synthesis")
        return sum(value[0] for value in closeness.distances(targets, y))

    return jax.grad(loss)(trees.select(generator.params, pivotal.TUNED))


def _render(generator, inversion, noise="const"):
    return synthesize(generator, inversion, noise=noise)
