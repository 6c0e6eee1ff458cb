"""Edits of HyperStyle's inversions against those of a W+ search that is as close.

Both start at the encoder's w and are edited along the same directions, by the same
strength up and down. A feature extractor reads what became of attribute and person.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from hyperstyle_jax import images, losses
from hyperstyle_jax.editing.directions import sweep
from hyperstyle_jax.inversion import hyperstyle, pipeline
from hyperstyle_jax.inversion.optimize import optimize
from hyperstyle_jax.offsets import Inversion
from hyperstyle_jax.weights.bundle import Bundle

_FIRST_STEPS, _MAX_STEPS = 20, 1280
_GROWTH = 4  # at most so many times as many steps as in the search before
_TOLERANCE = 0.05  # how much closer than HyperStyle the search may end
_LPIPS = 0.8  # weight beside L2, as in HyperStyle's own training


class Comparison(NamedTuple):
    """A row per method and direction, and a page of images per direction."""

    rows: list[dict[str, Any]]
    images: dict[str, np.ndarray]


def compare(
    model: Bundle,
    x: np.ndarray,
    *,
    directions: Sequence[str] = ("smile", "yaw"),
    strength: float = 2.0,
    num_iters: int | None = None,
    shown: int = 6,
    eval_network: Bundle | None = None,
) -> Comparison:
    """Inverts and edits images both ways.

    Args:
        model: with a feature extractor, whose distance the W+ search minimizes.
        x: [B, h, w, 3] float in [-1, 1].
        directions: edit directions of the bundle.
        strength: in standard deviations; every image is edited this far up and down.
        num_iters: iterations of HyperStyle; default the model's own.
        shown: rows of images.
        eval_network: with the feature extractor that measures, and reads attributes of
            the directions' names; default `model`. One that no method was trained
            with is fairer.

    Returns:
        Rows with `l2` of the inversion; `identity`, how similar the edited images are
        to the targets, and `unedited`, how similar the inversions are; `change` of the
        attribute by an edit, upwards, in the attribute's own units.

    Raises:
        ValueError: a network, a direction or its attribute is missing.
    """
    eval_network = eval_network or model
    (generator,) = model.require("generator")
    (reader,) = eval_network.require("feature_extractor")
    known = eval_network.info.get("attributes", [])
    for name in directions:
        model.direction(name)
        if name not in known:
            raise ValueError(f"the feature extractor reads {known}, not {name!r}")
    methods = _both(model, x, pipeline.checked_num_iters(model, num_iters))
    strengths = np.array([-strength, 0.0, strength], np.float32)
    rows, images = [], {}
    for name in directions:
        strips = [x[:shown, None]]
        for method, (inversion, l2) in methods.items():
            edited = sweep(generator, inversion, model.direction(name), strengths)
            edited = _small(edited, x.shape[1:3])
            similarity, attributes = jax.device_get(_read(reader, x, edited))
            values = attributes[..., known.index(name)]
            row = {"method": method, "direction": name, "strength": strength}
            row |= {"l2": l2}
            row |= {"unedited": similarity[:, 1].mean()}
            row |= {"identity": similarity[:, [0, 2]].mean()}
            row |= {"change": (values[:, 2] - values[:, 0]).mean() / 2}
            rows.append({k: _rounded(v) for k, v in row.items()})
            strips.append(np.asarray(edited[:shown]))
        images[name] = _page(strips, strengths)
    return Comparison(rows, images)


def match(
    search: Callable[[int], tuple[Any, float]], target: float, limit: int = _MAX_STEPS
) -> tuple[int, tuple[Any, float]]:
    """The search that comes as close as `target`, and hardly closer.

    Args:
        search: number of steps → (result, its L2).
        target: the L2 to reach.
        limit: the most steps.

    Returns:
        Steps and what `search` gave; of the longest where none is close enough.
    """
    tried, close, best = [], None, None  # tried: those not close enough
    steps = min(_FIRST_STEPS, limit)
    while True:
        result, distance = search(steps)
        if distance <= target:
            close, best = (steps, distance), (result, distance)
        else:
            tried.append((steps, distance))
            if steps == limit:
                return steps, (result, distance)
        low = tried[-1][0] if tried else 0
        if close and (close[1] >= (1 - _TOLERANCE) * target or close[0] - low <= 1):
            return close[0], best
        known = [*tried, close] if close else tried
        steps = _by_power_law(known[-2:], (1 - _TOLERANCE / 2) * target)
        high = close[0] - 1 if close else min(_GROWTH * low, limit)
        steps = int(np.clip(steps, low + 1, high))


def _by_power_law(known: Sequence[tuple[int, float]], aim: float) -> float:
    """Steps at which a power law through searches (steps, L2) comes to `aim`.

    Of one search alone: L2 falls as one over the steps.
    """
    steps, distance = known[-1]
    if len(known) == 1:
        return steps * distance / aim
    before, its_distance = known[0]
    if not its_distance > distance > 0:
        return np.inf
    power = np.log(steps / before) / np.log(distance / its_distance)
    return steps * (aim / distance) ** power


def markdown(rows: Sequence[dict[str, Any]], count: int) -> str:
    """The rows as a table."""
    lines = [
        f"{count} held-out faces, edited by ±{rows[0]['strength']:g} standard "
        "deviations\n",
        "| method | L2 | edit | identity, unedited | edited | change by the edit |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        lines.append(
            f"| {row['method']} | {row['l2']:.4f} | {row['direction']} | "
            f"{row['unedited']:.3f} | {row['identity']:.3f} | {row['change']:+.3g} |"
        )
    lines.append(
        "\nThe W+ search starts at the encoder's w, minimizes L2 + "
        f"{_LPIPS} LPIPS form, and ends where it comes as close as HyperStyle."
    )
    return "\n".join(lines) + "\n"


def _both(model: Bundle, x, num_iters: int) -> dict[str, tuple[Inversion, float]]:
    """The inversions by method with their L2, equal where the search gets that far."""
    generator, extractor = model.require("generator", "feature_extractor")
    refinement = pipeline.refine(model, x, num_iters)
    aim, start = _l2(refinement.images[-1], x), refinement.w_plus

    def search(steps):
        result = optimize(
            generator, x, steps=steps, start=start, loss=_loss, frozen=extractor
        )
        distance = _l2(result.image, x)
        bar.set_postfix_str(f"{steps} at last: L2 {distance:.4f}, aim {aim:.4f}")
        bar.update(steps)
        return result.inversion, distance

    with tqdm(desc="W+ search", unit="step", disable=None) as bar:
        steps, searched = match(search, aim)
    return {
        f"HyperStyle, T = {num_iters}": (pipeline.decode(model, refinement), aim),
        f"W+, {steps} steps": searched,
    }


def _loss(features, y_hat, x):
    distance, _ = features(y_hat, x, method="distances")
    return losses.l2(y_hat, x) + _LPIPS * distance


def _l2(y, x) -> float:
    return float(losses.l2(jnp.asarray(y), jnp.asarray(x)).mean())


def _small(edited: jax.Array, size: tuple[int, int]) -> jax.Array:
    """[B, S, R, R, 3] → [B, S, h, w, 3], in the range of images."""
    batch, strengths = edited.shape[:2]
    flat = hyperstyle.crop_and_pool(edited.reshape(-1, *edited.shape[2:]), size)
    return jnp.clip(flat, -1, 1).reshape(batch, strengths, *flat.shape[1:])


@jax.jit
def _read(features, x, edited):
    """Similarity to the targets [B, S], and attributes [B, S, A]."""
    person, _ = features(x)
    identity, attributes = features(edited.reshape(-1, *edited.shape[2:]))
    identity, attributes = (
        v.reshape(*edited.shape[:2], -1) for v in (identity, attributes)
    )
    return jnp.sum(identity * person[:, None], axis=-1), attributes


def _page(strips: Sequence[np.ndarray], strengths) -> np.ndarray:
    """A row per image: the target, then the strip of each method."""
    labels = [f"{s:+g}" if s else "as is" for s in strengths]
    columns = ["target", *(f"H {t}" for t in labels), *(f"W+ {t}" for t in labels)]
    rows = np.concatenate(strips, axis=1)
    return images.grid(rows, columns, scale=max(1, 96 // rows.shape[2]))


def _rounded(value):
    return value if isinstance(value, str) else round(float(value), 5)
