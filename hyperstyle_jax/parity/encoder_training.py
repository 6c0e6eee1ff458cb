"""Training of encoders to W+: losses, gradients, a step, the latent discriminator."""

import re
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hyperstyle_jax import metrics
from hyperstyle_jax.convert import official
from hyperstyle_jax.losses import face_features, moco_features
from hyperstyle_jax.net import Net
from hyperstyle_jax.parity.case import Case, convert, nchw
from hyperstyle_jax.parity.check import Output
from hyperstyle_jax.training import (
    gan_losses,
    latent_discriminator,
    latent_losses,
    optimizers,
    style_iterations,
)
from hyperstyle_jax.training.style_iterations import State

# The official names of our losses.
_NAMES = {
    "l2": "loss_l2",
    "lpips": "loss_lpips",
    "id": "loss_id",
    "moco": "loss_moco",
    "l2_crop": "loss_l2_crop",
    "lpips_crop": "loss_lpips_crop",
    "w_norm": "loss_w_norm",
    "delta": "total_delta_loss",
    "w_adversarial": "encoder_discriminator_loss",
    "loss": "loss",
}
_LAMBDAS = {
    "l2": "l2_lambda",
    "lpips": "lpips_lambda",
    "id": "id_lambda",
    "moco": "moco_lambda",
    "l2_crop": "l2_lambda_crop",
    "lpips_crop": "lpips_lambda_crop",
    "w_norm": "w_norm_lambda",
    "delta": "delta_norm_lambda",
    "w_adversarial": "w_discriminator_lambda",
}


class _Setting(NamedTuple):
    """Encoder and frozen networks of a fixture, its images, where encoding starts."""

    encoder: Net
    frozen: dict[str, Net]
    x: jax.Array
    first: State


def _setting(case: Case) -> _Setting:
    spec = next(s for s in case.specs if "encoder" in s)
    options = {"encoder_type": case.meta["config"]["encoder_type"]}
    encoder, generator = case.inversion_networks(spec, case.specs[0], options)
    frozen = {
        "generator": generator,
        "lpips": convert(case.tensors("lpips_alex.spec.json"))["lpips"],
        "arcface": convert(case.tensors("ir_se50.spec.json"))["arcface"],
    }
    first = State(style_iterations.mean_latent(generator), None)
    return _Setting(encoder, frozen, case.image("x"), first)


def _weights(config) -> dict[str, float]:
    return {k: float(config.get(name, 0.0)) for k, name in _LAMBDAS.items()}


@jax.jit
def _encode(encoder: Net, x, first, stage):
    """Latents in training, the statistics after it."""
    params, stats = encoder.params, encoder.variables["batch_stats"]
    return style_iterations.encode(
        encoder.module, params, stats, x, first, stage, jnp.float32
    )


@jax.jit
def _encoder_gradients(encoder: Net, x, first, stage, of_latents):
    """Gradients of the parameters, for each of some gradients of the latents."""

    def latents(params):
        stats = encoder.variables["batch_stats"]
        return style_iterations.encode(
            encoder.module, params, stats, x, first, stage, jnp.float32
        )[0]

    pull_back = jax.vjp(latents, encoder.params)[1]
    return jax.lax.map(lambda g: pull_back(g)[0], of_latents)


def _render_by_term(weights, frozen, x, latents, stage, discriminator):
    """The image, each loss, and the gradient of λ·loss by the latents."""
    target = style_iterations.targets(weights, frozen, x)

    def terms(latents):
        _, (y, losses) = style_iterations.rendered(
            weights, frozen, target, latents, stage, discriminator
        )
        weighted = [weights[k] * losses[k] for k in losses if k != "loss"]
        return jnp.stack(weighted), (y, losses)

    weighted, pull_back, (y, losses) = jax.vjp(terms, latents, has_aux=True)
    each = jax.lax.map(lambda e: pull_back(e)[0], jnp.eye(len(weighted)))
    names = [k for k in losses if k != "loss"]
    return y, losses, dict(zip(names, each, strict=True))


