"""Trains the hypernetwork (https://arxiv.org/abs/2111.15666).

Every iteration adds to the offsets and has a loss of its own. Offsets and image are
detached between iterations, the T gradients are added up (`iterations.py`), one
optimizer step follows.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from hyperstyle_jax.inversion import hyperstyle
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.loop.fit import Task
from hyperstyle_jax.models.hypernet import Hypernet, centralized_axes
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import (
    augment,
    common,
    criteria,
    factors,
    from_config,
    iterations,
    sources,
)


def make_task(
    config: ConfigDict,
    load: sources.Load = sources.bundle_networks,
    loss_networks: dict[str, Net] | None = None,
) -> Task:
    """The task with frozen generator, encoder and loss networks.

    Args:
        config: of the run.
        load: gives the networks of a source in `config.init`.
        loss_networks: in place of those of `from_config.loss_networks`.

    Raises:
        ValueError: a source does not hold what the config describes.
    """
    if loss_networks is None:
        loss_networks = from_config.loss_networks(config, load)
    frozen = {
        "generator": from_config.load_generator(config, load),
        "encoder": from_config.load_encoder(config, load),
        **loss_networks,
    }
    steps = _Steps(
        module=from_config.hypernet(config),
        initial_hypernet=lambda: from_config.load_hypernet(config, load),
        tx=from_config.optimizer(config, centralized=centralized_axes),
        ema_decay=config.optim.ema,
        weights=from_config.loss_weights(config),
        num_iters=config.num_iters,
        paste_probability=config.data.augment,
        dtype=jnp.dtype(config.precision),
        remat=config.remat,
        accumulation_steps=config.accumulation_steps,
    )
    names = (f"iteration {t + 1}" for t in range(config.num_iters))
    columns = ("target", "inversion", *names)
    return Task(steps.init, steps.train_step, steps.eval_step, frozen, columns=columns)


@dataclasses.dataclass(frozen=True, eq=False)
class _Steps:
    """The steps of the task.

    Attributes:
        module: the hypernetwork. initial_hypernet: gives the one to begin with.
        tx: the optimizer. ema_decay: of the averaged weights; 0 for none.
        weights: λ by the name of the distance. num_iters: T.
        paste_probability: share of images that `augment.paste` changes.
        dtype, remat: of feature maps, see `iterations.iteration_loss`.
        accumulation_steps: parts of the batch, one after another.
    """

    module: Hypernet
    initial_hypernet: Callable[[], Net]
    tx: optax.GradientTransformation
    ema_decay: float
    weights: dict[str, float]
    num_iters: int
    paste_probability: float
    dtype: jnp.dtype
    remat: bool
    accumulation_steps: int

    def init(self, key):
        variables = self.initial_hypernet().variables
        params, stats = variables["params"], variables["batch_stats"]
        return common.fresh_state(self.tx, self.ema_decay, params, stats)

    def train_step(self, state, frozen, batch, key):
        x = common.images(batch)
        keys = parallel.example_keys(key, x.shape[0])
        batch = batch | {"image": augment.paste(x, keys, self.paste_probability)}
        grads, stats, (distances, large) = common.accumulate_gradients(
            partial(self._gradients, frozen, state["params"]),
            state["batch_stats"],
            {k: batch[k] for k in ("image", "w", "inversion") if k in batch},
            self.accumulation_steps,
        )
        distances = {name: value.mean(0) for name, value in distances.items()}
        grads, norm = factors.average_gradients(grads, large)
        metrics = {
            f"{name}/iteration{t + 1}": values[t]
            for name, values in distances.items()
            for t in range(self.num_iters)
        }
        metrics |= {name: values[-1] for name, values in distances.items()}

        def update(state):
            full = factors.materialize(grads)
            return common.apply_gradients(self.tx, self.ema_decay, state, full, stats)

        return update, metrics | {"grad_norm": norm}

    def _gradients(self, frozen, params, stats, batch):
        """Gradients, statistics and ({name: [T]}, factors) of a part of the batch."""
        module = self.module.clone(axis_name=parallel.AXIS)
        w_plus, image = iterations.initial_inversion(frozen, batch, self.dtype)
        target = criteria.extract_features(frozen, batch["image"], self.dtype)
        loss_fn = partial(
            iterations.iteration_loss,
            self.weights,
            module,
            frozen,
            target,
            dtype=self.dtype,
            remat=self.remat,
        )
        hypernet = Net(module, {"params": params, "batch_stats": stats})
        offsets = iterations.no_offsets(module, len(image))
        start = iterations.State(w_plus, offsets, image)
        result = iterations.run_iterations(loss_fn, hypernet, start, self.num_iters)
        return result.grads, result.stats, (result.losses, result.factors)

    def eval_step(self, state, frozen, batch, key):
        """Distances and images of the initial inversion and after every iteration."""
        x = common.images(batch)
        hypernet = _trained(self.module, state)
        nets = (frozen["encoder"], hypernet, frozen["generator"])
        images = hyperstyle.invert(*nets, x.astype(self.dtype), self.num_iters).images
        columns = {"target": x, "inversion": images[0]}
        columns |= {f"iteration {t}": y for t, y in enumerate(images) if t}
        per_image, target = {}, criteria.extract_features(frozen, x)
        for t, y in enumerate(images):
            distances = criteria.distances(frozen, y, target)
            distances["loss"] = criteria.weighted(self.weights, distances)
            per_image |= {f"{name}/iteration{t}": v for name, v in distances.items()}
        return {"per_image": per_image | distances, "images": columns}


def export(config: ConfigDict, state: dict, frozen: dict) -> dict[str, Net]:
    """The hypernetwork and the networks that an inversion needs beside it."""
    hypernet = _trained(from_config.hypernet(config), state)
    return {"hypernet": hypernet, **criteria.without_published(frozen)}


def _trained(module, state) -> Net:
    """The hypernetwork with its averaged weights, where there are any."""
    params = state.get("ema", state["params"])
    return Net(module, {"params": params, "batch_stats": state["batch_stats"]})
