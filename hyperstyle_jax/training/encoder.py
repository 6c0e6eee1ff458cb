"""Trains a W-encoder: one w per image, the initial inversion.

L2, perceptual and identity losses on real images; on generated images, whose w is
known, also the distance to it (`loss.latent`). w stays editable near the latents of the
mapping network: by its distance from their mean (`loss.w_norm`) or, as in e4e
(https://arxiv.org/abs/2102.02766, section 4), by a discriminator that tells the two
apart (`loss.w_adversarial`).
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.loop.fit import Task
from hyperstyle_jax.models.discriminator import LatentDiscriminator
from hyperstyle_jax.models.encoders import WEncoder
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import (
    common,
    criteria,
    from_config,
    latent_losses,
    sources,
)

# e4e trains its discriminator with Adam at this rate.
_LATENT_LR = 2e-5


def make_task(config: ConfigDict, load: sources.Load = sources.bundle_networks) -> Task:
    """The task with frozen generator and loss networks; the encoder is trained.

    Args:
        config: of the run.
        load: gives the networks of a source in `config.init`.

    Raises:
        ValueError: a source does not hold what the config describes.
    """
    frozen = from_config.generator_and_losses(config, load)

    def initial_encoder():
        net = from_config.load_encoder(config, load)
        return sources.with_trunk(net, "body", "arcface", config.init.trunk)

    steps = _Steps(
        module=from_config.encoder(config),
        initial_encoder=initial_encoder,
        tx=from_config.optimizer(config),
        tx_latent=optax.adam(_LATENT_LR),
        ema_decay=config.optim.ema,
        weights=from_config.loss_weights(config)
        | {name: config.loss[name] for name in latent_losses.NAMES},
        r1=config.loss.w_r1,
        dtype=jnp.dtype(config.precision),
        remat=config.remat,
        accumulation_steps=config.accumulation_steps,
    )
    return Task(
        steps.init,
        steps.train_step,
        steps.eval_step,
        frozen,
        columns=("target", "inversion"),
        phase=steps.phase,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Steps:
    """The steps of the task.

    Attributes:
        module: the encoder. initial_encoder: gives the one to begin with.
        tx, tx_latent: optimizers of the encoder and of the latent discriminator.
        ema_decay: of the encoder's averaged weights; 0 for none.
        weights: λ by the name of the loss. r1: weight of the discriminator's penalty.
        dtype, remat: of the generator's feature maps.
        accumulation_steps: parts of the batch, one after another.
    """

    module: WEncoder
    initial_encoder: Callable[[], Net]
    tx: optax.GradientTransformation
    tx_latent: optax.GradientTransformation
    ema_decay: float
    weights: dict[str, float]
    r1: float
    dtype: jnp.dtype
    remat: bool
    accumulation_steps: int

    def init(self, key):
        net = self.initial_encoder()
        params, stats = net.params, net.variables["batch_stats"]
        state = common.fresh_state(self.tx, self.ema_decay, params, stats)
        if self.weights["w_adversarial"]:
            w = jnp.zeros((1, self.module.w_dim))
            params = LatentDiscriminator().init(key, w)["params"]
            state |= {
                "latent_discriminator": params,
                "opt_latent_discriminator": self.tx_latent.init(params),
            }
        return state

    def train_step(self, state, frozen, batch, key, r1=False):
        x = common.images(batch)
        keys = parallel.example_keys(key, x.shape[0])
        drawn = self._draw_w(frozen["generator"], keys)
        grads, stats, (metrics, w) = common.accumulate_gradients(
            partial(self._gradients, frozen, state),
            state["batch_stats"],
            {"image": x} | drawn,
            self.accumulation_steps,
        )
        metrics = {name: value.mean() for name, value in metrics.items()}
        grads, metrics["grad_norm"] = common.average_gradients(grads)
        discriminator = state.get("latent_discriminator")
        if discriminator is not None:
            fake = w.reshape(-1, w.shape[-1])
            latent_grads, latent_metrics = latent_losses.discriminator_gradients(
                discriminator, drawn["w_true"], fake, self.r1 if r1 else 0.0
            )
            metrics |= latent_metrics

        def update(state):
            new = common.apply_gradients(self.tx, self.ema_decay, state, grads, stats)
            if discriminator is not None:
                params, opt = common.optimizer_step(
                    self.tx_latent,
                    latent_grads,
                    state["opt_latent_discriminator"],
                    state["latent_discriminator"],
                )
                new["latent_discriminator"] = params
                new["opt_latent_discriminator"] = opt
            return new

        return update, metrics

    def phase(self, step: int) -> dict:
        has_discriminator = self.weights["w_adversarial"] > 0
        return {"r1": step % latent_losses.R1_EVERY == 0} if has_discriminator else {}

    def eval_step(self, state, frozen, batch, key):
        x = common.images(batch)
        net = _trained(self.module, state, frozen["generator"])
        w = net(x.astype(self.dtype))
        y = frozen["generator"](w, method="synthesis", dtype=self.dtype)
        y = crop_and_pool(y, x.shape[1:3])
        distances = criteria.distances(frozen, y, criteria.extract_features(frozen, x))
        loss = criteria.weighted(self.weights, distances)
        images = {"target": x, "inversion": y}
        return {"per_image": distances | {"loss": loss}, "images": images}

    def _draw_w(self, generator: Net, keys) -> dict[str, jax.Array]:
        """Latents of the mapping network if a loss needs them: {"w_true": [B, D]}."""
        if not self.weights["latent"] and not self.weights["w_adversarial"]:
            return {}
        z = common.draw_z(generator.module, keys)
        return {"w_true": generator(z, method="mapping")}

    def _gradients(self, frozen, state, stats, part):
        """Gradients, statistics and ({name: mean loss}, w [B, D]) of a batch's part."""
        x, generator = part["image"], frozen["generator"]
        module = self.module.clone(axis_name=parallel.AXIS)
        render = partial(generator, method="synthesis", dtype=self.dtype)
        target = criteria.extract_features(frozen, x, self.dtype)
        inputs = x
        if self.weights["latent"]:
            generated = crop_and_pool(render(part["w_true"]), x.shape[1:3])
            inputs = jnp.concatenate([x, jnp.clip(generated, -1, 1)])

        def objective(params):
            variables = {"params": params, "batch_stats": stats}
            variables["buffers"] = {"latent_avg": _w_avg(generator)}
            w, new = module.apply(
                variables,
                inputs.astype(self.dtype),
                train=True,
                mutable=["batch_stats"],
            )
            w, w_of_generated = w[: len(x)], w[len(x) :]
            y = crop_and_pool(render(w, remat=self.remat), x.shape[1:3])
            distances = criteria.distances(frozen, y, target, self.dtype)
            metrics = {name: value.mean() for name, value in distances.items()}
            loss = criteria.weighted(self.weights, distances).mean()
            terms = latent_losses.losses(
                self.weights,
                w,
                w_avg=_w_avg(generator),
                w_of_generated=w_of_generated,
                w_true=part.get("w_true"),
                discriminator=state.get("latent_discriminator"),
            )
            for name, value in terms.items():
                loss += self.weights[name] * value
            metrics |= terms | {"loss": loss}
            return loss, (metrics, w, new["batch_stats"])

        gradient = jax.grad(objective, has_aux=True)
        grads, (metrics, w, stats) = gradient(state["params"])
        return grads, stats, (metrics, w)


def export(config: ConfigDict, state: dict, frozen: dict) -> dict[str, Net]:
    """The encoder and the networks it was trained for."""
    encoder = _trained(from_config.encoder(config), state, frozen["generator"])
    return {"encoder": encoder, **criteria.without_published(frozen)}


def _w_avg(generator: Net):
    return generator.variables["buffers"]["mapping"]["w_avg"]


def _trained(module, state, generator) -> Net:
    """The encoder with its averaged weights, where there are any."""
    return Net(
        module,
        {
            "params": state.get("ema", state["params"]),
            "batch_stats": state["batch_stats"],
            "buffers": {"latent_avg": _w_avg(generator)},
        },
    )
