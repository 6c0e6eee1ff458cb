"""Pivotal tuning: the generator's weights are tuned until it draws an image.

https://arxiv.org/abs/2106.05744. The latent, the pivot, stays; edits move away from it.
All parameters of the synthesis network are tuned, its noise maps are not.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from hyperstyle_jax import trees
from hyperstyle_jax.inversion import chunks, closeness
from hyperstyle_jax.inversion.closeness import Targets
from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion

TUNED = r"synthesis/.+"  # paths of the parameters
_ASK_EVERY = 10  # steps, after which the end is checked
PARTS = ("loss", "l2", "lpips", "locality")

Parameters = dict[str, jax.Array]


class Locality(NamedTuple):
    """The regularizer that keeps the generator as it was around the pivot.

    Samples w are drawn near the mean latent; from the pivot towards each of them,
    `alpha` far, old and new generator shall draw the same image, without noise maps.
    The mean over samples of weight·(L2 + perceptual distance) is added to the loss.
    """

    weight: float = 0.1
    alpha: float = 30.0
    samples: int = 1
    psi: float = 0.5


class Loss(NamedTuple):
    """What is minimized: l2·L2 + lpips·perceptual distance, and the regularizer.

    An image is done, before the update, once its perceptual distance is at most `stop`;
    0 never stops.
    """

    l2: float = 1.0
    lpips: float = 1.0
    stop: float = 0.06
    locality: Locality | None = None


DEFAULT = Loss()


class Tuned(NamedTuple):
    """The result of `tune`.

    Attributes:
        inversion: the pivots, with the tuned parameters as `replaced`.
        image: [B, h, w, 3], at the size of the targets.
        losses: {"loss", "l2", "lpips", "locality": [S, B]} before each update; NaN
            after an image was done.
        steps: int [B], how many updates each image took.
    """

    inversion: Inversion
    image: jax.Array
    losses: dict[str, np.ndarray]
    steps: np.ndarray


@flax.struct.dataclass
class _Setting:
    """What stays the same in all steps."""

    generator: Net
    targets: Targets
    w_plus: jax.Array
    lr: float | jax.Array


def tune(
    generator: Net,
    w_plus: jax.Array,
    targets: Targets,
    *,
    steps: int = 350,
    lr: float = 3e-4,
    loss: Loss = DEFAULT,
    start: Mapping[str, jax.Array] | None = None,
    draws: jax.Array | None = None,
) -> Tuned:
    """Tunes a generator for each image, all of them independent of the others.

    Args:
        generator: Net of a Generator.
        w_plus: the pivots [B, L, D].
        targets: of B images.
        steps: the most updates of an image; 0 returns the start.
        lr: of Adam.
        loss: what is minimized, and when an image is done.
        start: {path: [B, …]}, parameters to start from in place of the generator's.
        draws: z of the regularizer's samples [steps, N, Z], by default drawn.
    """
    own = own_parameters(generator, len(w_plus)) | dict(start or {})
    z = sampled(generator, loss, steps) if draws is None else draws
    parts = []
    with _bar(chunks.count(len(w_plus)) * steps) as bar:
        for rows in chunks.chunks(len(w_plus)):
            part = closeness.rows(targets, rows)
            setting = _Setting(generator, part, w_plus[rows], jnp.float32(lr))
            weights = {path: value[rows] for path, value in own.items()}
            parts.append(_tune_chunk(setting, weights, z, steps, loss, bar))
    replaced, images, losses, counts = zip(*parts, strict=True)
    inversion = Inversion(w_plus, replaced=_joined(replaced))
    image = jnp.concatenate(images)
    return Tuned(inversion, image, _side_by_side(losses), np.concatenate(counts))


def tune_together(
    generator: Net,
    w_plus: jax.Array,
    targets: Targets,
    *,
    steps: int = 350,
    lr: float = 3e-4,
    loss: Loss = DEFAULT,
    start: Mapping[str, jax.Array] | None = None,
    draws: jax.Array | None = None,
) -> Tuned:
    """Tunes one generator for all images, as for several of one person.

    In each of `steps` rounds every image has one update; none ends early.

    Args:
        generator, w_plus, targets, lr, loss, start: as of `tune`.
        steps: the rounds.
        draws: [steps·B, N, Z], for the updates in their order.

    Returns:
        Tuned; all images have the same parameters.
    """
    batch = len(w_plus)
    loss = loss._replace(stop=0.0)
    z = sampled(generator, loss, steps * batch) if draws is None else draws
    settings = [
        _Setting(generator, closeness.rows(targets, slice(i, i + 1)), w_plus[i : i + 1],
                 jnp.float32(lr))
        for i in range(batch)
    ]  # fmt: skip
    weights = own_parameters(generator, 1) | dict(start or {})
    state, done, history = jax.vmap(_ADAM.init)(weights), jnp.zeros(1, bool), []
    with _bar(steps * batch) as bar:
        for step in range(steps * batch):
            weights, state, _, values = _step(
                settings[step % batch], weights, state, done, z[step], loss
            )
            history.append(values)
            bar.update()
    image = jnp.concatenate([_draw(setting, weights) for setting in settings])
    shared = {k: jnp.broadcast_to(v, (batch, *v.shape[1:])) for k, v in weights.items()}
    losses = {k: v.reshape(steps, batch) for k, v in _stacked(history, 1).items()}
    counts = np.full(batch, steps)
    return Tuned(Inversion(w_plus, replaced=shared), image, losses, counts)


def sampled(generator: Net, loss: Loss, steps: int, seed: int = 0) -> jax.Array:
    """z of the regularizer's samples, [steps, N, Z]; N = 0 without a regularizer."""
    count = loss.locality.samples if loss.locality else 0
    shape = (steps, count, generator.module.z_dim)
    return jax.random.normal(jax.random.key(seed), shape)


