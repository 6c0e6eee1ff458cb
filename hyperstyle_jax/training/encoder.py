"""Trains a W-encoder: one w per image, the initial inversion.

L2 + perceptual + identity on real images; on generated ones, whose w is known, also
the distance to it (`loss.latent`). w stays editable near the latents of the mapping
network: by its distance from their mean (`loss.w_norm`) or, as in e4e
(https://arxiv.org/abs/2102.02766, section 4), by a discriminator that tells the two
apart (`loss.w_adversarial`).
"""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from hyperstyle_jax.inversion.hyperstyle import crop_and_pool
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.loop.fit import Task
from hyperstyle_jax.models.discriminator import LatentDiscriminator
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import common, optimizers, sources

_R1_EVERY = 16
# e4e trains its discriminator with Adam at this rate.
_LATENT_LR = 2e-5


def make_task(config: ConfigDict) -> Task:
    """Frozen generator and loss networks; the encoder adds the mean latent."""
    frozen = {
        "generator": common.load_generator(config),
        **common.loss_networks(config),
    }
    tx = optimizers.make(config.optim, config.num_steps)
    tx_latent = optax.adam(_LATENT_LR)

    def init(key):
        net = common.load_encoder(config)
        net = sources.with_trunk(net, "body", "arcface", config.init.trunk)
        params, stats = net.params, net.variables["batch_stats"]
        state = {"params": params, "batch_stats": stats, "opt": tx.init(params)}
        if config.optim.ema:
            state["ema"] = params
        if config.loss.w_adversarial:
            w = jnp.zeros((1, config.model.generator.w_dim))
            params = LatentDiscriminator().init(key, w)["params"]
            state |= {
                "latent_discriminator": params,
                "opt_latent_discriminator": tx_latent.init(params),
            }
        return state

    def train_step(state, frozen, batch, key, r1=False):
        x = common.images(batch)
        keys = parallel.example_keys(key, x.shape[0])
        grads, stats, (found, w) = common.in_parts(
            partial(_gradients, config, frozen, state),
            state["batch_stats"],
            {"image": x} | _drawn_w(config, frozen["generator"], keys),
            config.accumulate,
        )
        found = {name: value.mean() for name, value in found.items()}
        grads, norm = common.averaged(grads)
        found["grad_norm"] = norm
        if "latent_discriminator" in state:
            real = _drawn_w(config, frozen["generator"], keys)["w_true"]
            fake = w.reshape(-1, w.shape[-1])
            latent_grads, more = _latent_discriminator_gradients(
                config, state, real, fake, r1
            )
            found |= more

        def update(state):
            new = common.apply_gradients(tx, config.optim.ema, state, grads, stats)
            if "latent_discriminator" in state:
                new["latent_discriminator"], new["opt_latent_discriminator"] = (
                    common.optimizer_step(
                        tx_latent,
                        latent_grads,
                        state["opt_latent_discriminator"],
                        state["latent_discriminator"],
                    )
                )
            return new

        return update, found

    def phase(step):
        return {"r1": step % _R1_EVERY == 0} if config.loss.w_adversarial else {}

    columns = ("target", "inversion")
    evaluate = partial(_eval, config)
    return Task(init, train_step, evaluate, frozen, columns=columns, phase=phase)


def _eval(config, state, frozen, batch, key):
    x, dtype = common.images(batch), jnp.dtype(config.precision)
    net = _net(common.encoder(config), state, frozen["generator"])
    y = frozen["generator"](net(x.astype(dtype)), method="synthesis", dtype=dtype)
    y = crop_and_pool(y, x.shape[1:3])
    distances = common.distances(frozen, y, common.extract_features(frozen, x))
    per_image = distances | {
        "loss": common.weighted(common.loss_weights(config), distances)
    }
    return {"per_image": per_image, "images": {"target": x, "inversion": y}}


