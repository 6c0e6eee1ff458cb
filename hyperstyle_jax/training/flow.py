"""Trains StyleFlow's flow for a generator and a network that reads attributes.

https://arxiv.org/abs/2008.02401. Latents are drawn from the mapping network, attributes
are what the feature extractor reads of their images, and the flow learns the density of
the first given the second, by maximum likelihood. Images cost more than the flow does:
each step draws `batch_size` of them and trains on eight times as many of the last ones.
The images of the data set are not used.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from hyperstyle_jax.editing import ode, styleflow
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.loop.fit import Task
from hyperstyle_jax.models.styleflow import StyleFlow
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import common, from_config, sources
from hyperstyle_jax.weights import specs

_REUSE = 8  # latents in a step for each one drawn
_POOL = 8192  # the last latents, from which a step's are chosen
_STEPS = 4  # of the equation, in training; edits follow it as closely as they need
# Latents of a generator may fill fewer dimensions than they have (48 of the demo's 128)
# and then have no density: they are blurred by this share of their deviation.
_BLUR = 0.05
_MOMENTUM = 0.01  # of running statistics, after the first 100 steps


def make_task(config: ConfigDict, load: sources.Load = sources.bundle_networks) -> Task:
    """The task with frozen generator and feature extractor; the flow is trained.

    Args:
        config: of the run.
        load: gives the networks of a source in `config.init`.

    Raises:
        ValueError: a source does not hold what the config describes.
    """
    generator = from_config.any_network("generator", config, load)
    features = from_config.any_network("feature_extractor", config, load)
    module = from_config.flow(config, generator, features)
    steps = _Steps(
        module=module,
        seed=config.seed,
        tx=from_config.optimizer(config),
        ema_decay=config.optim.ema,
    )
    frozen = {"generator": generator, "feature_extractor": features}
    return Task(
        steps.init,
        steps.train_step,
        steps.eval_step,
        frozen,
        summarize,
        columns=("drawn", "edited"),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Steps:
    """The steps of the task.

    In training the flow is given attributes divided by the deviations that the feature
    extractor was trained with, so that years and shares count alike.

    Attributes:
        module: the flow. seed: of its weights.
        tx: the optimizer. ema_decay: of the averaged weights; 0 for none.
    """

    module: StyleFlow
    seed: int
    tx: optax.GradientTransformation
    ema_decay: float

    def init(self, key):
        variables = specs.init_net(self.module, jax.random.key(self.seed)).variables
        params, count = variables["params"], len(self.module.attributes)
        state = {
            "params": params,
            "batch_stats": variables["batch_stats"],
            "opt": self.tx.init(params),
            "attributes": {"mean": jnp.zeros(count), "var": jnp.ones(count)},
            "pool": {
                "w": jnp.zeros((_POOL, self.module.w_dim)),
                "attributes": jnp.zeros((_POOL, count)),
            },
            "step": jnp.zeros((), jnp.int32),
        }
        return state | ({"ema": params} if self.ema_decay else {})

    def train_step(self, state, frozen, batch, key):
        keys = parallel.example_keys(key, len(batch["index"]))
        pool, filled = _renew(state["pool"], state["step"], _draw(frozen, keys))
        keys = jax.vmap(partial(jax.random.split, num=_REUSE))(keys).reshape(-1)
        w, attributes = _choose(pool, filled, keys)
        follow = partial(_follow, jnp.maximum(_MOMENTUM, 1 / (1 + state["step"])))
        stats = dict(state["batch_stats"])
        stats["norm_in"] = follow(stats["norm_in"], w)
        probe, blur = _noise(keys, w.shape[-1])
        w = w + _BLUR * _spread(stats) * blur
        condition = attributes / _unit(frozen)

        def loss(params):
            flow = Net(self.module, {"params": params, "batch_stats": stats})
            z, log_density = styleflow.log_density(
                flow, w, condition, probe, _in_equal_steps
            )
            return _bits(log_density, w).mean(), flow(z, method="enter_back")

        (bits, arrived), grads = jax.value_and_grad(loss, has_aux=True)(state["params"])
        grads, norm = common.average_gradients(grads)
        stats["norm_out"] = follow(stats["norm_out"], arrived)
        known = follow(state["attributes"], attributes)

        def update(state):
            new = common.apply_gradients(self.tx, self.ema_decay, state, grads, stats)
            return new | {
                "attributes": known,
                "pool": pool,
                "step": state["step"] + 1,
            }

        return update, {"bits": bits, "grad_norm": norm}

    def eval_step(self, state, frozen, batch, key):
        """Edits one attribute of each image by one standard deviation, up or down."""
        keys = parallel.example_keys(key, len(batch["index"]))
        w, before = _draw(frozen, keys)
        flow = Net(self.module, _in_own_units(state, frozen))
        probe, blur = _noise(keys, w.shape[-1])
        blurred = w + _BLUR * _spread(state["batch_stats"]) * blur
        density = styleflow.log_density(flow, blurred, before, probe)[1]
        std = jnp.sqrt(state["attributes"]["var"])
        requested = _requests(keys, len(self.module.attributes))
        z = styleflow.encode(flow, w, before)
        edited = styleflow.decode(flow, z, before + requested * std)
        images = [_render(frozen, latents) for latents in (w, edited)]
        after = frozen["feature_extractor"](images[1])[1]
        per_image = {
            "bits": _bits(density, w),
            "requested": requested,
            "measured": (after - before) / std,
        }
        return {
            "per_image": per_image,
            "images": dict(zip(("drawn", "edited"), images, strict=True)),
        }


def export(config: ConfigDict, state: dict, frozen: dict) -> dict[str, Net]:
    """The flow alone, which takes attributes in their own units."""
    module = from_config.flow(config, frozen["generator"], frozen["feature_extractor"])
    stds = np.sqrt(np.asarray(state["attributes"]["var"]))
    module = module.clone(stds=tuple(map(float, stds)))
    return {"flow": Net(module, _in_own_units(state, frozen))}


def summarize(per_image: dict[str, np.ndarray]) -> dict[str, float]:
    """The density of held-out latents, and how edits do what was asked.

    Args:
        per_image: "bits" [N]; "requested" and "measured" changes of attributes [N, A],
            in standard deviations.

    Returns:
        `bits` per dimension of w; `gain`, the measured change for one that was asked;
        their `correlation`; `side_effect`, the root of the mean squared change of the
        other attributes.
    """
    asked = per_image["requested"] != 0
    requested, measured = (per_image[k][asked] for k in ("requested", "measured"))
    others = per_image["measured"][~asked]
    return {
        "bits": float(per_image["bits"].mean()),
        "gain": float((requested * measured).sum() / np.square(requested).sum()),
        "correlation": float(np.corrcoef(requested, measured)[0, 1]),
        "side_effect": float(np.sqrt(np.square(others).mean())),
    }


def _in_equal_steps(velocity, start, _, end):
    return ode.solve_in_steps(velocity, start, end, _STEPS)


def _renew(pool: dict, step, drawn) -> tuple[dict, jax.Array]:
    """The pool with the step's latents of all devices in place of the oldest ones.

    Returns:
        It, and how many latents it has.
    """
    w, attributes = (jax.lax.all_gather(x, parallel.AXIS, tiled=True) for x in drawn)
    count, size = len(w), len(pool["w"])
    places = (step * count + jnp.arange(count)) % size
    pool = {
        "w": pool["w"].at[places].set(w),
        "attributes": pool["attributes"].at[places].set(attributes),
    }
    return pool, jnp.minimum((step + 1) * count, size)


def _choose(pool: dict, filled, keys) -> tuple[jax.Array, jax.Array]:
    """A latent and its attributes for each key."""
    places = jax.vmap(lambda key: jax.random.randint(key, (), 0, filled))(keys)
    return pool["w"][places], pool["attributes"][places]


def _draw(frozen, keys) -> tuple[jax.Array, jax.Array]:
    """New latents w [B, D], and the attributes [B, A] of their images."""
    z = common.draw_z(frozen["generator"].module, keys)
    w = frozen["generator"](z, method="mapping")
    return w, frozen["feature_extractor"](_render(frozen, w))[1]


def _render(frozen, w) -> jax.Array:
    return jnp.clip(frozen["generator"](w, method="synthesis"), -1, 1)


def _noise(keys, size: int) -> tuple[jax.Array, jax.Array]:
    """Two Gaussian vectors [B, D] of these keys that `_draw` does not use."""
    draw = jax.vmap(
        lambda key: jax.random.normal(jax.random.fold_in(key, 1), (2, size))
    )
    both = draw(keys)
    return both[:, 0], both[:, 1]


def _requests(keys, count: int) -> jax.Array:
    """[B, A]: 1 or −1 for one attribute of each image, else 0."""

    def request(key):
        which, sign = jax.random.split(jax.random.fold_in(key, 2))
        chosen = jax.random.randint(which, (), 0, count)
        return jax.nn.one_hot(chosen, count) * jax.random.rademacher(sign, ())

    return jax.vmap(request)(keys)


def _bits(log_density: jax.Array, w: jax.Array) -> jax.Array:
    """−log₂ p per dimension."""
    return -log_density / (np.log(2) * w.shape[-1])


def _follow(momentum, running: dict, values) -> dict:
    """Running mean and variance, moved towards those of a batch [B, D]."""
    mean = jax.lax.pmean(values.mean(0), parallel.AXIS)
    var = jax.lax.pmean(jnp.square(values - mean).mean(0), parallel.AXIS)
    batch = {"mean": mean, "var": var}
    moved = jax.tree.map(lambda r, b: r + momentum * (b - r), running, batch)
    return jax.lax.stop_gradient(moved)


def _spread(stats) -> jax.Array:
    """The root of the mean variance of w."""
    return jnp.sqrt(stats["norm_in"]["var"].mean())


def _unit(frozen) -> jax.Array:
    """The deviations [A] by which attributes are divided in training."""
    return frozen["feature_extractor"].variables["buffers"]["attribute_std"]


def _in_own_units(state, frozen) -> dict:
    """The flow's variables for attributes that are not divided by their deviations."""
    params = state.get("ema", state["params"])
    scale = jnp.concatenate([jnp.ones(1), 1 / _unit(frozen)])  # the first is the time

    def rescaled(path, value):
        by_context = path[-1].key in ("gate_weight", "shift_weight")
        return value * scale[:, None] if by_context else value

    params = jax.tree_util.tree_map_with_path(rescaled, params)
    return {"params": params, "batch_stats": state["batch_stats"]}
