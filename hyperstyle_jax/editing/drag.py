"""Dragging moves points of an image to where they are wanted.

DragGAN (https://arxiv.org/abs/2305.10973): each step changes the latent so that the
features around every point move a little towards its target (motion supervision), then
finds the points again by their features (point tracking). Three things are ours. The
latent moves in units of the latents' deviations, which keeps faces faces. Points are
tracked between pixels. The steps end by themselves, and the best of them is the result.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from hyperstyle_jax.editing.feature_maps import feature_maps, sample
from hyperstyle_jax.editing.latents import covariance_root
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, generator_of

# Lengths are in 64ths of the image's side.
ARRIVED = 0.3  # distance to the target at which a point has arrived
QUIET = 5e-4  # mean squared change outside the mask that is good enough
_PATCH = 2.0  # radius of what moves with a point
_STRIDE = 1.5  # how far a step tries to move the features at most
_REACH = 2.5  # radius in which a point is looked for after a step
_GRID = 0.25  # spacing of the places where it is looked for
_RATE = 0.03  # of Adam, in deviations of the latents
_OUTSIDE = 200.0  # weight of squared changes of the image outside the mask
_PRIOR = 1e-3  # of the squared change of the latents, in deviations
_PATIENCE = 20  # steps without a better one after which the rate is halved
_HALVINGS = 3  # then the drag ends


class DragStep(NamedTuple):
    """A drag after some steps.

    Attributes:
        inversion: of one image, with the latents of this step.
        image: [R, R, 3], about [-1, 1], not clipped.
        points: [P, 2], x and y of the dragged points in pixels of the image.
        distances: [P], from there to the targets.
        outside: mean squared change of the image outside the mask; 0 without a mask.
    """

    inversion: Inversion
    image: jax.Array
    points: np.ndarray
    distances: np.ndarray
    outside: float


@flax.struct.dataclass
class _Setting:
    """What stays the same in all steps; places are in pixels of the feature maps."""

    net: Net  # the generator with the weights of the image
    w_plus: jax.Array  # [L, D], before the drag
    root: jax.Array  # C [D, D]; C·Cᵀ is the covariance of the latents
    image: jax.Array  # [R, R, 3], before the drag
    outside: jax.Array  # [R, R], 1 where nothing shall change
    targets: jax.Array  # [P, 2]
    patch: jax.Array  # [K, 2], places around a point
    grid: jax.Array  # [N, 2], where a point is looked for
    templates: jax.Array  # [P, K, C], the features around the points before the drag


@flax.struct.dataclass
class _State:
    """What a step hands to the next."""

    change: jax.Array  # [L, D], of the latents in deviations
    moments: optax.OptState
    points: jax.Array  # [P, 2]


def drag(
    generator: Net,
    inversion: Inversion,
    points: ArrayLike,
    targets: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    max_steps: int = 300,
) -> DragStep:
    """Moves points of one image to their targets; the result is the best step.

    Args:
        generator, inversion, points, targets, mask, max_steps: as in `steps`.

    Raises:
        ValueError: as in `steps`.
    """
    return best(steps(generator, inversion, points, targets, mask, max_steps=max_steps))


def best(taken: Iterator[DragStep] | Sequence[DragStep]) -> DragStep:
    """The step whose points are nearest to the targets and that kept the rest."""
    return min(taken, key=_fault)


def steps(
    generator: Net,
    inversion: Inversion,
    points: ArrayLike,
    targets: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    max_steps: int = 300,
) -> Iterator[DragStep]:
    """Drags step by step, to show each of them; `best` chooses among them.

    The steps end when all points have arrived and the image outside the mask is quiet,
    or when they no longer come nearer.

    Args:
        generator: Net of a Generator.
        inversion: of one image, by any method.
        points: [P, 2], x and y in pixels of the generator's image, from 0.
        targets: [P, 2], where the points shall go.
        mask: [R, R], true where the image may change; by default everywhere.
        max_steps: the most steps.

    Yields:
        The step without a change first.

    Raises:
        ValueError: more than one image, places outside the image, or a mask of another
            size.
    """
    setting, state = _start(generator, inversion, points, targets, mask)
    rate, waited, halvings, least = 1.0, 0, 0, np.inf
    for _ in range(max_steps + 1):
        state, seen = _step(setting, state, rate)
        step = _seen(setting, inversion, seen)
        yield step
        fault = _fault(step)
        if fault <= _DONE:
            return
        waited = 0 if fault < least - 0.02 else waited + 1
        least = min(fault, least)
        if waited >= _PATIENCE:
            rate, waited, halvings = rate / 2, 0, halvings + 1
            if halvings > _HALVINGS:
                return


def _fault(step: DragStep) -> float:
    """How far a step is from what is wanted, in 64ths of the image's side."""
    far = step.distances.max() * 64 / step.image.shape[0]
    return max(far, ARRIVED) + max(step.outside, QUIET) / QUIET * ARRIVED