def _drawn_w(config, generator: Net, keys) -> dict[str, jax.Array]:
    """Latents of the mapping network for losses that need them: {"w_true": [B, D]}."""
    if not config.loss.latent and not config.loss.w_adversarial:
        return {}
    z = common.draw_z(generator.module, keys)
    return {"w_true": generator(z, method="mapping")}


def _gradients(config, frozen, state, stats, part):
    """Of one part of a batch: gradients, statistics, ({name: mean loss}, w [B, D])."""
    x, generator, loss = part["image"], frozen["generator"], config.loss
    dtype = jnp.dtype(config.precision)
    module = common.encoder(config).clone(axis_name=parallel.AXIS)
    target = common.extract_features(frozen, x, dtype)
    seen, render = x, partial(generator, method="synthesis", dtype=dtype)
    if loss.latent:
        drawn = crop_and_pool(render(part["w_true"]), x.shape[1:3])
        seen = jnp.concatenate([x, jnp.clip(drawn, -1, 1)])

    def objective(params):
        variables = {"params": params, "batch_stats": stats}
        variables["buffers"] = {"latent_avg": _w_avg(generator)}
        w, new = module.apply(
            variables, seen.astype(dtype), train=True, mutable=["batch_stats"]
        )
        w, known = w[: len(x)], w[len(x) :]
        y = crop_and_pool(render(w, remat=config.remat), x.shape[1:3])
        distances = common.distances(frozen, y, target, dtype)
        found = {name: value.mean() for name, value in distances.items()}
        value = common.weighted(common.loss_weights(config), distances).mean()
        if loss.latent:
            found["latent"] = jnp.square(known - part["w_true"]).mean()
            value += loss.latent * found["latent"]
        if loss.w_norm:
            away = jnp.square(w - _w_avg(generator)).sum(-1)
            found["w_norm"] = jnp.sqrt(away + 1e-12).mean()
            value += loss.w_norm * found["w_norm"]
        if loss.w_adversarial:
            logits = LatentDiscriminator().apply(
                {"params": state["latent_discriminator"]}, w
            )
            found["w_adversarial"] = jax.nn.softplus(-logits).mean()
            value += loss.w_adversarial * found["w_adversarial"]
        return value, (found | {"loss": value}, w, new["batch_stats"])

    (_, (found, w, stats)), grads = jax.value_and_grad(objective, has_aux=True)(
        state["params"]
    )
    return grads, stats, (found, w)


def _latent_discriminator_gradients(config, state, real, fake, r1):
    """Of the latent discriminator: gradients, metrics."""

    def logits(params, w):
        return LatentDiscriminator().apply({"params": params}, w)

    def objective(params):
        value = jax.nn.softplus(logits(params, fake)).mean()
        value += jax.nn.softplus(-logits(params, real)).mean()
        found = {"latent_discriminator_loss": value}
        if r1:
            slope = jax.grad(lambda w: logits(params, w).sum())(real)
            penalty = jnp.square(slope).sum(-1).mean()
            value += 0.5 * config.loss.w_r1 * _R1_EVERY * penalty
        return value, found

    (_, found), grads = jax.value_and_grad(objective, has_aux=True)(
        state["latent_discriminator"]
    )
    grads, norm = common.averaged(grads)
    return grads, found | {"latent_discriminator_grad_norm": norm}


def export(config: ConfigDict, state: dict, frozen: dict) -> dict[str, Net]:
    """The encoder and the networks it was trained for."""
    encoder = _net(common.encoder(config), state, frozen["generator"])
    return {"encoder": encoder, **common.without_released(frozen)}


def _w_avg(generator: Net):
    return generator.variables["buffers"]["mapping"]["w_avg"]


def _net(module, state, generator) -> Net:
    return Net(
        module,
        {
            "params": state.get("ema", state["params"]),
            "batch_stats": state["batch_stats"],
            "buffers": {"latent_avg": _w_avg(generator)},
        },
    )
