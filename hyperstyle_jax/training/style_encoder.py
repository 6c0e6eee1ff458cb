"""Trains an encoder to W+: pSp, e4e, or ReStyle over either of them.

All compare reconstructions with their images (L2, perceptual distance, identity or
MoCo). pSp (https://arxiv.org/abs/2008.00951) may keep latents near the mean latent.
e4e (https://arxiv.org/abs/2102.02766) keeps them editable: it trains one row after
another (`config.progressive`), the rows near the first one (`loss.delta`), and against
a discriminator of latents (`loss.w_adversarial`), which takes its step before the
encoder does. ReStyle (https://arxiv.org/abs/2104.02699) corrects its latents
`num_iters` times; its discriminator learns from those of the first iteration. The
official code draws random noise maps in training; here they are fixed, as in use.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from hyperstyle_jax.inversion import restyle
from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.loop.fit import Task
from hyperstyle_jax.models.discriminator import LatentDiscriminator
from hyperstyle_jax.models.encoders import StyleEncoder
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import (
    common,
    criteria,
    from_config,
    latent_discriminator,
    sources,
    style_iterations,
)

_LATE = r"style[1-9]\d*"  # parameters of the rows that e4e begins with later


def make_task(config: ConfigDict, load: sources.Load = sources.bundle_networks) -> Task:
    """The task with frozen generator and loss networks; the encoder is trained.

    Args:
        config: of the run.
        load: gives the networks of a source in `config.init`.

    Raises:
        ValueError: a source does not hold what the config describes.
    """
    frozen = from_config.generator_and_losses(config, load)
    steps = _Steps(
        module=from_config.style_encoder(config),
        initial_encoder=lambda: from_config.load_style_encoder(config, load),
        tx=from_config.optimizer(config, late=_LATE if _is_progressive(config) else ""),
        tx_latent=optax.adam(config.loss.w_lr),
        ema_decay=config.optim.ema,
        weights=from_config.w_plus_loss_weights(config),
        r1=config.loss.w_r1,
        pool_size=config.loss.w_pool,
        first_delta=_schedule(config)[0],
        delta_every=_schedule(config)[1],
        num_iters=config.num_iters if _is_restyle(config) else 0,
        dtype=jnp.dtype(config.precision),
        remat=config.remat,
        accumulation_steps=config.accumulation_steps,
    )
    return Task(
        steps.init,
        steps.train_step,
        steps.eval_step,
        frozen,
        columns=("target", *steps.titles()),
        phase=steps.phase,
    )


def _is_progressive(config) -> bool:
    return config.model.style_encoder.method.endswith("e4e")


def _is_restyle(config) -> bool:
    return config.model.style_encoder.method.startswith("restyle")


@dataclasses.dataclass(frozen=True, eq=False)
class _Steps:
    """The steps of the task.

    Attributes:
        module: the encoder. initial_encoder: gives the one to begin with.
        tx, tx_latent: optimizers of the encoder and of the latent discriminator.
        ema_decay: of the encoder's averaged weights; 0 for none.
        weights: λ by the name of the loss. r1: weight of the discriminator's penalty.
        pool_size: latents of earlier steps that the discriminator may see; 0 for none.
        first_delta: the step from which on row 1 differs from row 0, and delta_every
            the steps from each row to the next; 0: all rows from the first step on.
        num_iters: T of ReStyle; 0 for pSp and e4e.
        dtype, remat: of feature maps.
        accumulation_steps: parts of the batch, one after another.
    """

    module: StyleEncoder
    initial_encoder: Callable[[], Net]
    tx: optax.GradientTransformation
    tx_latent: optax.GradientTransformation
    ema_decay: float
    weights: dict[str, float]
    r1: float
    pool_size: int
    first_delta: int
    delta_every: int
    num_iters: int
    dtype: jnp.dtype
    remat: bool
    accumulation_steps: int

    def init(self, key):
        net = self.initial_encoder()
        params, stats = net.params, net.variables["batch_stats"]
        state = common.fresh_state(self.tx, self.ema_decay, params, stats)
        state["step"] = jnp.zeros((), jnp.int32)
        if self.weights["w_adversarial"]:
            w_dim = self.module.w_dim
            params = LatentDiscriminator().init(key, jnp.zeros((1, w_dim)))["params"]
            state["latent_discriminator"] = {
                "params": params,
                "opt": self.tx_latent.init(params),
            }
            if self.pool_size:
                pools = (latent_discriminator.empty_pool(self.pool_size, w_dim),) * 2
                state["latent_discriminator"]["pools"] = pools
        return state

    def phase(self, step: int) -> dict:
        if not self.weights["w_adversarial"]:
            return {}
        return {"r1": self.r1 > 0 and (step - 1) % latent_discriminator.R1_EVERY == 0}

    def stage(self, state) -> jax.Array:
        """The last row that differs from row 0."""
        num_ws = self.module.num_ws
        if not self.first_delta:
            return jnp.asarray(num_ws - 1)
        return reached(state["step"], self.first_delta, self.delta_every, num_ws)

    def titles(self) -> list[str]:
        """Names of the reconstructions that an evaluation shows."""
        if not self.num_iters:
            return ["inversion"]
        return [f"iteration {t}" for t in range(self.num_iters + 1)]

    def train_step(self, state, frozen, batch, key, r1=False):
        x = common.images(batch)
        stage = self.stage(state)
        stats, learned, metrics = state["batch_stats"], {}, {}
        discriminator = None
        if self.weights["w_adversarial"]:
            w, stats = self._first_latents(frozen, state, x)
            learned, metrics = self._teach(state, frozen, w, key, stage, r1)
            discriminator = learned["params"]
        grads, stats, losses = common.accumulate_gradients(
            partial(self._gradients, frozen, state["params"], stage, discriminator),
            stats,
            {"image": x},
            self.accumulation_steps,
        )
        grads, metrics["grad_norm"] = common.average_gradients(grads)
        for name, values in losses.items():
            by_iteration = values.mean(0)
            metrics[name] = by_iteration[-1]
            if self.num_iters:
                for t, value in enumerate(by_iteration):
                    metrics[f"{name}/iteration{t + 1}"] = value
        if self.first_delta:
            metrics["stage"] = stage.astype(jnp.float32)

        def update(state):
            new = common.apply_gradients(self.tx, self.ema_decay, state, grads, stats)
            new["step"] = state["step"] + 1
            return new | ({"latent_discriminator": learned} if learned else {})

        return update, metrics

    def _first_latents(self, frozen, state, x):
        """Latents [B, L, D] of the first iteration, without gradient; statistics.

        The encoder's own forward pass sees the same batch, so XLA computes it once if
        there is one part; only the statistics move twice, as in the official code.
        """
        stage = self.stage(state)

        def part(stats, batch):
            x = batch["image"]
            first = style_iterations.start(
                frozen["generator"], x, self.num_iters > 0, self.dtype
            )
            w, stats = self._encode(state["params"], stats, x, first, stage)
            return {}, stats, w

        _, stats, w = common.accumulate_gradients(
            part, state["batch_stats"], {"image": x}, self.accumulation_steps
        )
        return jax.lax.stop_gradient(w.reshape(-1, *w.shape[2:])), stats

    def _teach(self, state, frozen, w_plus, key, stage, r1):
        """The discriminator's step: its new state, and metrics."""
        old, generator = state["latent_discriminator"], frozen["generator"]
        keys = parallel.example_keys(key, len(w_plus))
        z = common.draw_z(generator.module, keys)
        real, fake = generator(z, method="mapping"), w_plus[:, 0]
        if self.pool_size:
            fake = jax.vmap(_one_row, (0, 0, None))(keys, w_plus, stage)
        real, fake = (parallel.whole_batch(w) for w in (real, fake))
        learned = {}
        if self.pool_size:
            chosen = jax.random.split(jax.random.fold_in(key, 1))
            drawn = zip(old["pools"], (real, fake), chosen, strict=True)
            (real, real_pool), (fake, fake_pool) = (
                latent_discriminator.exchange(*each) for each in drawn
            )
            learned["pools"] = (real_pool, fake_pool)
        params, opt, metrics = latent_discriminator.step(
            self.tx_latent,
            old["params"],
            old["opt"],
            real,
            fake,
            self.r1 if r1 else 0.0,
        )
        return learned | {"params": params, "opt": opt}, metrics

    def _encode(self, params, stats, x, state, stage):
        module = self.module.clone(axis_name=parallel.AXIS)
        return style_iterations.encode(
            module, params, stats, x, state, stage, self.dtype
        )

    def _gradients(self, frozen, params, stage, discriminator, stats, batch):
        """Gradients, statistics and {name: [T]} of a part of the batch."""
        x, generator = batch["image"], frozen["generator"]
        render = partial(
            style_iterations.rendered,
            self.weights,
            frozen,
            style_iterations.targets(self.weights, frozen, x, self.dtype),
            stage=stage,
            discriminator=discriminator,
            dtype=self.dtype,
            remat=self.remat,
        )
        result = style_iterations.run(
            lambda params, stats, state: self._encode(params, stats, x, state, stage),
            render,
            params,
            stats,
            style_iterations.start(generator, x, self.num_iters > 0, self.dtype),
            self.num_iters,
        )
        return result.grads, result.stats, result.losses

    def eval_step(self, state, frozen, batch, key):
        x, generator = common.images(batch), frozen["generator"]
        stage = self.stage(state) if self.first_delta else None
        net = _trained(self.module, state, generator, stage)
        if self.num_iters:
            images = restyle.invert(net, generator, x, self.num_iters).images
        else:
            y = generator(net(x), method="synthesis")
            images = crop_and_pool(y, x.shape[1:3])[None]
        columns = {"target": x} | dict(zip(self.titles(), images, strict=True))
        per_image, target = {}, criteria.extract_features(frozen, x)
        for t, y in enumerate(images):
            distances = criteria.distances(frozen, y, target)
            distances["loss"] = criteria.weighted(self.weights, distances)
            if self.num_iters:
                named = {f"{k}/iteration{t}": v for k, v in distances.items()}
                per_image |= named
        return {"per_image": per_image | distances, "images": columns}


