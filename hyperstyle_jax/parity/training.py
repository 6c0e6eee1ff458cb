"""A step of training the hypernetwork, and its optimizer."""

import re
from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hyperstyle_jax import metrics
from hyperstyle_jax.convert import official
from hyperstyle_jax.losses import face_features
from hyperstyle_jax.models.hypernet import centralized_axes
from hyperstyle_jax.net import Net
from hyperstyle_jax.parity.case import Case, convert, nchw
from hyperstyle_jax.parity.check import Output
from hyperstyle_jax.parity.encoders import offsets_by_number
from hyperstyle_jax.training import criteria, iterations, optimizers


def ranger(case: Case) -> Iterator[Output]:
    """Ranger's updates of single parameters over some steps.

    One parameter has no gradient in some steps and must stay as it is in them. The
    output axis is the first in PyTorch and the last here.
    """
    for name, options in case.meta["configs"].items():
        tx = optimizers.ranger(**_options(dict(options)))
        step = jax.jit(lambda g, state, p, tx=tx: tx.update(g, state, p))
        values = {
            f"{name}.{k}": _optimized(case, k, tx, step) for k in case.meta["shapes"]
        }
        yield from case.outputs(values, "parameter")


def _options(options):
    if "k" in options:
        options["every"] = options.pop("k")
    options.pop("use_gc", None)  # the release reads it and centralizes anyway
    if options.pop("gc_conv_only", False):
        inputs = optimizers.all_but_outputs
        options["centralized"] = lambda path, ndim: inputs(path, ndim) * (ndim > 3)
    return options


def _optimized(case: Case, name: str, tx, step) -> np.ndarray:
    shape = case.meta["shapes"][name]
    p = jnp.asarray(np.moveaxis(case.unit(f"ranger.param.{name}", shape), 0, -1))
    state, steps = tx.init(p), []
    for t in range(case.meta["steps"]):
        if name != "prelu" or t % 3 != 2:
            g = case.normal(f"ranger.grad.{t}.{name}", shape, 0, 0.5)
            g = jnp.asarray(np.moveaxis(g, 0, -1)) + jnp.float32(0.3) * p
            updates, state = step(g, state, p)
            p = optax.apply_updates(p, updates)
        steps.append(np.moveaxis(np.asarray(p), -1, 0))
    return np.stack(steps)


def train_step(case: Case) -> Iterator[Output]:
    """A training step: losses, gradients, BatchNorm's statistics, Ranger's update."""
    nets, x = case.hypernet(), case.image("x")
    hypernet, generator = nets["hypernet"], nets["generator"]
    spec = next(s for s in case.specs if s.startswith("generator"))
    lpips = next(s for s in case.specs if s.startswith("lpips"))
    frozen = {
        "generator": generator,
        "encoder": case.encoder("w_encoder.spec.json", spec),
        "lpips": convert(case.tensors(lpips))["lpips"],
        "arcface": convert(case.tensors("ir_se50.spec.json"))["arcface"],
    }
    (w_plus, image), target = _start(frozen, x)
    yield from case.outputs({"w_inversion": nchw(image)}, "image")
    count = case.meta["config"]["n_iters_per_batch"]
    zero = iterations.no_offsets(hypernet.module, len(x))
    state = iterations.State(w_plus, zero, image)
    stats = hypernet.variables["batch_stats"]
    iterate = jax.jit(partial(_iterate, _weights(case.meta["config"])))
    total = None
    for i in range(count):
        net = hypernet.replace(
            variables={"params": hypernet.params, "batch_stats": stats}
        )
        (_, (stats, state, losses, _)), grads = iterate(net, frozen, target, state)
        total = grads if total is None else jax.tree.map(jnp.add, total, grads)
        yield from case.outputs(_losses(losses, f"iter{i}"), "loss")
        similar = _similarities(frozen["arcface"], state.image, x)
        yield from case.outputs({f"iter{i}.{k}": v for k, v in similar.items()}, "loss")
        values = {f"iter{i}.y_hat": nchw(state.image)}
        yield from case.outputs(values, "train image")
        numbered = offsets_by_number(hypernet, state.offsets, f"iter{i}.delta")
        yield from case.outputs(numbered, "offset")
        yield from _gradients(case, hypernet, generator, total, f"after_iter{i}")
    yield from _gradients(case, hypernet, generator, total, None)
    trained = hypernet.replace(
        variables={"params": hypernet.params, "batch_stats": stats}
    )
    buffers = {f"buffer.hypernet.{k}": v for k, v in official.tensors(trained).items()}
    yield from case.outputs(buffers, "statistic")
    updates = _first_update(total[0], hypernet.params)
    named = official.tensors(_with_params(hypernet, updates))
    values = {f"update.hypernet.{k}": v for k, v in named.items()}
    yield from case.outputs(values, "parameter")


