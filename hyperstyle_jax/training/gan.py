"""Trains a StyleGAN2 generator (https://arxiv.org/abs/1912.04958).

Non-saturating loss, lazy R1 and path-length regularization, style mixing, an average
of the weights. In a domain whose images have known Gaussian parameters, the generator
may also be regressed on them (`loss.render`): minutes instead of hours.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from hyperstyle_jax import metrics
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.loop.fit import Task
from hyperstyle_jax.models.discriminator import Discriminator
from hyperstyle_jax.models.generator import mix
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import common, optimizers

_W_AVG_DECAY, _PATH_DECAY = 0.998, 0.99


def make_task(config: ConfigDict) -> Task:
    """Alternating steps of discriminator and generator; `loss.adversarial` 0: none."""
    loss = config.loss
    generator = common.load_generator(config)
    frozen = {"noise": _noise(generator)}
    if config.init.feature_extractor or (
        loss.render and (loss.lpips or loss.attributes)
    ):
        frozen["feature_extractor"] = common.load_feature_extractor(config)
    gan = _Gan(
        config,
        generator,
        Discriminator(config.model.generator.resolution, **config.model.discriminator),
        optimizers.make(config.optim, config.num_steps),
    )
    columns = ("real", "rendered", "generated") if loss.render else ()
    return Task(
        gan.init, gan.train_step, gan.eval_step, frozen, summarize, columns, gan.phase
    )


@dataclasses.dataclass(frozen=True)
class _Gan:
    """The steps of the task; both networks have optimizers of one kind."""

    config: ConfigDict
    generator: Net
    discriminator: Discriminator
    tx: optax.GradientTransformation

    def init(self, key):
        params = self.generator.params
        state = {
            "generator": params,
            "ema": params,
            "w_avg": self.generator.variables["buffers"]["mapping"]["w_avg"],
            "opt_generator": self.tx.init(params),
        }
        if self.config.loss.adversarial:
            image = jnp.zeros((1, *2 * (self.config.model.generator.resolution,), 3))
            params = self.discriminator.init(key, image)["params"]
            state |= {
                "discriminator": params,
                "opt_discriminator": self.tx.init(params),
                "path_mean": jnp.zeros(()),
            }
        return state

    def train_step(self, state, frozen, batch, key, r1=False, path=False):
        x, found = common.images(batch), {}
        keys = jax.random.split(key)
        if self.config.loss.adversarial:
            state, d = self.discriminator_step(state, frozen, x, keys[0], r1)
            found |= d
        state, g = self.generator_step(state, frozen, batch, x, keys[1], path)
        return lambda _: state, found | g

    def discriminator_step(self, state, frozen, x, key, r1):
        loss = self.config.loss
        keys = parallel.example_keys(key, x.shape[0])
        fake, _ = _generate(
            self.generator, state["generator"], frozen, self.config, keys
        )

        def objective(params):
            def logits(image):
                return self._discriminate(params, image)

            value = jax.nn.softplus(logits(fake)).mean()
            value += jax.nn.softplus(-logits(x)).mean()
            found = {"d_loss": value}
            if r1:
                slope = jax.grad(lambda image: logits(image).sum())(x)
                penalty = jnp.square(slope).sum((1, 2, 3)).mean()
                value += 0.5 * loss.r1 * loss.r1_every * penalty
                found["r1"] = penalty
            return value, found

        (_, found), grads = jax.value_and_grad(objective, has_aux=True)(
            state["discriminator"]
        )
        grads, norm = common.averaged(grads)
        params, opt = common.optimizer_step(
            self.tx, grads, state["opt_discriminator"], state["discriminator"]
        )
        state = state | {"discriminator": params, "opt_discriminator": opt}
        return state, found | {"d_grad_norm": norm}

    def generator_step(self, state, frozen, batch, x, key, path):
        loss = self.config.loss
        key, path_key = jax.random.split(key)
        keys = parallel.example_keys(key, x.shape[0])

        def objective(params):
            value, found, mean = 0.0, {}, None
            if loss.adversarial:
                fake, _ = _generate(self.generator, params, frozen, self.config, keys)
                logits = self._discriminate(state["discriminator"], fake)
                found["g_loss"] = jax.nn.softplus(-logits).mean()
                value += loss.adversarial * found["g_loss"]
            if path:
                penalty, mean = _path_length(
                    self.generator,
                    params,
                    frozen,
                    self.config,
                    parallel.example_keys(path_key, max(1, x.shape[0] // 2)),
                    state["path_mean"],
                )
                found["path_length"] = penalty
                value += loss.path_length * loss.path_length_every * penalty
            if loss.render:
                term, more = self._render(params, batch, x, frozen, keys)
                found |= more
                value += loss.render * term
            return value, (found, mean)

        (_, (found, mean)), grads = jax.value_and_grad(objective, has_aux=True)(
            state["generator"]
        )
        grads, norm = common.averaged(grads)
        params, opt = common.optimizer_step(
            self.tx, grads, state["opt_generator"], state["generator"]
        )
        z = common.draw_z(self.generator.module, keys)
        w = _net(self.generator, params, frozen)(z, method="mapping")
        w_mean = jax.lax.pmean(w.mean(0), parallel.AXIS)
        state = state | {
            "generator": params,
            "opt_generator": opt,
            "ema": common.ema(self.config.optim.ema, state["ema"], params),
            "w_avg": common.ema(_W_AVG_DECAY, state["w_avg"], w_mean),
        }
        if mean is not None:
            state |= {"path_mean": mean}
        return state, found | {"g_grad_norm": norm}

    def _discriminate(self, params, image):
        """Logits; images of all devices are in one another's statistics."""
        variables = {"params": params}
        return self.discriminator.apply(variables, image, parallel.on_whole_batch)

    def _render(self, params, batch, x, frozen, keys):
        loss = self.config.loss
        latent, labels = batch["latent"], batch["attributes"]
        noise = common.draw_noise(self.generator.module, keys)
        y = _net(self.generator, params, frozen)(latent, noise=noise)
        # Squared: where the place of a thin line is uncertain, the least absolute error
        # is no line at all. The coarse image counts as much as the fine one.
        found = {"render_l2": jnp.square(y - x).mean()}
        small = jax.image.resize(y - x, (*x.shape[:1], 16, 16, 3), "linear")
        value = 4 * found["render_l2"] + 4 * jnp.square(small).mean()
        if loss.lpips:
            target = common.extract_features(frozen, x)
            found["render_lpips"] = common.distances(frozen, y, target)["lpips"].mean()
            value += loss.lpips * found["render_lpips"]
        if loss.attributes:
            net = frozen["feature_extractor"]
            _, seen = net(y)
            error = (seen - labels) / net.variables["buffers"]["attribute_std"]
            found["render_attributes"] = jnp.square(error).mean()
            value += loss.attributes * found["render_attributes"]
        return value, found

    def eval_step(self, state, frozen, batch, key):
        net = _net(self.generator, state["ema"], frozen, state["w_avg"])
        x = common.images(batch)
        keys = parallel.example_keys(key, x.shape[0])
        noise = common.draw_noise(net.module, keys)
        image = net(common.draw_z(net.module, keys), noise=noise)
        per_image = {}
        shown = {"real": x, "generated": jnp.clip(image, -1, 1)}
        if "feature_extractor" in frozen:
            per_image["real"] = _pooled(frozen["feature_extractor"], x)
            per_image["fake"] = _pooled(frozen["feature_extractor"], shown["generated"])
        if "latent" in batch and self.config.loss.render:
            y = net(batch["latent"], noise="const")
            per_image["render_l2"] = jnp.square(y - x).mean((1, 2, 3))
            shown["rendered"] = jnp.clip(y, -1, 1)
        return {"per_image": per_image, "images": shown}

    def phase(self, step: int) -> dict:
        loss = self.config.loss
        if not loss.adversarial:
            return {}
        return {
            "r1": loss.r1 > 0 and step % loss.r1_every == 0,
            "path": loss.path_length > 0 and step % loss.path_length_every == 0,
        }