def e4e_losses(case: Case) -> Iterator[Output]:
    """e4e's losses at one stage, their gradients by latents and by the encoder."""
    encoder, frozen, x, first = _setting(case)
    weights = _weights(case.meta["config"])
    stage = case.meta["config"]["progressive_stage"]
    latents, stats = _encode(encoder, x, first, stage)
    params = _discriminator(case)
    render = jax.jit(partial(_render_by_term, weights))
    y, losses, grads = render(frozen, x, latents, stage, params)
    yield from _compared(case, y, latents, losses)
    deltas = latent_losses.row_distances(latents, stage)
    values = {f"delta{i + 1}_loss": v for i, v in enumerate(deltas[:stage])}
    similar = _similarities(partial(face_features, frozen["arcface"]), y, x, x)
    yield from case.outputs(values | similar, "scaled loss")
    for name, title in (("w_adversarial", "adversarial"), ("delta", "delta"),
                        ("l2", "l2"), ("lpips", "lpips"), ("id", "id")):  # fmt: skip
        kind = "id gradient" if name == "id" else "latent gradient"
        yield from case.outputs({f"grad.{title}.latents": grads[name]}, kind)
    total = sum(grads.values())
    yield from case.outputs({"grad.latents": total}, "latent gradient")
    by_params = _encoder_gradients(encoder, x, first, stage, total[None])
    yield from _gradients(case, encoder, jax.tree.map(lambda g: g[0], by_params))
    yield from _statistics(case, encoder, stats, "buffer")


def psp_losses(case: Case) -> Iterator[Output]:
    """pSp's losses in three recipes, with their gradients."""
    encoder, frozen, x, first = _setting(case)
    moco = {"moco_raw": _moco(case), **frozen}
    latents, stats = _encode(encoder, x, first, encoder.module.num_ws)
    variants, totals = case.meta["config"]["variants"], {}
    for name, config in variants.items():
        weights, nets = _weights(config), frozen
        features = partial(face_features, frozen["arcface"])
        if weights["moco"]:
            nets = {k: v for k, v in moco.items() if k != "arcface"}
            features = partial(moco_features, moco["moco_raw"], normalize=False)
        target = case.image(case.meta["config"]["target"][name])
        render = jax.jit(partial(_render, weights))
        (y, losses), totals[name] = render(nets, target, latents)
        yield from _compared(case, y, latents, losses, f"{name}.")
        similar = _similarities(features, y, target, x)
        values = {f"{name}.{k}": v for k, v in similar.items()}
        yield from case.outputs(values, "scaled loss")
        grad = {f"grad.{name}.latents": totals[name]}
        yield from case.outputs(grad, "latent gradient")
    stacked = jnp.stack([*totals.values()])
    stage = encoder.module.num_ws
    by_params = _encoder_gradients(encoder, x, first, stage, stacked)
    for i, name in enumerate(variants):
        grads = jax.tree.map(lambda g, i=i: g[i], by_params)
        yield from _gradients(case, encoder, grads, f"{name}.")
    yield from _statistics(case, encoder, stats, "buffer")


def _render(weights, frozen, target, latents):
    """Image, losses, and the gradient of their sum by the latents."""
    targets = style_iterations.targets(weights, frozen, target)

    def loss(latents):
        rows = latents.shape[1]
        return style_iterations.rendered(weights, frozen, targets, latents, rows, None)

    (_, aux), grads = jax.value_and_grad(loss, has_aux=True)(latents)
    return aux, grads


def _moco(case: Case) -> Net:
    return convert({"state_dict": case.tensors("moco_v2.spec.json")})["moco"]


