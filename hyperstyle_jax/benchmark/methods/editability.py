"""What edits keep, against how much they change: curves over strengths.

A strength does not change equally much in the inversions of two methods, so methods are
compared at equal measured changes of the attribute, in standard deviations of the real
images. An edited picture is compared with the target, not with its own reconstruction.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from hyperstyle_jax import images, losses, metrics
from hyperstyle_jax.benchmark.methods import inverting, quality
from hyperstyle_jax.benchmark.methods.plan import Plan, kept, key, nets_key
from hyperstyle_jax.editing.directions import sweep
from hyperstyle_jax.evaluation import results
from hyperstyle_jax.inversion.cropping import crop_and_pool

# Of the way to the ends of the safe range; beyond them for methods that edit weakly.
_SHARES = (1 / 3, 2 / 3, 1.0, 4 / 3)
_FARTHEST = 2.0  # standard deviations of the attribute, even where that is safe
_UNCALIBRATED = 3.0  # the strength at the ends where nothing has been measured
_HAS = 1.0  # standard deviations above the mean: the image "has" the attribute
# An aligned face with its hair, as parts of width and height; the rest is background.
_MIDDLE, _HALF_AXES = (0.5, 0.5), (0.40, 0.48)
_BATCH = 32


class Real(NamedTuple):
    """Real images as the meter and the Fréchet distance see them.

    Attributes:
        attributes: [M, A].
        features: [M, F].
    """

    attributes: np.ndarray
    features: np.ndarray


def real_images(plan: Plan) -> Real:
    """Reads the plan's reference images."""
    if plan.reference is None:
        pool = np.stack(list(plan.x.values()))
    else:
        pool = plan.reference()
    read = []
    for i in tqdm(range(0, len(pool), _BATCH), "real images", disable=None):
        part = pool[i : i + _BATCH]
        filled = np.concatenate([part, part[-1:].repeat(_BATCH - len(part), 0)])
        values = jax.device_get(_seen(*_read_plan(plan), images.to_float(filled)))
        read.append([v[: len(part)] for v in values])
    return Real(*(np.concatenate(arrays) for arrays in zip(*read, strict=True)))


def strengths(plan: Plan, direction: str) -> list[float]:
    """Nine strengths with 0 in the middle, the same for all methods."""
    ends = [-_UNCALIBRATED, _UNCALIBRATED]
    if calibration := plan.model.calibrations.get(direction):
        low, high = calibration.safe_changes()
        low, high = max(low, -_FARTHEST), min(high, _FARTHEST)
        ends = [calibration.strength(end, "sd") for end in (low, high)]
    down, up = ([share * end for share in _SHARES] for end in ends)
    return [round(float(s), 4) for s in (*down[::-1], 0.0, *up)]


def measure(
    plan: Plan, method: str, direction: str, failed: Mapping[str, str], real: Real
) -> dict[str, Any]:
    """The curves of one direction, unless they are on disk.

    Args:
        plan: of the benchmark, with a meter.
        method, failed: as of `quality.measure`.
        direction: a name.
        real: of `real_images`.

    Returns:
        `strengths` [S]; of each image the `change` of the attribute from strength 0 in
        standard deviations, `identity` {network: …} and `background`, all [N, S]; and
        `frechet` [S], the distance of the edited images from those real ones that have
        the attribute (or lack it, for negative strengths); None where there are none.
    """
    steps, meter = strengths(plan, direction), plan.meter
    if meter is None:
        raise ValueError("no network reads attributes: nothing measures edits")
    name = key(
        nets_key(plan), quality.notes(plan, method, failed), steps,
        plan.model.direction(direction), plan.reference_name, meter.attributes,
    )  # fmt: skip
    path = plan.file(method, f"edits_{direction}.json")
    make = partial(_measure, plan, method, direction, failed, real, steps)
    return kept(path, name, make)


