"""Trains a W-encoder: one w per picture, the first inversion.

L2 + perceptual + identity on real pictures; on generated ones, whose w is known, also
the distance to it (`loss.latent`).
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from hyperstyle_jax.inversion.refine import view
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import common, optimizers, parallel
from hyperstyle_jax.training.loop import Task


def make_task(config: ConfigDict) -> Task:
    """Frozen generator and features; the encoder adds the generator's mean latent."""
    module = common.encoder(config).clone(axis_name=parallel.AXIS)
    generator = common.load_generator(config)
    frozen = {"generator": generator, **common.judges(config)}
    tx = optimizers.make(config.optim, config.num_steps)

    def init(key):
        variables = common.load_encoder(config).variables
        params, stats = variables["params"], variables["batch_stats"]
        state = {"params": params, "batch_stats": stats, "opt": tx.init(params)}
        return state | ({"ema": params} if config.optim.ema else {})

    def train_step(state, frozen, batch, key):
        x = common.images(batch)
        generator = frozen["generator"]
        key = jax.random.fold_in(key, jax.lax.axis_index(parallel.AXIS))
        if config.loss.latent:
            z = jax.random.normal(key, (x.shape[0], generator.module.z_dim))
            w_true = generator(z, method="mapping")
            drawn = view(generator(w_true, method="synthesis"), x.shape[1:3])
            both = jnp.concatenate([x, jnp.clip(drawn, -1, 1)])
        else:
            both = x
        buffers = {"latent_avg": _w_avg(generator)}
        target = common.describe(frozen, x)

        def objective(params):
            variables = {"params": params, "buffers": buffers}
            variables["batch_stats"] = state["batch_stats"]
            w, new = module.apply(variables, both, train=True, mutable=["batch_stats"])
            y = view(generator(w[: len(x)], method="synthesis"), x.shape[1:3])
            distances = common.compare(frozen, y, target)
            found = {name: value.mean() for name, value in distances.items()}
            value = common.weighted(config, distances)
            if config.loss.latent:
                found["latent"] = jnp.square(w[len(x) :] - w_true).mean()
                value += config.loss.latent * found["latent"]
            return value, (found | {"loss": value}, new["batch_stats"])

        (_, (found, stats)), grads = jax.value_and_grad(objective, has_aux=True)(
            state["params"]
        )
        params, opt, norm = common.step_parameters(
            tx, grads, state["opt"], state["params"]
        )
        new = {"params": params, "batch_stats": stats, "opt": opt}
        if "ema" in state:
            new["ema"] = common.ema(config.optim.ema, state["ema"], params)
        return new, found | {"grad_norm": norm}

    def eval_step(state, frozen, batch, key):
        x = common.images(batch)
        net = _net(common.encoder(config), state, frozen["generator"])
        y = view(frozen["generator"](net(x), method="synthesis"), x.shape[1:3])
        target = common.describe(frozen, x)
        per_image = common.compare(frozen, y, target)
        return {"per_image": per_image, "images": {"target": x, "inversion": y}}

    return Task(init, train_step, eval_step, frozen, columns=("target", "inversion"))


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