_DONE = 2 * ARRIVED


def _start(generator, inversion, points, targets, mask) -> tuple[_Setting, _State]:
    size = generator.module.resolution
    if len(inversion.w_plus) != 1:
        raise ValueError(f"{len(inversion.w_plus)} images: a drag is of one")
    points, targets = _places(points, targets, size)
    mask = np.ones((size, size)) if mask is None else np.asarray(mask)
    if mask.shape != (size, size):
        raise ValueError(
            f"mask of {mask.shape}: expected {(size, size)}, as the generator's image"
        )
    net, w_plus = generator_of(generator, inversion), inversion.w_plus[0]
    image, maps = jax.jit(feature_maps)(net, w_plus)
    per_pixel = maps.shape[0] / size
    unit = maps.shape[0] / 64
    points, targets = ((p + 0.5) * per_pixel - 0.5 for p in (points, targets))
    patch = _disc(_PATCH * unit, max(1.0, unit / 2))
    setting = _Setting(
        net=net,
        w_plus=w_plus,
        root=jnp.asarray(covariance_root(generator)),
        image=image,
        outside=jnp.asarray(~mask.astype(bool), jnp.float32),
        targets=targets,
        patch=patch,
        grid=_disc(_REACH * unit, _GRID * unit),
        templates=sample(maps, points[:, None] + patch),
    )
    change = jnp.zeros_like(w_plus)
    return setting, _State(change, _optimizer().init(change), points)


def _places(points, targets, size) -> tuple[np.ndarray, np.ndarray]:
    points, targets = (np.asarray(p, np.float32) for p in (points, targets))
    if points.ndim != 2 or points.shape[1:] != (2,) or points.shape != targets.shape:
        raise ValueError(
            f"points {points.shape} and targets {targets.shape}: expected [P, 2] each"
        )
    both = np.concatenate([points, targets])
    if not (both >= 0).all() or not (both <= size - 1).all():
        raise ValueError(f"points and targets: expected places from 0 to {size - 1}")
    return points, targets


def _disc(radius: float, spacing: float) -> jax.Array:
    """Places (x, y) around 0 on a grid, the middle first, [K, 2]."""
    axis = np.arange(-(radius // spacing), radius // spacing + 1) * spacing
    places = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    lengths = np.hypot(*places.T)
    order = np.argsort(lengths, kind="stable")
    return jnp.asarray(places[order][lengths[order] <= radius + 1e-6], jnp.float32)


def _optimizer():
    return optax.adam(_RATE, b1=0.8, b2=0.95)


@jax.jit
def _step(setting: _Setting, state: _State, rate):
    """One step: the next state, and what the latents before it give."""

    def objective(change):
        w_plus = setting.w_plus + change @ setting.root.T
        image, maps = feature_maps(setting.net, w_plus)
        points = _track(setting, jax.lax.stop_gradient(maps), state.points)
        squared = jnp.square(image - setting.image).mean(-1) * setting.outside
        outside = squared.sum() / jnp.maximum(setting.outside.sum(), 1)
        loss = _motion(setting, maps, points) + _OUTSIDE * outside
        loss += _PRIOR * jnp.square(change).sum()
        return loss, (w_plus, image, points, outside)

    grads, seen = jax.grad(objective, has_aux=True)(state.change)
    updates, moments = _optimizer().update(grads, state.moments)
    change = state.change + rate * updates
    return _State(change, moments, seen[2]), seen


def _motion(setting, maps, points):
    """Motion supervision: |F(q) − F(q + d)| around each point, d towards its target."""
    way = setting.targets - points
    length = jnp.linalg.norm(way, axis=-1, keepdims=True)
    stride = _STRIDE * maps.shape[0] / 64
    way = way * jnp.minimum(1, stride / jnp.maximum(length, 1e-6))
    here = points[:, None] + setting.patch
    now = jax.lax.stop_gradient(sample(maps, here))
    return jnp.abs(now - sample(maps, here + way[:, None])).mean()


def _track(setting, maps, points):
    """Point tracking: the places near the points whose features are most alike."""

    def find(point, template):
        places = point + setting.grid
        features = sample(maps, places[:, None] + setting.patch)
        errors = jnp.abs(features - template).mean((1, 2))
        return places[jnp.argmin(errors)]

    return jax.vmap(find)(points, setting.templates)


def _seen(setting, inversion, seen) -> DragStep:
    w_plus, image, points, outside = seen
    points, targets, outside = jax.device_get((points, setting.targets, outside))
    size = setting.image.shape[0]
    per_map = max(1.0, size / 256)
    points, targets = ((p + 0.5) * per_map - 0.5 for p in (points, targets))
    distances = np.hypot(*(points - targets).T)
    moved = inversion.replace(w_plus=w_plus[None])
    return DragStep(moved, image, points, distances, float(outside))