def _measure(plan, method, direction, failed, real, steps) -> dict[str, Any]:
    index = plan.meter.attributes.index(direction)
    nets, sizes = _read_plan(plan)
    rows = []
    title = f"edits of {method}: {direction}"
    for name in tqdm(plan.names, title, unit="image", disable=None):
        inversion = inverting.load(plan, method, name, name in failed)
        y = edited(plan, inversion, direction, steps)
        x = images.to_float(plan.x[name])
        rows.append(jax.device_get(_compare(nets, x, y, sizes)))
    read = {k: np.stack([row[k] for row in rows]) for k in rows[0]}
    attribute = read.pop("attributes")[..., index]
    std = max(float(real.attributes[:, index].std()), 1e-6)
    change = (attribute - attribute[:, [steps.index(0.0)]]) / std
    features = read.pop("features")
    found = {"strengths": steps, "change": _rounded(change)}
    found["background"] = _rounded(read.pop("background"))
    found["identity"] = {role: _rounded(values) for role, values in read.items()}
    found["frechet"] = _frechet(real, index, features, steps)
    return found


def edited(plan: Plan, inversion, direction: str, steps) -> jax.Array:
    """An inversion of one image at all strengths, [S, h, w, 3] within [-1, 1]."""
    (generator,) = plan.model.require("generator")
    size = next(iter(plan.x.values())).shape[:2]
    move = plan.model.direction(direction)
    shown = sweep(generator, inversion, move, jnp.asarray(steps, jnp.float32))[0]
    return jnp.clip(crop_and_pool(shown, size), -1, 1)


def _read_plan(plan: Plan):
    """Networks by role, with the meter's; and the sizes of feature extractors."""
    measuring = {**plan.nets, "meter": plan.meter.measuring}
    sizes = tuple((k, m.size) for k, m in measuring.items() if m.size)
    return {k: m.net for k, m in measuring.items()}, sizes


@partial(jax.jit, static_argnames="sizes")
def _seen(nets, sizes, x):
    """Attributes [B, A] and features [B, F] of images [B, h, w, 3]."""
    x = losses.adaptive_pool(x, dict(sizes)["meter"])
    return nets["meter"](x)[1], nets["meter"](x, method="pooled")


@partial(jax.jit, static_argnames="sizes")
def _compare(nets, x, y, sizes):
    """A target [h, w, 3] with its edits [S, h, w, 3]: identities [S], and the rest."""
    values = {}
    for role, net in nets.items():
        if role in ("lpips", "meter"):
            continue
        size = dict(sizes).get(role)
        both = jnp.concatenate([x[None], y])
        both = losses.adaptive_pool(both, size) if size else both
        vectors = results.vectors(role, net, both)
        values[role] = metrics.similarity(vectors[1:], vectors[:1])
    x = jnp.broadcast_to(x, y.shape)
    outside = jnp.where(face_region(y.shape[1:3])[..., None], x, y)
    if net := nets.get("lpips"):
        values["background"] = losses.lpips(net, outside, x)
    else:
        pair = [losses.adaptive_pool(i, dict(sizes)["meter"]) for i in (outside, x)]
        values["background"] = nets["meter"](*pair, method="distances")[0]
    values["attributes"], values["features"] = _seen(nets, sizes, y)
    return values


def face_region(size: tuple[int, int]) -> np.ndarray:
    """Which pixels [H, W] may show the face or its hair: an ellipse."""
    rows, columns = ((np.arange(n) + 0.5) / n for n in size)
    x, y = (
        (values - middle) / half
        for values, middle, half in zip(
            (columns, rows), _MIDDLE, _HALF_AXES, strict=True
        )
    )
    return x[None] ** 2 + y[:, None] ** 2 <= 1


def _frechet(real: Real, index: int, features: np.ndarray, steps) -> list[Any]:
    attribute = real.attributes[:, index]
    scores = (attribute - attribute.mean()) / max(float(attribute.std()), 1e-6)
    sets = {1: real.features[scores >= _HAS], -1: real.features[scores <= -_HAS]}
    distances = []
    for i, strength in enumerate(steps):
        others = sets.get(int(np.sign(strength)), ())
        few = min(len(others), len(features)) < 2
        distance = None if few else metrics.frechet_distance(features[:, i], others)
        distances.append(distance if distance is None else round(distance, 6))
    return distances


def _rounded(values: np.ndarray) -> list:
    return [[round(float(v), 6) for v in row] for row in values]