def e4e_step(case: Case) -> Iterator[Output]:
    """One step of e4e: the discriminator's, then the encoder's against the new one."""
    encoder, frozen, x, first = _setting(case)
    config = case.meta["config"]
    weights, stage = _weights(config), config["progressive_stage"]
    latents, stats = _encode(encoder, x, first, stage)
    yield from _statistics(case, encoder, stats, "buffer_mid")
    z = jnp.asarray(case.unit("input.z", (len(x), 512)))
    real = jax.jit(lambda g, z: g(z, method="mapping"))(frozen["generator"], z)
    values = {"real_w": real, "fake_w": latents[:, 0]}
    yield from case.outputs(values, "image")
    params = _discriminator(case)
    trained, outputs = _discriminator_step(params, real, latents[:, 0], config)
    named = {f"d.{k.removeprefix('step.')}": v for k, v in outputs.items()}
    yield from case.outputs(named, "scaled loss")
    change = _linears(jax.tree.map(jnp.subtract, trained.params, params))
    named = {f"update.discriminator.{k}": v for k, v in change.items()}
    yield from case.outputs(named, "update")

    @jax.jit
    def run(encoder, stats, frozen, x, first, discriminator):
        target = style_iterations.targets(weights, frozen, x)
        return style_iterations.run(
            lambda params, stats, state: style_iterations.encode(
                encoder.module, params, stats, x, state, stage, jnp.float32
            ),
            lambda w: style_iterations.rendered(
                weights, frozen, target, w, stage, discriminator
            ),
            encoder.params,
            stats,
            first,
            1,
        )

    result = run(encoder, stats, frozen, x, first, trained.params)
    losses = {k: v[0] for k, v in result.losses.items()}
    yield from _compared(case, None, latents, losses)
    yield from _gradients(case, encoder, result.grads)
    yield from _statistics(case, encoder, result.stats, "buffer")
    tx = optimizers.ranger(1e-4)
    first_update = jax.jit(lambda g, p: tx.update(g, tx.init(p), p)[0])
    updates = first_update(result.grads, encoder.params)
    named = official.tensors(encoder.with_params(updates))
    values = {f"update.encoder.{k}": v for k, v in named.items()}
    yield from case.outputs(values, "rounded update")


def discriminator(case: Case) -> Iterator[Output]:
    """e4e's discriminator of latents: its answers, losses, gradients, and a step."""
    params, config = _discriminator(case), case.meta["config"]
    real = jnp.asarray(case.unit("input.w_real", (4, 512)))
    fake = jnp.asarray(case.normal("input.w_fake", (4, 512), 0, 1.3))
    logits = latent_discriminator.logits
    values = {"real_pred": logits(params, real), "fake_pred": logits(params, fake)}
    yield from case.outputs(values, "image")

    def loss(params):
        return gan_losses.discriminator_loss(logits(params, real), logits(params, fake))

    def penalty(params):
        return gan_losses.r1_penalty(partial(logits, params), real)

    factor = config["r1"] / 2 * config["d_reg_every"]
    found, grads = jax.value_and_grad(penalty)(params)
    losses = {"r1_penalty": found, "r1_final": factor * found}
    grads = {
        "d": jax.grad(loss)(params),
        "r1": jax.tree.map(lambda g: factor * g, grads),
    }
    for name, tree in grads.items():
        named = {f"grad_{name}.{k}": v for k, v in _linears(tree).items()}
        yield from case.outputs(named, "relative")
    trained, outputs = _discriminator_step(params, real, fake, config)
    losses |= {k.removeprefix("step."): v for k, v in outputs.items()}
    yield from case.outputs(losses | outputs, "scaled loss")
    change = _linears(jax.tree.map(jnp.subtract, trained.params, params))
    named = {f"step.update.{k}": v for k, v in change.items()}
    yield from case.outputs(named, "update")
    after = {
        "step.real_pred": logits(trained.params, real),
        "step.fake_pred": logits(trained.params, fake),
    }
    yield from case.outputs(after, "stepped")
    yield from _latent_losses(case, params, _weights(config))


def _latent_losses(case: Case, params, weights) -> Iterator[Output]:
    """The adversarial and the delta loss of given latents, with their gradients."""
    latents = jnp.asarray(case.normal("input.latents", (2, 14, 512), 0, 1.2))
    w_avg = jnp.zeros(512)
    for title, stage in (("all", 13), ("stage9", 9)):

        def terms(w, stage=stage):
            return latent_losses.w_plus_losses(weights, w, w_avg, stage, params)

        losses = terms(latents)
        values = {
            f"encoder_loss.{title}": losses["w_adversarial"],
            f"weighted_encoder_loss.{title}": weights["w_adversarial"]
            * losses["w_adversarial"],
            f"total_delta_loss.{title}": losses["delta"],
            f"delta_losses.{title}": latent_losses.row_distances(latents, stage)[
                :stage
            ],
        }
        yield from case.outputs(values, "scaled loss")
        for ours, name in (("w_adversarial", "encoder_loss"), ("delta", "delta_loss")):
            grad = jax.grad(lambda w, k=ours, f=terms: weights[k] * f(w)[k])(latents)
            key = f"grad.{name}.{title}.latents"
            yield from case.outputs({key: grad}, "relative")