@jax.jit
def _start(frozen, x):
    inverted = iterations.initial_inversion(frozen, {"image": x})
    return inverted, criteria.extract_features(frozen, x)


def _weights(given) -> dict[str, float]:
    """The fixture's weights of the losses."""
    return {name: float(given[f"{name}_lambda"]) for name in ("l2", "lpips", "id")}


def _iterate(weights, hypernet: Net, frozen, target, state):
    """One iteration's loss, and its gradients by hypernetwork and generator."""
    stats = hypernet.variables["batch_stats"]

    def loss(params, of_generator):
        generator = frozen["generator"].with_params(of_generator)
        nets = frozen | {"generator": generator}
        return iterations.iteration_loss(
            weights, hypernet.module, nets, target, params, stats, state
        )

    gradient = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
    return gradient(hypernet.params, frozen["generator"].params)


def _losses(losses, prefix: str):
    names = {"l2": "loss_l2", "lpips": "loss_lpips", "id": "loss_id", "loss": "loss"}
    return {f"{prefix}.{official}": losses[ours] for ours, official in names.items()}


@jax.jit
def _similarities(net, y, x):
    """The similarities that the official coach logs; its input is the target too."""
    ours, target = (face_features(net, image) for image in (y, x))
    pairs = {"target": (ours, target), "input": (ours, target)}
    pairs["views"] = (target, target)
    logs = {f"id_logs.diff_{k}": metrics.similarity(*v) for k, v in pairs.items()}
    gain = (logs["id_logs.diff_target"] - logs["id_logs.diff_views"]).mean()
    return logs | {"id_improve": gain}


@jax.jit
def _first_update(grads, params):
    tx = optimizers.ranger(1e-4, centralized=centralized_axes)
    return tx.update(grads, tx.init(params), params)[0]


def _gradients(case, hypernet, generator, total, moment) -> Iterator[Output]:
    """The norm of the gradients so far in each part of the networks.

    Args:
        moment: after which iteration; None for the end, when the gradients themselves
            are compared too.
    """
    named = {}
    for part, net, grads in zip(
        ("hypernet", "decoder"), (hypernet, generator), total, strict=True
    ):
        tensors = official.tensors(_with_params(net, grads))
        ours = {k: v for k, v in tensors.items() if not _is_buffer(k)}
        named |= {f"{part}.{k}": v for k, v in ours.items()}
    if moment:
        norms = _norms(named)
        values = {f"grad_norm.{moment}.{k}": np.sqrt(v) for k, v in norms.items()}
        yield from case.outputs(values, "norm")
        return
    for part in ("hypernet", "decoder"):
        total = sum(v for k, v in _norms(named).items() if k.startswith(part))
        yield from case.outputs({f"grad_norm.total_{part}.": np.sqrt(total)}, "norm")
    for name, value in named.items():
        yield from case.outputs({f"grad.{name}": value}, _kind(name))


def _kind(name: str) -> str:
    if re.search(r"\.convs\.0\.weight|\.noise\.weight", name):
        return "first gradient"
    trunk = r"hypernet\.(conv1|bn1|relu|body)\."
    return "trunk gradient" if re.match(trunk, name) else "head gradient"


def _is_buffer(name: str) -> bool:
    return bool(re.search(r"running_|num_batches|kernel$|^noises\.|latent_avg", name))


def _norms(named) -> dict[str, float]:
    """The squared norm of each part; a shared tensor counts once."""
    parts: dict[str, float] = {}
    pattern = (
        r"(hypernet\.(?:body|refinement_blocks)\.\d+|"
        r"hypernet\.shared_weight_hypernet\.\w+|\w+\.\w+)\."
    )
    for name, value in named.items():
        if re.match(r"hypernet\.refinement_blocks\.\d+\.hypernet\.", name):
            continue  # an alias of the shared head
        part = re.match(pattern, f"{name}.")[1]
        square = np.square(np.asarray(value, np.float64)).sum()
        parts[part] = parts.get(part, 0.0) + square
    return parts


def _with_params(net: Net, params) -> Net:
    return net.replace(variables={**net.variables, "params": params})
