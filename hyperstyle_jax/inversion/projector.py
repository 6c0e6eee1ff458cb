"""StyleGAN2's projector as it was released: a latent and noise maps by Adam.

https://arxiv.org/abs/1912.04958, appendix D. NVIDIA's code and PTI's copies of it
(https://arxiv.org/abs/2106.05744) differ in learning rate and samples alone. It
scales the noise on the latent by the root of the *total* variance of w, √D times the
deviation of one dimension; `optimize.py` is our own search.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import trange

from hyperstyle_jax import trees
from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import to_w_plus

_RAMP_UP, _RAMP_DOWN = 0.05, 0.25  # shares of the steps
_NOISE_FACTOR, _NOISE_RAMP = 0.05, 0.75
_REGULARIZER_WEIGHT = 1e5
_SMALLEST_MAP = 8  # the regularizer halves maps down to this side
_SEED = 123  # of the released code's samples of z

Maps = dict[str, jax.Array]
Distance = Callable[[Any, jax.Array], jax.Array]


class Draws(NamedTuple):
    """The random numbers of a projection.

    Attributes:
        maps: {layer, as "b8/conv0": [r, r]}, the noise maps at the start.
        latents: [steps, 1 or L, D], the noise on the latent before its scale.
    """

    maps: Maps
    latents: jax.Array


class Statistics(NamedTuple):
    """Of w: its mean [D], and the root of its total variance."""

    mean: jax.Array
    std: jax.Array


class Projected(NamedTuple):
    """The result of `project`.

    Attributes:
        w: [B, 1 or L, D].
        maps: {layer: [B, r, r]}, the tuned noise maps; the release throws them away.
        path: [steps, B, 1 or L, D], w after each step.
        distances: [steps, B], before each step.
        regularizers: [steps, B], of the noise maps, before their weight.
    """

    w: jax.Array
    maps: Maps
    path: jax.Array
    distances: jax.Array
    regularizers: jax.Array


@flax.struct.dataclass
class _Setting:
    """What stays the same in all steps."""

    generator: Net
    frozen: Any
    w_std: jax.Array
    size: tuple[int, ...] = flax.struct.field(pytree_node=False)


def statistics(generator: Net, samples: int) -> Statistics:
    """Mean and total deviation of w over the release's own samples of z.

    Args:
        generator: Net of a Generator.
        samples: their number: 10,000 in NVIDIA's code, 600 in PTI's.
    """
    z = np.random.RandomState(_SEED).randn(samples, generator.module.z_dim)
    w = np.asarray(_map(generator, jnp.asarray(z, jnp.float32)))
    mean = w.mean(0, keepdims=True)
    std = (np.square(w - mean).sum() / samples) ** 0.5
    return Statistics(jnp.asarray(mean[0]), jnp.float32(std))


def draw(generator: Net, steps: int, rows: int, seed: int = 0) -> Draws:
    """Random numbers for a projection of `steps` with latents of `rows` rows."""
    keys = iter(jax.random.split(jax.random.key(seed), 1 + len(_map_sides(generator))))
    latents = jax.random.normal(next(keys), (steps, rows, generator.module.w_dim))
    sides = _map_sides(generator).items()
    maps = {name: jax.random.normal(next(keys), (r, r)) for name, r in sides}
    return Draws(maps, latents)


def learning_rate(lr: float, step: int, steps: int) -> float:
    """The rate of a step: a linear rise from 0, a plateau, half a cosine down."""
    t = step / steps
    down = min(1.0, (1.0 - t) / _RAMP_DOWN)
    return lr * (0.5 - 0.5 * np.cos(np.pi * down)) * min(1.0, t / _RAMP_UP)


def project(
    generator: Net,
    distance: Distance,
    frozen: Any,
    batch: int,
    size: tuple[int, ...],
    start: Statistics,
    draws: Draws,
    lr: float = 0.1,
) -> Projected:
    """Finds latents and noise maps whose images have small distances.

    Args:
        generator: Net of a Generator.
        distance: (frozen, y [B, h, w, 3]) → [B], of images about [-1, 1].
        frozen: what `distance` uses: networks, targets.
        batch: B.
        size: (h, w) at which images are compared.
        start: `statistics` of the generator.
        draws: as `draw` makes them; all images of a batch have the same.
        lr: the largest learning rate.
    """
    steps, rows, dim = draws.latents.shape
    w = jnp.broadcast_to(start.mean, (batch, rows, dim))
    maps = jax.tree.map(lambda v: jnp.broadcast_to(v, (batch, *v.shape)), draws.maps)
    setting = _Setting(generator, frozen, start.std, size)
    state, history = _ADAM.init((w, maps)), []
    for step in trange(
        steps, desc="projection", unit="step", leave=False, disable=None
    ):
        rate = jnp.float32(learning_rate(lr, step, steps))
        ramp = max(0.0, 1.0 - step / steps / _NOISE_RAMP) ** 2
        noise = draws.latents[step]
        (w, maps), state, values = _step(
            setting, (w, maps), state, noise, jnp.float32(ramp), rate, distance=distance
        )
        history.append((w, *values))
    if not history:
        history_arrays = (jnp.zeros((0, *w.shape)), *[jnp.zeros((0, batch))] * 2)
    else:
        history_arrays = tuple(jnp.stack(v) for v in zip(*history, strict=True))
    return Projected(w, maps, *history_arrays)


# The learning rate is applied by hand, as it follows the step.
_ADAM = optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8)


def _step_(setting, tuned, state, noise, ramp, rate, *, distance):
    """One step → (w, maps), state, (distances [B], regularizers [B]) before it."""
    scale = setting.w_std * _NOISE_FACTOR * ramp

    def loss(tuned):
        w, maps = tuned
        y = render(setting.generator, w + scale * noise, maps, setting.size)
        values = distance(setting.frozen, y)
        regularizers = regularizer(maps)
        total = values + _REGULARIZER_WEIGHT * regularizers
        return total.sum(), (values, regularizers)

    (_, values), grads = jax.value_and_grad(loss, has_aux=True)(tuned)
    updates, state = _ADAM.update(grads, state)
    w, maps = jax.tree.map(lambda v, u: v - rate * u, tuned, updates)
    return (w, jax.tree.map(_normalized, maps)), state, values


_step = jax.jit(_step_, static_argnames="distance")


def render(
    generator: Net, w: jax.Array, maps: Maps | str, size: tuple[int, ...]
) -> jax.Array:
    """Images of latents with noise maps of their own.

    Args:
        generator: Net of a Generator.
        w: [B, 1 or L, D].
        maps: {layer: [B, r, r]}, or "const" for the generator's own.
        size: (h, w) of the images.

    Returns:
        [B, h, w, 3].
    """
    w = to_w_plus(w[:, 0], generator.module.num_ws) if w.shape[1] == 1 else w
    return crop_and_pool(generator(w, maps, method="synthesis"), size)


def regularizer(maps: Maps) -> jax.Array:
    """How much noise maps [B, r, r] look like pictures, [B].

    Σ of mean(v·shifted v)² for both neighbours, over the sizes r, r/2, … 8.
    """
    total: Any = 0.0
    for values in maps.values():
        v = values
        while True:
            for axis in (2, 1):
                total += jnp.square((v * jnp.roll(v, 1, axis)).mean((1, 2)))
            if v.shape[1] <= _SMALLEST_MAP:
                break
            half = v.shape[1] // 2
            v = v.reshape(len(v), half, 2, half, 2).mean((2, 4))
    return total


def _normalized(v):
    v = v - v.mean((1, 2), keepdims=True)
    return v * jax.lax.rsqrt(jnp.square(v).mean((1, 2), keepdims=True))


@jax.jit
def _map(generator, z):
    return generator(z, method="mapping")


def _map_sides(generator: Net) -> dict[str, int]:
    """{layer: side} of the noise maps."""
    flat = trees.flatten(generator.variables["buffers"])
    ending = "/noise_const"
    return {
        path.removeprefix("synthesis/").removesuffix(ending): value.shape[0]
        for path, value in flat.items()
        if path.endswith(ending)
    }
