"""Trains a StyleGAN2 generator (https://arxiv.org/abs/1912.04958).

Non-saturating loss, lazy R1 and path-length regularization, style mixing, an average
of the weights. In a domain whose images have known Gaussian parameters, the generator
may also be regressed on them (`loss.render`): minutes instead of hours.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from hyperstyle_jax.loop import parallel
from hyperstyle_jax.loop.fit import Task
from hyperstyle_jax.metrics import frechet_distance, kernel_distance
from hyperstyle_jax.models.discriminator import Discriminator
from hyperstyle_jax.models.synthesis import resolutions
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import (
    common,
    discriminator_augment,
    from_config,
    gan_losses,
    sources,
)
from hyperstyle_jax.training.discriminator_augment import Kinds

_W_AVG_DECAY = 0.998
_SEEN = ("real", "fake", "of_generator")  # the images that a discriminator sees


def make_task(config: ConfigDict, load: sources.Load = sources.bundle_networks) -> Task:
    """The task: alternating steps of discriminator and generator.

    With `loss.adversarial` 0 there is no discriminator.

    Args:
        config: of the run.
        load: gives the networks of a source in `config.init`.

    Raises:
        ValueError: a source does not hold what the config describes.
    """
    loss = Weights(**{f.name: config.loss[f.name] for f in dataclasses.fields(Weights)})
    ada = config.ada
    generator = from_config.load_generator(config, load)
    frozen = {"noise": generator.variables["buffers"]["synthesis"]}
    if config.init.feature_extractor or (
        loss.render and (loss.lpips or loss.attributes)
    ):
        frozen["feature_extractor"] = from_config.load_feature_extractor(config, load)
    steps = _Steps(
        generator,
        from_config.discriminator(config),
        lambda: from_config.load_discriminator(config, load),
        from_config.optimizer(config),
        config.optim.ema,
        config.optim.ema_rampup,
        loss,
        Augmentation(
            ada.target,
            ada.p,
            ada.images,
            Kinds(ada.blit, ada.geometry, ada.color),
        ),
        config.model.discriminator.frozen_blocks,
    )
    columns = ("real", "rendered", "generated") if loss.render else ()
    return Task(
        steps.init,
        steps.train_step,
        steps.eval_step,
        frozen,
        summarize,
        columns,
        steps.phase,
    )


@dataclasses.dataclass(frozen=True)
class Weights:
    """The numbers of `config.loss` that this task uses."""

    adversarial: float
    r1: float
    r1_every: int
    path_length: float
    path_length_every: int
    style_mixing: float
    render: float
    lpips: float
    attributes: float


class Augmentation(NamedTuple):
    """Of what the discriminator sees, see `discriminator_augment`.

    Attributes:
        target: of the mean sign of its output for real images; 0 leaves p as it is.
        p: the strength to begin with.
        images: in which p may rise from 0 to 1.
        kinds: of transformations.
    """

    target: float
    p: float
    images: int
    kinds: Kinds

    @property
    def is_on(self) -> bool:
        """Whether there is any."""
        return self.target > 0 or self.p > 0


@dataclasses.dataclass(frozen=True, eq=False)
class _Steps:
    """The steps of the task.

    Attributes:
        generator: to begin with. discriminator: without weights.
        initial_discriminator: gives the one to begin with.
        tx: the optimizer, one for each of the two networks.
        ema_decay: of the generator's averaged weights.
        ema_rampup: their half-life is at most this share of the steps so far, if not 0.
        loss: weights of the losses.
        augmentation: of the discriminator's images.
        frozen_blocks: of the discriminator, from the image on, that are not trained
            (https://arxiv.org/abs/2002.10964).
    """

    generator: Net
    discriminator: Discriminator
    initial_discriminator: Callable[[], Net]
    tx: optax.GradientTransformation
    ema_decay: float
    ema_rampup: float
    loss: Weights
    augmentation: Augmentation
    frozen_blocks: int

    def init(self, key):
        params = self.generator.params
        state = {
            "generator": params,
            "ema": params,
            "w_avg": self.generator.variables["buffers"]["mapping"]["w_avg"],
            "opt_generator": self.tx.init(params),
        }
        if self.loss.adversarial:
            params = self.initial_discriminator().params
            state |= {
                "discriminator": params,
                "opt_discriminator": self.tx.init(params),
                "path_mean": jnp.zeros(()),
            }
        if self.loss.adversarial and self.augmentation.is_on:
            start = discriminator_augment.initial(self.augmentation.p)
            state["augmentation"] = start
        if self.ema_rampup:
            state["steps"] = jnp.zeros(())
        return state

    def train_step(self, state, frozen, batch, key, r1=False, path=False):
        metrics, recipes = {}, {}
        discriminator_key, generator_key = jax.random.split(key)
        if self.loss.adversarial:
            x = common.images(batch)
            recipes = self._recipes(state, x, jax.random.fold_in(key, 1))
            state, metrics = self._discriminator_step(
                state, frozen, x, discriminator_key, r1, recipes
            )
        state, generator_metrics = self._generator_step(
            state, frozen, batch, generator_key, path, recipes.get("of_generator")
        )
        return lambda _: state, metrics | generator_metrics

    def _discriminator_step(self, state, frozen, x, key, r1, recipes):
        keys = parallel.example_keys(key, x.shape[0])
        net = _net(self.generator.module, state["generator"], frozen)
        fake, _ = gan_losses.generate(net, keys, self.loss.style_mixing)

        def objective(params):
            def of_real_images(x):
                return self._discriminate(params, x, recipes.get("real"))

            real = of_real_images(x)
            generated = self._discriminate(params, fake, recipes.get("fake"))
            loss = gan_losses.discriminator_loss(real, generated)
            metrics = {"d_loss": loss, "real_sign": jnp.sign(real).mean()}
            if r1:
                metrics["r1"] = gan_losses.r1_penalty(of_real_images, x)
                loss += 0.5 * self.loss.r1 * self.loss.r1_every * metrics["r1"]
            return loss, metrics

        gradient = jax.grad(objective, has_aux=True)
        grads, metrics = gradient(state["discriminator"])
        grads, norm = common.average_gradients(self._without_frozen(grads))
        params, opt = common.optimizer_step(
            self.tx, grads, state["opt_discriminator"], state["discriminator"]
        )
        state = state | {"discriminator": params, "opt_discriminator": opt}
        metrics |= {"d_grad_norm": norm}
        if "augmentation" in state:
            sign = jax.lax.pmean(metrics["real_sign"], parallel.AXIS)
            batch_size = len(x) * jax.lax.axis_size(parallel.AXIS)
            state["augmentation"] = discriminator_augment.after_step(
                state["augmentation"],
                sign,
                batch_size,
                self.augmentation.target,
                self.augmentation.images,
            )
            metrics["augment_p"] = state["augmentation"]["p"]
        return state, metrics

    def _recipes(self, state, x, key):
        """How real, generated and the generator step's images are augmented, if so."""
        if "augmentation" not in state:
            return {}
        p, kinds = state["augmentation"]["p"], self.augmentation.kinds
        keys = jax.vmap(jax.random.split, (0, None))(
            parallel.example_keys(key, len(x)), len(_SEEN)
        )
        draw = discriminator_augment.draw
        recipe = draw(keys.T.reshape(-1), p, x.shape[1:3], kinds)
        parts = [
            jax.tree.map(partial(_part, i, len(_SEEN)), recipe)
            for i in range(len(_SEEN))
        ]
        return dict(zip(_SEEN, parts, strict=True))

    def _without_frozen(self, grads):
        """The gradients of the discriminator, zero in the blocks that are frozen."""
        if not self.frozen_blocks:
            return grads
        sizes = resolutions(self.discriminator.resolution)[::-1][: self.frozen_blocks]
        zeros = {
            name: jax.tree.map(jnp.zeros_like, grads[name])
            for name in (f"b{size}" for size in sizes)
        }
        return grads | zeros

    def _generator_step(self, state, frozen, batch, key, path, recipe):
        key, path_key = jax.random.split(key)
        batch_size = len(batch["image"])
        keys = parallel.example_keys(key, batch_size)
        path_keys = parallel.example_keys(path_key, max(1, batch_size // 2))

        def objective(params):
            net = _net(self.generator.module, params, frozen)
            return self._generator_loss(
                net, state, frozen, batch, keys, path_keys if path else None, recipe
            )

        gradient = jax.grad(objective, has_aux=True)
        grads, (metrics, path_mean) = gradient(state["generator"])
        grads, norm = common.average_gradients(grads)
        params, opt = common.optimizer_step(
            self.tx, grads, state["opt_generator"], state["generator"]
        )
        z = common.draw_z(self.generator.module, keys)
        w = _net(self.generator.module, params, frozen)(z, method="mapping")
        w_mean = jax.lax.pmean(w.mean(0), parallel.AXIS)
        decay, steps = self.ema_decay, {}
        if self.ema_rampup:
            steps = {"steps": state["steps"] + 1}
            decay = common.ramped_decay(decay, self.ema_rampup, steps["steps"])
        state = (
            state
            | steps
            | {
                "generator": params,
                "opt_generator": opt,
                "ema": common.ema(decay, state["ema"], params),
                "w_avg": common.ema(_W_AVG_DECAY, state["w_avg"], w_mean),
            }
        )
        if path:
            state |= {"path_mean": path_mean}
        return state, metrics | {"g_grad_norm": norm}

    def _generator_loss(self, net, state, frozen, batch, keys, path_keys, recipe):
        """The loss, ({name: its terms}, running mean of path lengths or None)."""
        weights, loss, metrics, path_mean = self.loss, 0.0, {}, None
        if weights.adversarial:
            fake, _ = gan_losses.generate(net, keys, weights.style_mixing)
            logits = self._discriminate(state["discriminator"], fake, recipe)
            metrics["g_loss"] = gan_losses.generator_loss(logits)
            loss += weights.adversarial * metrics["g_loss"]
        if path_keys is not None:
            penalty, path_mean = gan_losses.path_length_penalty(
                net, path_keys, state["path_mean"], weights.style_mixing
            )
            metrics["path_length"] = penalty
            loss += weights.path_length * weights.path_length_every * penalty
        if weights.render:
            value, terms = gan_losses.regression(
                net, frozen, batch, keys, weights.lpips, weights.attributes
            )
            metrics |= {f"render_{name}": term for name, term in terms.items()}
            loss += weights.render * value
        return loss, (metrics, path_mean)

    def _discriminate(self, params, image, recipe=None):
        """Logits [B]; its statistics of a batch are those over all devices.

        Args:
            recipe: how the images are augmented before, if they are.
        """
        if recipe is not None:
            image = discriminator_augment.augment(image, recipe)
        variables = {"params": params}
        return self.discriminator.apply(variables, image, parallel.on_whole_batch)

    def eval_step(self, state, frozen, batch, key):
        net = _net(self.generator.module, state["ema"], frozen, state["w_avg"])
        x = common.images(batch)
        keys = parallel.example_keys(key, x.shape[0])
        noise = common.draw_noise(net.module, keys)
        image = net(common.draw_z(net.module, keys), noise=noise)
        per_image = {}
        images = {"real": x, "generated": jnp.clip(image, -1, 1)}
        if extractor := frozen.get("feature_extractor"):
            per_image["real"] = extractor(x, method="pooled")
            per_image["fake"] = extractor(images["generated"], method="pooled")
        if "latent" in batch and self.loss.render:
            y = net(batch["latent"], noise="const")
            per_image["render_l2"] = jnp.square(y - x).mean((1, 2, 3))
            images["rendered"] = jnp.clip(y, -1, 1)
        return {"per_image": per_image, "images": images}

    def phase(self, step: int) -> dict:
        loss = self.loss
        if not loss.adversarial:
            return {}
        return {
            "r1": loss.r1 > 0 and step % loss.r1_every == 0,
            "path": loss.path_length > 0 and step % loss.path_length_every == 0,
        }


def export(config: ConfigDict, state: dict, frozen: dict) -> dict[str, Net]:
    """The averaged generator, and the discriminator where there is one."""
    module = from_config.generator(config)
    nets = {"generator": _net(module, state["ema"], frozen, state["w_avg"])}
    if "discriminator" in state:
        discriminator = from_config.discriminator(config)
        nets["discriminator"] = Net(discriminator, {"params": state["discriminator"]})
    return nets


def summarize(per_image: dict[str, np.ndarray]) -> dict[str, float]:
    """Means, and the distances of the two sets in the feature extractor's space.

    "frechet" has the form of FID, "kid" that of the kernel inception distance.

    Args:
        per_image: {name: [N]}, or features "real" and "fake" [N, C].
    """
    scores = {k: float(v.mean()) for k, v in per_image.items() if v.ndim == 1}
    if "real" in per_image:
        distance = frechet_distance(per_image["real"], per_image["fake"])
        scores["frechet"] = float(distance)
        scores["kid"] = kernel_distance(per_image["real"], per_image["fake"])
    return scores


def _part(i, count, array):
    """Part i of `count` equal parts of an array [count · B, …]."""
    size = len(array) // count
    return array[i * size : (i + 1) * size]


def _net(module, params, frozen, w_avg=None) -> Net:
    """The generator with these weights; training needs no mean latent."""
    if w_avg is None:
        w_avg = jnp.zeros((module.w_dim,))
    buffers = {"mapping": {"w_avg": w_avg}, "synthesis": frozen["noise"]}
    return Net(module, {"params": params, "buffers": buffers})
