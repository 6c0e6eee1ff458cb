"""Trains the hypernetwork (https://arxiv.org/abs/2111.15666).

Every iteration adds to the offsets and has a loss of its own. Offsets and image are
detached between iterations, the T gradients are added up (`iterations.py`), one
optimizer step follows.
"""

from functools import partial

import jax.numpy as jnp
from ml_collections import ConfigDict

from hyperstyle_jax.inversion import hyperstyle
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.loop.fit import Task
from hyperstyle_jax.models.hypernet import Hypernet, centralized_axes, tuned_layers
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import (
    augment,
    common,
    factors,
    iterations,
    optimizers,
    sources,
)


def module(config: ConfigDict) -> Hypernet:
    """The hypernetwork that fits the config's generator."""
    fields = dict(config.model.hypernet)
    options = {k: fields.pop(k) for k in ("preset", "to_rgb", "separable")}
    return Hypernet(tuned_layers(common.generator(config), **options), **fields)


def make_task(config: ConfigDict, loss_networks: dict[str, Net] | None = None) -> Task:
    """Frozen generator, encoder and loss networks; the hypernetwork is trained.

    Args:
        loss_networks: by the names that `common.loss_networks` gives them, which loads
            them otherwise.
    """
    frozen = {
        "generator": common.load_generator(config),
        "encoder": common.load_encoder(config),
        **(common.loss_networks(config) if loss_networks is None else loss_networks),
    }
    tx = optimizers.make(config.optim, config.num_steps, centralized=centralized_axes)
    num_iters = config.num_iters

    def init(key):
        variables = _hypernet(config).variables
        params, stats = variables["params"], variables["batch_stats"]
        state = {"params": params, "batch_stats": stats, "opt": tx.init(params)}
        return state | ({"ema": params} if config.optim.ema else {})

    def train_step(state, frozen, batch, key):
        x = common.images(batch)
        keys = parallel.example_keys(key, x.shape[0])
        batch = batch | {"image": augment.paste(x, keys, config.data.augment)}
        grads, stats, (distances, large) = common.in_parts(
            partial(_gradients, config, frozen, state["params"]),
            state["batch_stats"],
            {k: batch[k] for k in ("image", "w", "inversion") if k in batch},
            config.accumulate,
        )
        distances = {name: value.mean(0) for name, value in distances.items()}
        grads, norm = factors.averaged(grads, large)
        metrics = {
            f"{name}/iteration{t + 1}": values[t]
            for name, values in distances.items()
            for t in range(num_iters)
        }
        metrics |= {name: values[-1] for name, values in distances.items()}

        def update(state):
            gradients = factors.materialize(grads)
            return common.apply_gradients(tx, config.optim.ema, state, gradients, stats)

        return update, metrics | {"grad_norm": norm}

    names = (f"iteration {t + 1}" for t in range(num_iters))
    columns = ("target", "inversion", *names)
    return Task(init, train_step, partial(_eval, config), frozen, columns=columns)


def _hypernet(config: ConfigDict) -> Net:
    shape, init = common.image_shape(config), config.init
    net = sources.net(
        "hypernet", init.hypernet, module(config), config.seed, [shape] * 2
    )
    return sources.with_trunk(net, "trunk", "resnet", init.trunk)


def _gradients(config, frozen, params, stats, batch):
    """Of one part of a batch: gradients, statistics, ({name: [T]}, factors)."""
    x, dtype = batch["image"], jnp.dtype(config.precision)
    net = module(config).clone(axis_name=parallel.AXIS)
    w_plus, image = iterations.initial_inversion(frozen, batch, dtype)
    target = common.extract_features(frozen, x, dtype)
    weights = common.loss_weights(config)
    loss_fn = partial(
        iterations.iteration_loss, weights, config.remat, net, frozen, target, dtype
    )
    hypernet = Net(net, {"params": params, "batch_stats": stats})
    start = iterations.State(w_plus, iterations.no_offsets(net, len(x)), image)
    result = iterations.run_iterations(loss_fn, hypernet, start, config.num_iters)
    return result.grads, result.stats, (result.losses, result.factors)


def _eval(config, state, frozen, batch, key):
    """Distances and images of the initial inversion and after every iteration."""
    x, dtype = common.images(batch), jnp.dtype(config.precision)
    hypernet = export(config, state, frozen)["hypernet"]
    nets = (frozen["encoder"], hypernet, frozen["generator"])
    images = hyperstyle.invert(*nets, x.astype(dtype), config.num_iters).images
    shown = {"target": x, "inversion": images[0]}
    shown |= {f"iteration {t}": y for t, y in enumerate(images) if t}
    per_image, target = {}, common.extract_features(frozen, x)
    for t, y in enumerate(images):
        distances = common.distances(frozen, y, target)
        distances["loss"] = common.weighted(common.loss_weights(config), distances)
        per_image |= {f"{name}/iteration{t}": v for name, v in distances.items()}
    return {"per_image": per_image | distances, "images": shown}


def export(config: ConfigDict, state: dict, frozen: dict) -> dict[str, Net]:
    """Everything that inversion needs."""
    params = state.get("ema", state["params"])
    variables = {"params": params, "batch_stats": state["batch_stats"]}
    kept = common.without_released(frozen)
    return {"hypernet": Net(module(config), variables), **kept}