def _discriminator_step(params, real, fake, config):
    """The official step, and its losses by the fixtures' names."""
    tx = optax.adam(config["w_discriminator_lr"])
    trained = latent_discriminator.step(
        tx, params, tx.init(params), real, fake, config["r1"]
    )
    logits = latent_discriminator.logits
    factor = config["r1"] / 2 * config["d_reg_every"]
    values = {
        "step.d_real_loss": jax.nn.softplus(-logits(params, real)).mean(),
        "step.d_fake_loss": jax.nn.softplus(logits(params, fake)).mean(),
        "step.discriminator_loss": trained.metrics["latent_discriminator_loss"],
        "step.discriminator_r1_loss": factor * trained.metrics["latent_r1"],
    }
    return trained, values


def _discriminator(case: Case) -> dict:
    """The latent discriminator's parameters."""
    tensors = case.tensors("e4e_latent_discriminator.spec.json")
    return {
        ours: {
            "weight": jnp.asarray(tensors[f"{name}.weight"].T),
            "bias": jnp.asarray(tensors[f"{name}.bias"]),
        }
        for name, ours in _LINEARS.items()
    }


_LINEARS = {"mlp.0": "fc0", "mlp.2": "fc1", "mlp.4": "fc2", "mlp.6": "out"}


def _linears(tree) -> dict[str, np.ndarray]:
    """The latent discriminator's parameters by their official names."""
    values = {}
    for name, ours in _LINEARS.items():
        values[f"{name}.weight"] = np.asarray(tree[ours]["weight"]).T
        values[f"{name}.bias"] = np.asarray(tree[ours]["bias"])
    return values


def _compared(case: Case, y, latents, losses, prefix="") -> Iterator[Output]:
    values = {"latents": latents} | ({} if y is None else {"y_hat": nchw(y)})
    yield from case.outputs(values, "train image")
    named = {f"{prefix}{_NAMES[k]}": v for k, v in losses.items()}
    yield from case.outputs(named, "scaled loss")


def _similarities(features, y, target, x) -> dict[str, jax.Array]:
    """The similarities that the official coaches log."""
    ours, of_target, of_input = (features(image) for image in (y, target, x))
    logs = {
        "id_logs.diff_target": metrics.similarity(ours, of_target),
        "id_logs.diff_input": metrics.similarity(ours, of_input),
        "id_logs.diff_views": metrics.similarity(of_target, of_input),
    }
    gain = logs["id_logs.diff_target"] - logs["id_logs.diff_views"]
    return logs | {"id_improve": gain.mean()}


def _gradients(case: Case, encoder: Net, grads, prefix="") -> Iterator[Output]:
    """The encoder's gradients and their norms in each of its parts."""
    tensors = official.tensors(encoder.with_params(grads))
    named = {k: v for k, v in tensors.items() if not re.search("running|num_b", k)}
    parts: dict[str, float] = {}
    for name, value in named.items():
        part = re.match(r"(body|styles)\.\d+|[^.]+", name)
        square = np.square(np.asarray(value, np.float64)).sum()
        key = part[0] if part else name
        parts[key] = parts.get(key, 0.0) + square
    norms = {f"encoder.{k}": v for k, v in parts.items()}
    norms["total_encoder"] = sum(parts.values())
    values = {f"grad_norm.{prefix}{k}": np.sqrt(v) for k, v in norms.items()}
    yield from case.outputs(values, "close norm")
    values = {f"grad.{prefix}encoder.{k}": v for k, v in named.items()}
    yield from case.outputs(values, "gradient")


def _statistics(case: Case, encoder: Net, stats, prefix: str) -> Iterator[Output]:
    """BatchNorm's statistics."""
    net = encoder.replace(variables={**encoder.variables, "batch_stats": stats})
    values = {f"{prefix}.encoder.{k}": v for k, v in official.tensors(net).items()}
    yield from case.outputs(values, "statistic")