def export(config: ConfigDict, state: dict, frozen: dict) -> dict[str, Net]:
    """The encoder under the name of its method, and what it was trained for."""
    module = from_config.style_encoder(config)
    schedule = _schedule(config)
    stage = reached(state["step"], *schedule, module.num_ws) if schedule[0] else None
    encoder = _trained(module, state, frozen["generator"], stage)
    role = config.model.style_encoder.method
    return {role: encoder, **criteria.without_published(frozen)}


def reached(steps_done, first_delta: int, delta_every: int, num_ws: int) -> jax.Array:
    """The last row that differs from row 0 after so many steps, see `_Steps`."""
    row = 1 + (steps_done - first_delta) // delta_every
    return jnp.clip(row, 0, num_ws - 1)


def _schedule(config) -> tuple[int, int]:
    """(first_delta, delta_every) of a config."""
    start = config.progressive.start if _is_progressive(config) else 0
    return start, config.progressive.every


def _one_row(key, w_plus, stage):
    """One of the rows 0 … stage of w_plus [L, D], by chance."""
    row = jax.random.randint(jax.random.fold_in(key, 1), (), 0, stage + 1)
    return w_plus[row]


def _trained(module, state, generator: Net, stage=None) -> Net:
    """The encoder with its averaged weights, where there are any.

    Rows after `stage` were not trained: without their linear layer they are row 0.
    """
    params = dict(state.get("ema", state["params"]))
    if stage is not None:
        for i in range(1, module.num_ws):
            block = dict(params[f"style{i}"])
            keep = partial(jnp.where, i <= stage)
            block["linear"] = jax.tree.map(lambda v, k=keep: k(v, 0.0), block["linear"])
            params[f"style{i}"] = block
    buffers = {"latent_avg": style_iterations.mean_latent(generator)}
    stats = state["batch_stats"]
    return Net(module, {"params": params, "batch_stats": stats, "buffers": buffers})