def export(config: ConfigDict, state: dict, frozen: dict) -> dict[str, Net]:
    """The averaged generator."""
    module = common.generator(config)
    return {"generator": _variables(module, state["ema"], frozen, state["w_avg"])}


def summarize(per_image: dict[str, np.ndarray]) -> dict[str, float]:
    """The Fréchet distance in the feature extractor's space, and means."""
    scores = {k: float(v.mean()) for k, v in per_image.items() if v.ndim == 1}
    if "real" in per_image:
        distance = metrics.frechet_distance(per_image["real"], per_image["fake"])
        scores["frechet"] = float(distance)
    return scores


def _pooled(features: Net, x):
    return features(x, method="pooled")


def _noise(generator: Net):
    return generator.variables["buffers"]["synthesis"]


def _net(generator: Net, params, frozen, w_avg=None) -> Net:
    return _variables(generator.module, params, frozen, w_avg)


def _variables(module, params, frozen, w_avg=None) -> Net:
    if w_avg is None:
        w_avg = jnp.zeros((module.w_dim,))
    buffers = {"mapping": {"w_avg": w_avg}, "synthesis": frozen["noise"]}
    return Net(module, {"params": params, "buffers": buffers})


def _generate(generator, params, frozen, config, keys):
    """An image and w+ for each key, some with mixed styles."""
    num_ws = generator.module.num_ws

    def cut(key):  # the first row of the other style
        place, chance = jax.random.split(key)
        mixed = jax.random.uniform(chance, (1, 1)) < config.loss.style_mixing
        return jnp.where(mixed, jax.random.randint(place, (1, 1), 1, num_ws), num_ws)

    net = _net(generator, params, frozen)
    first, second, cuts, noise = jax.vmap(jax.random.split, (0, None), 1)(keys, 4)
    w, other = (
        net(common.draw_z(net.module, k), method="mapping") for k in (first, second)
    )
    w_plus = mix(w, other, jax.vmap(cut)(cuts), num_ws)
    noise = common.draw_noise(net.module, noise)
    return net(w_plus, noise, method="synthesis"), w_plus


def _path_length(generator, params, frozen, config, keys, mean):
    """Penalty on |Jᵀ·y| away from its running mean, for a batch of fresh images."""
    net, size = _net(generator, params, frozen), generator.module.resolution
    first, noise, direction = jax.vmap(jax.random.split, (0, None), 1)(keys, 3)
    _, w_plus = _generate(generator, params, frozen, config, first)
    noise = common.draw_noise(net.module, noise)
    y = jax.vmap(lambda key: jax.random.normal(key, (size, size, 3)))(direction) / size

    def projected(w_plus):
        return jnp.sum(net(w_plus, noise, method="synthesis") * y)

    slope = jax.grad(projected)(w_plus)
    lengths = jnp.sqrt(jnp.square(slope).sum(-1).mean(-1))
    now = jax.lax.pmean(lengths.mean(), parallel.AXIS)
    mean = mean + (1 - _PATH_DECAY) * (now - mean)
    return jnp.square(lengths - mean).mean(), jax.lax.stop_gradient(mean)