def _bar(total):
    return tqdm(total=total, desc="tuning", unit="step", leave=False, disable=None)


def own_parameters(generator: Net, batch: int) -> Parameters:
    """The generator's parameters that are tuned, once for each image: [B, …]."""
    own = trees.select(generator.params, TUNED)
    return {k: jnp.broadcast_to(v, (batch, *v.shape)) for k, v in own.items()}


def _tune_chunk(setting, weights, draws, steps, loss, bar):
    """Some images at once → tuned weights, images, losses {name: [S, B]}, steps [B]."""
    batch = len(setting.w_plus)
    state = jax.vmap(_ADAM.init)(weights)
    done, history = jnp.zeros(batch, bool), []
    for step in range(steps):
        weights, state, done, values = _step(
            setting, weights, state, done, draws[step], loss
        )
        history.append(values)
        bar.update()
        # To ask means to wait for the device; images that are done do not change.
        if step % _ASK_EVERY == _ASK_EVERY - 1 and done.all():
            bar.update(steps - step - 1)
            break
    losses = _stacked(history, batch)
    evaluated = ~np.isnan(losses["loss"])
    losses = {name: values[evaluated.any(1)] for name, values in losses.items()}
    counts = evaluated.sum(0) - np.asarray(done)
    return weights, _draw(setting, weights), losses, counts


def _stacked(history, batch) -> dict[str, np.ndarray]:
    history, empty = jax.device_get(history), np.zeros((0, batch), np.float32)
    return {n: np.stack([h[n] for h in history]) if history else empty for n in PARTS}


# The learning rate is applied by hand, so that it is no constant of the program.
_ADAM = optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8)


@jax.jit
def _step(setting, weights, state, done, z, loss):
    """One step of all images → weights, state, done, values before the update."""
    stops = (loss.stop > 0) & (setting.targets.net is not None)

    def one(image, weights, state, done):
        grad = jax.value_and_grad(_image_loss, argnums=3, has_aux=True)
        (_, values), grads = grad(setting, image, loss, weights, z)
        now = done | (stops & (values["lpips"] <= loss.stop))
        updates, new = _ADAM.update(grads, state)
        moved = jax.tree.map(lambda w, u: w - setting.lr * u, weights, updates)
        keep = partial(jnp.where, now)
        weights, state = jax.tree.map(keep, (weights, state), (moved, new))
        return weights, state, now, values

    images = (setting.targets.x, setting.targets.features, setting.w_plus)
    weights, state, now, values = chunks.each(one, images, weights, state, done)
    values = {k: jnp.where(done, jnp.nan, v) for k, v in values.items()}
    return weights, state, now, values


def _image_loss(setting, image, loss, weights, z):
    """The loss of one image, and its parts by name."""
    x, features, pivot = jax.tree.map(lambda v: v[None], image)
    target = setting.targets.replace(x=x, features=features)
    tuned = with_parameters(setting.generator, weights)
    y = crop_and_pool(tuned(pivot, method="synthesis"), x.shape[1:3])
    l2, lpips = (value[0] for value in closeness.distances(target, y))
    total, local = loss.l2 * l2 + loss.lpips * lpips, jnp.zeros(())
    if loss.locality is not None:
        w = near_pivot(setting.generator, pivot, z, loss.locality)
        local = loss.locality.weight * _change(setting, tuned, w)
        total = total + local
    return total, {"loss": total, "l2": l2, "lpips": lpips, "locality": local}


def with_parameters(generator: Net, weights: Parameters) -> Net:
    """The generator with some parameters, {path: value}, in place of its own."""
    flat = trees.flatten(generator.params) | weights
    return generator.with_params(trees.unflatten(flat))


def near_pivot(
    generator: Net, pivot: jax.Array, z: jax.Array, locality: Locality
) -> jax.Array:
    """Latents around a pivot: pivot + α·(w − pivot)/‖w − pivot‖, over all rows.

    Args:
        generator: Net of a Generator, whose mapping network makes w of z.
        pivot: [1, L, D].
        z: [N, Z].
        locality: α, and ψ of the truncation of w.

    Returns:
        [N, L, D].
    """
    w = generator(z, method="mapping")
    away = generator(w, locality.psi, method="truncate")[:, None] - pivot
    length = jnp.sqrt(jnp.square(away).sum((1, 2), keepdims=True))
    return pivot + locality.alpha * away / length


def _change(setting, tuned, w):
    """How far new images of latents are from the old, without noise maps: a number."""
    size = setting.targets.x.shape[1:3]
    nets = (setting.generator, tuned)
    old, new = (crop_and_pool(n(w, "none", method="synthesis"), size) for n in nets)
    l2, lpips = closeness.distances(closeness.targets(setting.targets.net, old), new)
    return (l2 + lpips).mean()


@jax.jit
def _draw(setting, weights):
    def one(w, weights):
        tuned = with_parameters(setting.generator, weights)
        return tuned(w[None], method="synthesis")[0]

    images = chunks.each(one, setting.w_plus, weights)
    return crop_and_pool(images, setting.targets.x.shape[1:3])


def _joined(parts: Any) -> Parameters:
    return {path: jnp.concatenate([p[path] for p in parts]) for path in parts[0]}


def _side_by_side(parts: Any) -> dict[str, np.ndarray]:
    """Losses [S, B] of chunks that ended after different steps, side by side."""
    longest = max(len(part["loss"]) for part in parts)

    def longer(values):
        rows = ((0, longest - len(values)), (0, 0))
        return np.pad(values, rows, constant_values=np.nan)

    names = parts[0]
    return {n: np.concatenate([longer(p[n]) for p in parts], axis=1) for n in names}
