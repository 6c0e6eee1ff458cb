"""Trains the hypernetwork (https://arxiv.org/abs/2111.15666).

Every pass adds to the offsets and is judged by its own picture. Offsets and picture are
detached between passes, the T gradients are added up, one optimizer step follows. The
gradient is taken inside the scan's body: the same numbers, and memory flat in T. Those
of the large matrices stay factors until the optimizer needs them (`factors.py`).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from hyperstyle_jax import trees
from hyperstyle_jax.inversion import hyperstyle
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.loop.fit import Task
from hyperstyle_jax.models.hypernet import Hypernet, centralized_axes, heads
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, synthesize
from hyperstyle_jax.training import augment, common, factors, optimizers, sources

# Stored first inversions are int16: this many steps per unit, from −2 to 2.
STORED_SCALE = 16383.5


def module(config: ConfigDict) -> Hypernet:
    """The hypernetwork that fits the config's generator."""
    fields = dict(config.model.hypernet)
    options = {k: fields.pop(k) for k in ("preset", "to_rgb", "separable")}
    return Hypernet(heads(common.generator(config), **options), **fields)


def make_task(config: ConfigDict, judges: dict[str, Net] | None = None) -> Task:
    """Frozen generator, encoder and judges; the hypernetwork is trained.

    Args:
        judges: networks of the losses by the names of `common.judges`, which is asked
            otherwise.
    """
    frozen = {
        "generator": common.load_generator(config),
        "encoder": common.load_encoder(config),
        **(common.judges(config) if judges is None else judges),
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
        grads, stats, (found, large) = common.in_parts(
            partial(_gradients, config, frozen, state["params"]),
            state["batch_stats"],
            {k: batch[k] for k in ("image", "w", "inversion") if k in batch},
            config.accumulate,
        )
        found = {name: value.mean(0) for name, value in found.items()}
        grads, norm = factors.averaged(grads, large)
        metrics = {
            f"{k}/pass{t + 1}": v[t] for k, v in found.items() for t in range(num_iters)
        }
        metrics |= {k: v[-1] for k, v in found.items()} | {"grad_norm": norm}

        def update(state):
            return common.renewed(
                tx, config.optim.ema, state, factors.whole(grads), stats
            )

        return update, metrics

    columns = ("target", "inversion", *(f"pass {t + 1}" for t in range(num_iters)))
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
    start = first(frozen, batch, dtype)
    target = common.describe(frozen, x, dtype)
    judge = partial(pass_loss, config, net, frozen, target)
    hypernet = Net(net, _variables(params, stats))
    found = passes(judge, hypernet, start, config.num_iters)
    return found.grads, found.stats, (found.losses, found.factors)


def _eval(config, state, frozen, batch, key):
    """Distances and pictures of the first inversion and after every pass."""
    x, dtype = common.images(batch), jnp.dtype(config.precision)
    hypernet = export(config, state, frozen)["hypernet"]
    result = hyperstyle.invert(
        frozen["encoder"],
        hypernet,
        frozen["generator"],
        x.astype(dtype),
        config.num_iters,
    )
    shown = {"target": x, "inversion": result.steps[0]}
    shown |= {f"pass {t}": y for t, y in enumerate(result.steps) if t}
    found, target = {}, common.describe(frozen, x)
    for t, y in enumerate(result.steps):
        last = common.compare(frozen, y, target)
        last |= {"loss": common.weighted(config, last)}
        found |= {f"{name}/pass{t}": value for name, value in last.items()}
    return {"per_image": found | last, "images": shown}


def first(frozen: dict[str, Net], batch, dtype=jnp.float32) -> Inversion:
    """w = E(x) and its picture, with random noise off; no codes, no offsets.

    Args:
        batch: "image" float32 [B, H, W, 3]; or also "w" [B, D] and "inversion"
            (as `pre_extract` stores it), which are then not worked out again.
    """
    x = batch["image"]
    if "w" in batch:
        y = batch["inversion"].astype(jnp.float32) / STORED_SCALE
        return Inversion(batch["w"], {}, {}, y)
    w = frozen["encoder"](x.astype(dtype))
    y = frozen["generator"](w, method="synthesis", dtype=dtype)
    return jax.lax.stop_gradient(Inversion(w, {}, {}, hyperstyle.view(y, x.shape[1:3])))


def pass_loss(config, module, frozen, target, params, stats, inversion, taps=None):
    """The loss of one pass.

    Args:
        target: of `common.describe`.
        params, stats: of the hypernetwork; only `params` are differentiated.
        inversion: with the offsets of the passes before.
        taps: zeros added to the products with large matrices, see `factors`.

    Returns:
        loss, (new statistics, new inversion, {name: mean loss}, rows of `factors`).
    """
    x, dtype = target[0], jnp.dtype(config.precision)
    net = Net(module, _variables(params, stats))
    codes, new = net(
        x.astype(dtype), inversion.image, train=True, mutable=["batch_stats"]
    )
    tapped = Net(module, {"params": params} | ({"taps": taps} if taps else {}))
    codes = hyperstyle.single_pass(module, codes)
    deltas, seen = tapped(codes, 1, method="decode", mutable=["rows"])
    offsets = {k: inversion.offsets[k] + d for k, d in deltas.items()}
    inversion = inversion.replace(offsets=offsets)
    y = synthesize(frozen["generator"], inversion, dtype=dtype, remat=config.remat)
    y = hyperstyle.view(y, x.shape[1:3])
    distances = common.compare(frozen, y, target, dtype)
    loss = common.weighted(config, distances).mean()
    found = {name: value.mean() for name, value in distances.items()}
    inversion = inversion.replace(image=y)
    found |= {"loss": loss}
    return loss, (new["batch_stats"], inversion, found, seen.get("rows", {}))


class Passes(NamedTuple):
    """What T passes found.

    Attributes:
        grads: added up over the passes, without those in `factors`.
        factors: of the other gradients, {path: Factors} with leading axis T.
        stats, inversion: after the last pass. losses: {name: [T]}.
    """

    grads: dict
    factors: dict[str, factors.Factors]
    stats: dict
    inversion: Inversion
    losses: dict[str, jax.Array]


def passes(judge, hypernet: Net, start: Inversion, num_iters: int, scanned=None):
    """T passes with their gradients.

    Args:
        judge: `pass_loss` from `params` on.
        scanned: as in `common.loop`.

    Returns:
        `Passes`.
    """
    params, stats = hypernet.params, hypernet.variables["batch_stats"]
    batch = start.w_plus.shape[0]
    start = start.replace(offsets=no_offsets(hypernet.module, batch))
    taps = _no_taps(hypernet, batch)
    gradient = jax.value_and_grad(judge, argnums=(0, 3), has_aux=True)

    def body(carry, _):
        inversion, stats, total = carry
        (_, aux), (grads, deltas) = gradient(params, stats, inversion, taps)
        stats, inversion, found, rows = aux
        large = factors.pair(rows, deltas)
        grads = jax.tree.map(jnp.add, total, factors.without(grads, large))
        inversion = jax.lax.stop_gradient(inversion)
        inversion = inversion.replace(image=_after(inversion.image, (grads, large)))
        return (inversion, stats, grads), (found, large)

    total = jax.tree.map(jnp.zeros_like, factors.without(params, trees.flatten(taps)))
    carry = (start, stats, total)
    carry, (found, large) = common.loop(body, carry, None, num_iters, scanned)
    end, stats, grads = carry
    return Passes(grads, large, stats, end, found)


def _after(x, done):
    """x, once `done` is.

    On a CPU XLA would render the next pass before the gradients of this one, and keep
    the feature maps of both; it drops barriers. Not finite where a gradient is not: the
    step is left out then.
    """
    return x + 0.0 * sum(leaf.ravel()[0] for leaf in jax.tree.leaves(done))


def _no_taps(hypernet: Net, batch: int) -> dict:
    """Zeros in the shapes of the products with large matrices."""
    module = hypernet.module
    codes = {head[0]: jnp.zeros((batch, module.code)) for head in module.heads}
    decode = partial(hypernet, num_iters=1, method="decode", mutable=["taps"])
    _, found = jax.eval_shape(decode, hyperstyle.single_pass(module, codes))
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), found.get("taps", {}))


def no_offsets(module: Hypernet, batch: int) -> dict[str, jax.Array]:
    """Zero offsets of every layer, in the shapes that the heads give."""
    found = {}
    for path, i, o, kernel, kind in module.heads:
        full = kind == "separable" or (kind == "shared" and module.shared_kernel)
        taps = (kernel, kernel) if full else ()
        found[path] = jnp.zeros((batch, *taps, i, o))
    return found


def export(config: ConfigDict, state: dict, frozen: dict) -> dict[str, Net]:
    """Everything that inversion needs."""
    params = state.get("ema", state["params"])
    variables = _variables(params, state["batch_stats"])
    kept = common.without_released(frozen)
    return {"hypernet": Net(module(config), variables), **kept}


def _variables(params, stats):
    return {"params": params, "batch_stats": stats}
