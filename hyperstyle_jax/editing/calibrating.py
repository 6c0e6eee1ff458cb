"""Measures what directions do, on images that they were not fitted with."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import faces
from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, latent_only, render
from hyperstyle_jax.weights.bundle import Bundle
from hyperstyle_jax.weights.calibrations import Calibration

STRENGTHS = (-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0)
_LEAST_SLOPE = 0.25  # of the curve within the safe range, relative to that at 0
_MOST_SIDE_EFFECT = 1.0  # standard deviations, within the safe range
# As the drawn faces' labels have them; other attributes have no unit.
_UNITS = {"degrees": "deg", "years": "years"}


class Meter(NamedTuple):
    """What reads attributes.

    Attributes:
        names: of the attributes.
        units: {name: unit}, of those that have one.
        std: standard deviation of each among generated images, [A].
        read: images [N, R, R, 3] in [-1, 1] → attributes [N, A] and vectors of
            identity [N, E] of length one, or None.
    """

    names: tuple[str, ...]
    units: Mapping[str, str]
    std: np.ndarray
    read: Callable[[jax.Array], tuple[jax.Array, jax.Array | None]]


class Effects(NamedTuple):
    """What a direction did to B images at S strengths.

    Attributes:
        strengths: [S], increasing, with 0.
        values: attributes [B, S, A], in their units.
        identity: cosine similarity to the unedited image [B, S]; None without one.
    """

    strengths: np.ndarray
    values: np.ndarray
    identity: np.ndarray | None

    def changes(self) -> np.ndarray:
        """Changes of the attributes from strength 0, [B, S, A]."""
        zero = int(np.flatnonzero(self.strengths == 0)[0])
        return self.values - self.values[:, zero : zero + 1]


def extractor_meter(bundle: Bundle, std: np.ndarray) -> Meter:
    """Reads by the bundle's feature extractor.

    Args:
        bundle: with a feature extractor and the names of its attributes.
        std: of each attribute among generated images, [A].

    Raises:
        ValueError: the bundle has no feature extractor or names no attributes.
    """
    (extractor,) = bundle.require("feature_extractor")
    names = attribute_names(bundle)
    units = {
        name: unit
        for name in names
        for start, unit in _UNITS.items()
        if faces.ATTRIBUTES.get(name, "").startswith(start)
    }
    size = bundle.image_size
    return Meter(
        tuple(names), units, np.asarray(std), partial(_extract, size, extractor)
    )


def attribute_names(bundle: Bundle) -> list[str]:
    """The attributes that a bundle's feature extractor reads.

    Raises:
        ValueError: it names none.
    """
    if names := bundle.info.get("attributes"):
        return list(names)
    raise ValueError("the bundle's feature extractor names no attributes")


@partial(jax.jit, static_argnums=0)
def _extract(size: tuple[int, int], extractor: Net, images: jax.Array):
    images = jnp.clip(crop_and_pool(images, size), -1, 1)
    identity, attributes = extractor(images)
    return attributes, identity


def generated(generator: Net, count: int, seed: int) -> Inversion:
    """Images of the generator as inversions.

    Args:
        generator: Net of a Generator.
        count: B.
        seed: another one than the directions were fitted with.
    """
    z = jax.random.normal(jax.random.key(seed), (count, generator.module.z_dim))
    w = generator(z, method="mapping")
    return latent_only(w, generator.module.num_ws)


def measure(
    generator: Net,
    meter: Meter,
    inversion: Inversion,
    direction: np.ndarray,
    strengths: Sequence[float] = STRENGTHS,
    batch_size: int = 8,
) -> Effects:
    """Edits images along a direction and reads them.

    Args:
        generator: Net of a Generator.
        meter: of `extractor_meter`.
        inversion: of B images.
        direction: [D] or [L, D].
        strengths: S, increasing, with 0 among them.
        batch_size: the number of images whose edits are rendered together.
    """
    steps = np.multiply.outer(np.asarray(strengths, np.float32), direction)
    return measure_steps(generator, meter, inversion, steps, strengths, batch_size)


def measure_steps(
    generator: Net,
    meter: Meter,
    inversion: Inversion,
    steps: np.ndarray,
    strengths: Sequence[float],
    batch_size: int = 8,
    reference: np.ndarray | None = None,
) -> Effects:
    """Takes any steps in w+ with images and reads them.

    Args:
        generator, meter, inversion, batch_size: as in `measure`.
        steps: [S, D] or [S, L, D].
        strengths: what they are called, with 0 for the step of zeros.
        reference: vectors of identity [B, E] to compare with; by default those of the
            unedited images.
    """
    shifts = jnp.asarray(steps if steps.ndim == 3 else steps[:, None])
    count, rows = len(inversion.w_plus), []
    for start in range(0, count, batch_size):
        # The last batch is filled up: one shape compiles once.
        index = np.minimum(np.arange(start, start + batch_size), count - 1)
        batch = jax.tree.map(lambda leaf, i=index: leaf[i], inversion)
        images = _render_edits(generator, batch, shifts)
        shape = images.shape[:2]
        read = jax.device_get(meter.read(images.reshape(-1, *images.shape[2:])))
        read = jax.tree.map(lambda a, s=shape: a.reshape(*s, -1), read)
        rows.append(jax.tree.map(lambda a, n=count - start: a[:n], read))
    values, vectors = jax.tree.map(lambda *a: np.concatenate(a), *rows)
    similarity = None
    if vectors is not None:
        if reference is None:
            reference = vectors[:, list(strengths).index(0.0)]
        similarity = np.einsum("bse,be->bs", vectors, reference)
    return Effects(np.asarray(strengths), values, similarity)


@jax.jit
def _render_edits(generator, inversion, steps):
    """Images [B, S, R, R, 3] after each step."""
    return render(generator, inversion, inversion.w_plus[:, None] + steps)


def join(effects: Sequence[Effects]) -> Effects:
    """The effects of one direction on several groups of images as those on all."""
    identity = [e.identity for e in effects if e.identity is not None]
    return Effects(
        effects[0].strengths,
        np.concatenate([e.values for e in effects]),
        np.concatenate(identity) if len(identity) == len(effects) else None,
    )


def calibrate(meter: Meter, attribute: str, effects: Effects) -> Calibration:
    """Sums up measured effects as the calibration of a direction.

    Args:
        meter: that read the effects.
        attribute: that the direction is for.
        effects: on held-out images.

    Raises:
        ValueError: the direction does not raise the attribute around 0.
    """
    index, strengths = meter.names.index(attribute), effects.strengths
    changes = effects.changes().mean(0)  # [S, A]
    curve = changes[:, index].astype(np.float64)
    zero = int(np.flatnonzero(strengths == 0)[0])
    slopes = np.diff(curve) / np.diff(strengths)
    low, high = _around(slopes > 0, zero)
    if low == high:
        raise ValueError(f"the direction does not raise {attribute}")
    centre = slopes[max(zero - 1, 0) : zero + 1].mean()
    scaled = np.abs(changes / meter.std)
    side = np.delete(scaled, index, axis=1).max(1, initial=0)
    calm = np.maximum(side[:-1], side[1:]) <= _MOST_SIDE_EFFECT
    safe = _around((slopes >= _LEAST_SLOPE * centre) & calm, zero)
    kept = slice(low, high + 1)
    std = float(meter.std[index])
    calibration = Calibration(
        attribute,
        meter.units.get(attribute, ""),
        std,
        tuple(map(float, strengths[kept])),
        tuple(map(float, curve[kept])),
        (float(strengths[safe[0]]), float(strengths[safe[1]])),
        {},
        None,
        len(effects.values),
    )
    ends = [calibration.strength(sign, "sd") for sign in (-1.0, 1.0)]
    side_effects = {}
    for name, values, scale in zip(meter.names, changes.T, meter.std, strict=True):
        down, up = np.interp(ends, strengths, values)
        if name != attribute and scale > 0:
            side_effects[name] = float((up - down) / 2 / scale)
    identity = None
    if effects.identity is not None:
        similarity = effects.identity.mean(0)
        identity = float(np.interp(ends, strengths, similarity).mean())
    return calibration._replace(side_effects=side_effects, identity=identity)


def _around(good: np.ndarray, zero: int) -> tuple[int, int]:
    """The first and the last point around `zero` between which all is good.

    Args:
        good: of each distance between neighbouring points.
        zero: index of a point.
    """
    low = high = zero
    while low > 0 and good[low - 1]:
        low -= 1
    while high < len(good) and good[high]:
        high += 1
    return low, high
