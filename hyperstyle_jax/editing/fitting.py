"""Finds directions of a bundle, from its own networks or from anything that scores."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.editing import (
    boundaries,
    calibrating,
    ganspace,
    interfacegan,
    labelling,
    learned,
    sefa,
)
from hyperstyle_jax.editing.calibrating import Meter
from hyperstyle_jax.inversion import pipeline
from hyperstyle_jax.offsets import Inversion
from hyperstyle_jax.weights.bundle import Bundle
from hyperstyle_jax.weights.calibrations import Calibration

_HELD_OUT = 0.2  # of the labelled images


class Fitted(NamedTuple):
    """Directions by name, and a text on how well each fits held-out images."""

    directions: dict[str, np.ndarray]
    quality: dict[str, str]


def components(
    model: Bundle,
    method: str,
    count: int = 10,
    form: str | None = None,
    samples: int = 20_000,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """The strongest directions of a generator, which know no attributes.

    Args:
        model: with a generator.
        method: "sefa" or "ganspace".
        count: the number of directions.
        form: of `sefa.FORMS` or `ganspace.FORMS`; by default the first.
        samples: latents for GANSpace.
        seed: of these.

    Returns:
        {"sefa1": [D], …} or {"pc1": [D], …}; one unit of strength is one standard
        deviation of the generator's latents along the direction.

    Raises:
        ValueError: another method or form.
    """
    (generator,) = model.require("generator")
    z = jax.random.normal(jax.random.key(seed), (samples, generator.module.z_dim))
    w = np.asarray(jax.jit(lambda g, z: g(z, method="mapping"))(generator, z))
    if method == "ganspace":
        fitted = ganspace.fit_components(w, count, form or "exact")
        units, name = fitted.directions * fitted.std[:, None], "pc"
    elif method == "sefa":
        factors = sefa.factorize_as(generator, form or "ours")
        found = factors.directions[:count]
        units, name = found * (w @ found.T).std(0)[:, None], "sefa"
    else:
        raise ValueError(f"method {method!r}: expected sefa or ganspace")
    return {f"{name}{i + 1}": unit for i, unit in enumerate(units)}


def attributes(
    model: Bundle,
    labelled: labelling.LabelledLatents,
    names: Sequence[str],
    method: str = "interfacegan",
    *,
    steps: int = 300,
    seed: int = 0,
) -> Fitted:
    """Directions for attributes that the bundle's feature extractor reads.

    Args:
        model: with generator and feature extractor.
        labelled: of `labelling.label`.
        names: of the attributes.
        method: "interfacegan", "svm" or "learned".
        steps: of learning.
        seed: of learning.

    Raises:
        ValueError: an attribute does not vary, or another method.
    """
    generator, extractor = model.require("generator", "feature_extractor")
    known = calibrating.attribute_names(model)
    scores = dict(zip(known, labelled.attributes.T, strict=True))
    if method == "svm":
        return _svm(labelled.w, {name: scores[name] for name in names})
    varied = {k: v for k, v in scores.items() if v.std() > 0 or k in names}
    linear = interfacegan.fit_directions(labelled.w, varied, only=names)
    share = {k: f"{linear.explained[k]:.0%} of its variance is linear" for k in names}
    if method == "interfacegan":
        return Fitted(dict(linear.directions), share)
    if method != "learned":
        raise ValueError(f"method {method!r}: expected interfacegan, svm or learned")
    directions = {
        name: learned.learn_direction(
            generator, extractor, labelled, known.index(name), start,
            steps=steps, seed=seed,
        )
        for name, start in linear.directions.items()
    }  # fmt: skip
    return Fitted(directions, share)


def _svm(w: np.ndarray, scores: dict[str, np.ndarray]) -> Fitted:
    directions, quality = {}, {}
    for name, values in scores.items():
        # The extremes: 2 %, as released, or some hundreds if that is more.
        extremes = max(0.02, min(0.25, 300 / len(w)))
        fitted = boundaries.fit_boundary(w, values, extremes=extremes)
        directions[name] = fitted.normal * (w @ fitted.normal).std()
        quality[name] = (
            f"accuracy {fitted.validation:.1%} on held-out extremes, "
            f"{fitted.remaining:.1%} on the images between"
        )
    return Fitted(directions, quality)


def held_out(
    model: Bundle, photos: Sequence[np.ndarray] | None, count: int, seed: int
) -> list[Inversion]:
    """Images to calibrate with: generated ones, and inversions.

    Args:
        model: with a generator; without encoder and hypernetwork there are no
            inversions.
        photos: to invert; by default generated images.
        count: of each kind.
        seed: another one than the directions were fitted with.
    """
    (generator,) = model.require("generator")
    drawn = calibrating.generated(generator, 2 * count, seed)
    groups = [jax.tree.map(lambda a: a[:count], drawn)]
    if {"encoder", "hypernet"} <= set(model.nets):
        if photos is None:
            rest = drawn.w_plus[count:]
            x = jax.jit(lambda g, w: g(w, method="synthesis"))(generator, rest)
            photos = list(np.clip(np.asarray(x), -1, 1))
        x = pipeline.prepare(model, photos[:count])
        num_iters = pipeline.checked_num_iters(model, None)
        groups.append(pipeline.decode(model, pipeline.refine(model, x, num_iters)))
    return groups


def calibrate(
    model: Bundle,
    meter: Meter,
    attribute: str,
    direction: np.ndarray,
    images: Sequence[Inversion],
) -> Calibration:
    """Measures one direction on all images together.

    Args:
        model: with a generator.
        meter: that reads the attribute.
        attribute: its name.
        direction: [D] or [L, D].
        images: of `held_out`.

    Raises:
        ValueError: the direction does not raise the attribute.
    """
    (generator,) = model.require("generator")
    effects = [
        calibrating.measure(generator, meter, group, direction) for group in images
    ]
    return calibrating.calibrate(meter, attribute, calibrating.join(effects))


def fit_direction(
    bundle: Bundle,
    score_fn: Callable[[jax.Array], jax.Array],
    name: str = "score",
    *,
    count: int = 5000,
    calibrate_on: int = 48,
    seed: int = 0,
) -> tuple[np.ndarray, Calibration, str]:
    """Fits a direction to any function of images, and calibrates it.

    Where the bundle has a feature extractor, the attributes that it reads are kept
    constant, apart from those that the score follows (correlation above 0.7).

    Args:
        bundle: with a generator.
        score_fn: images [B, R, R, 3] in [-1, 1] → scores [B]; any Python.
        name: of the attribute, for the calibration.
        count: images to draw.
        calibrate_on: held-out images of each kind.
        seed: of the images.

    Returns:
        The direction [D], ready for `hs.edit`; its calibration; and its quality on
        held-out images in words.

    Raises:
        ValueError: the score is the same for all images, or no direction raises it.
    """
    (generator,) = bundle.require("generator")
    w, scores, others = _scored(bundle, score_fn, count, seed)
    train = int(count * (1 - _HELD_OUT))
    kept = {
        k: v
        for k, v in others.items()
        if v.std() > 0 and abs(np.corrcoef(v, scores)[0, 1]) < 0.7
    }
    table = {name: scores} | {f"other {k}": v for k, v in kept.items()}
    table = {k: v[:train] for k, v in table.items()}
    fitted = interfacegan.fit_directions(w[:train], table, only=[name])
    quality = held_out_quality(w, scores, train)
    meter = score_meter(bundle, score_fn, name, scores, others)
    images = held_out(bundle, None, calibrate_on, seed + 1)
    direction = fitted.directions[name]
    measured = calibrate(bundle, meter, name, direction, images)
    return direction, measured, quality


def calibrate_score(
    bundle: Bundle,
    score_fn: Callable[[jax.Array], jax.Array],
    name: str,
    direction: np.ndarray,
    *,
    count: int = 2000,
    calibrate_on: int = 48,
    seed: int = 0,
) -> Calibration:
    """Calibrates a direction by any function of images; arguments as `fit_direction`.

    Raises:
        ValueError: the direction does not raise the score.
    """
    _, scores, others = _scored(bundle, score_fn, count, seed)
    meter = score_meter(bundle, score_fn, name, scores, others)
    images = held_out(bundle, None, calibrate_on, seed + 1)
    return calibrate(bundle, meter, name, direction, images)


def fit_pairs(
    bundle: Bundle, before: Sequence[np.ndarray], after: Sequence[np.ndarray]
) -> tuple[np.ndarray, str]:
    """The mean step from images before an edit to the same images after it.

    Args:
        bundle: with encoder and generator.
        before: P images [h, w, 3] in [-1, 1]. after: their edited versions.

    Returns:
        The direction [L, D], whose unit is the whole edit, and in words how many
        held-out pairs (every fifth) it points the right way.
    """
    encoder, generator = bundle.require("encoder", "generator")
    first, second = (
        np.concatenate([np.asarray(_encode(encoder, x)) for x in _batches(images)])
        for images in (before, after)
    )
    steps = second - first
    if steps.ndim == 2:
        steps = np.repeat(steps[:, None], generator.module.num_ws, axis=1)
    held = np.arange(len(steps)) % 5 == 0
    direction = steps[~held].mean(0)
    right = (steps[held] * direction).sum((1, 2)) > 0
    text = f"{right.mean():.1%} of {held.sum()} held-out pairs move along the direction"
    return direction, text


def _batches(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    size = labelling.BATCH
    return [np.stack(images[i : i + size]) for i in range(0, len(images), size)]


@jax.jit
def _encode(encoder, x):
    return encoder(x)


def held_out_quality(w: np.ndarray, scores: np.ndarray, train: int) -> str:
    """How well a linear function of w predicts scores that it was not fitted to."""
    w, scores = np.asarray(w, np.float64), np.asarray(scores, np.float64)
    mean, middle = w[:train].mean(0), scores[:train].mean()
    x = w - mean
    ridge = 1e-3 * train * x[:train].var()
    gram = x[:train].T @ x[:train] + ridge * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x[:train].T @ (scores[:train] - middle))
    predicted, true = x[train:] @ weights, scores[train:] - middle
    split = np.median(true)
    accuracy = ((predicted > np.median(predicted)) == (true > split)).mean()
    correlation = np.corrcoef(predicted, true)[0, 1]
    return f"held-out accuracy {accuracy:.1%}, correlation {correlation:.2f}"


def score_meter(
    bundle: Bundle,
    score_fn: Callable[[jax.Array], jax.Array],
    name: str,
    scores: np.ndarray,
    others: Mapping[str, np.ndarray],
) -> Meter:
    """Reads a score, and what the bundle's feature extractor reads beside it.

    Args:
        bundle: with or without a feature extractor.
        score_fn: images [B, R, R, 3] → [B].
        name: of the score.
        scores: of generated images [N], for its deviation.
        others: {attribute: [N]} of the same images.
    """
    std = np.array([np.std(scores), *(v.std() for v in others.values())])
    inner = calibrating.extractor_meter(bundle, std[1:]) if others else None

    def read(images):
        first = jnp.asarray(score_fn(jnp.clip(images, -1, 1)), jnp.float32)[:, None]
        if inner is None:
            return first, None
        values, identity = inner.read(images)
        return jnp.concatenate([first, values], axis=1), identity

    units = dict(inner.units) if inner else {}
    units.pop(name, None)
    names = (name, *(k if k != name else f"{k} of the extractor" for k in others))
    return Meter(names, units, std, read)


def _scored(bundle, score_fn, count, seed):
    """Latents [N, D], scores [N], and what the feature extractor reads {name: [N]}."""
    (generator,) = bundle.require("generator")
    extractor = None
    if "feature_extractor" in bundle.nets and bundle.info.get("attributes"):
        known = calibrating.attribute_names(bundle)
        extractor = calibrating.extractor_meter(bundle, np.ones(len(known)))
    rows = []
    for start in range(0, count, labelling.BATCH):
        w, images = labelling.draw(generator, seed, start // labelling.BATCH)
        score = np.asarray(score_fn(images), np.float32)
        if score.shape != (len(images),):
            raise ValueError(
                f"score_fn returned shape {score.shape} for {len(images)} images: "
                f"expected ({len(images)},)"
            )
        values = [extractor.read(images)[0]] if extractor else []
        rows.append(jax.device_get([w, score, *values]))
    w, scores, *values = (np.concatenate(a)[:count] for a in zip(*rows, strict=True))
    others = dict(zip(extractor.names, values[0].T, strict=True)) if extractor else {}
    return w, scores, others
