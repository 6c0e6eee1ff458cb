"""Compares edits of HyperStyle's inversions with edits of a W+ search's.

Both methods start at the encoder's w, come equally close to the images, and are edited
along the same directions by the same strengths. A feature extractor reads how much the
attribute changed and how much of the identity was kept.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from hyperstyle_jax import images, losses
from hyperstyle_jax.editing.directions import sweep
from hyperstyle_jax.inversion import cropping, pipeline
from hyperstyle_jax.inversion.optimize import optimize
from hyperstyle_jax.offsets import Inversion
from hyperstyle_jax.weights.bundle import Bundle

_FIRST_STEPS, _MAX_STEPS = 20, 1280
_GROWTH = 4  # the next search has at most this many times the steps of the last
_TOLERANCE = 0.05  # share of its L2 by which the search may beat HyperStyle
_LPIPS = 0.8  # λ of LPIPS (L2 has 1), as in HyperStyle's own training


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
    num_images: int = 6,
    eval_network: Bundle | None = None,
) -> Comparison:
    """Inverts and edits images with HyperStyle and with a W+ search.

    Args:
        model: with a feature extractor, whose distance the W+ search minimizes.
        x: [B, h, w, 3] float in [-1, 1].
        directions: edit directions of the bundle.
        strength: in standard deviations; every image is edited this far up and down.
        num_iters: iterations of HyperStyle; default the model's own.
        num_images: rows of the pages.
        eval_network: the bundle whose feature extractor measures. It must read
            attributes with the directions' names. By default `model`; one that no
            method was trained with is fairer.

    Returns:
        Rows with `l2`, of the inversion; `identity` and `unedited`, the mean cosine
        similarity to the targets of the edited images and of the inversions; `change`,
        by how much an edit upwards raises the attribute, in its own units.

    Raises:
        ValueError: a network, a direction or its attribute is missing.
    """
    eval_network = eval_network or model
    (generator,) = model.require("generator")
    (extractor,) = eval_network.require("feature_extractor")
    readable = eval_network.info.get("attributes", [])
    for name in directions:
        model.direction(name)
        if name not in readable:
            raise ValueError(f"the feature extractor reads {readable}, not {name!r}")
    methods = invert_with_both(model, x, pipeline.checked_num_iters(model, num_iters))
    strengths = np.array([-strength, 0.0, strength], np.float32)
    rows, images = [], {}
    for name in directions:
        strips = [x[:num_images, None]]
        for method, (inversion, l2) in methods.items():
            edited = sweep(generator, inversion, model.direction(name), strengths)
            edited = _resized(edited, x.shape[1:3])
            similarity, attributes = jax.device_get(
                _similarity_and_attributes(extractor, x, edited)
            )
            values = attributes[..., readable.index(name)]
            row = {"method": method, "direction": name, "strength": strength}
            row |= {"l2": l2}
            row |= {"unedited": similarity[:, 1].mean()}
            row |= {"identity": similarity[:, [0, 2]].mean()}
            row |= {"change": (values[:, 2] - values[:, 0]).mean() / 2}
            rows.append({k: _rounded(v) for k, v in row.items()})
            strips.append(np.asarray(edited[:num_images]))
        images[name] = _page(strips, strengths)
    return Comparison(rows, images)


def match(
    search: Callable[[int], tuple[Any, float]], target: float, limit: int = _MAX_STEPS
) -> tuple[int, tuple[Any, float]]:
    """Finds the number of steps after which a search is as close as `target`.

    It may be closer by the share `_TOLERANCE`.

    Args:
        search: number of steps → (result, its L2).
        target: the L2 to reach.
        limit: the most steps.

    Returns:
        The steps, and what `search` returned for them: for `limit` steps if even
        those do not reach the target.
    """
    too_far, close, best = [], None, None  # (steps, L2) of searches; a result
    steps = min(_FIRST_STEPS, limit)
    while True:
        result, distance = search(steps)
        if distance <= target:
            close, best = (steps, distance), (result, distance)
        else:
            too_far.append((steps, distance))
            if steps == limit:
                return steps, (result, distance)
        low = too_far[-1][0] if too_far else 0
        if close and (close[1] >= (1 - _TOLERANCE) * target or close[0] - low <= 1):
            return close[0], best
        searches = [*too_far, close] if close else too_far
        steps = _by_power_law(searches[-2:], (1 - _TOLERANCE / 2) * target)
        high = close[0] - 1 if close else min(_GROWTH * low, limit)
        steps = int(np.clip(steps, low + 1, high))


def _by_power_law(searches: Sequence[tuple[int, float]], target: float) -> float:
    """The steps at which a power law through the searches reaches `target`.

    Args:
        searches: (steps, L2) of two searches; or of one, whose L2 is taken to fall as
            one over the steps.
    """
    steps, distance = searches[-1]
    if len(searches) == 1:
        return steps * distance / target
    first_steps, first_distance = searches[0]
    if not first_distance > distance > 0:
        return np.inf
    power = np.log(steps / first_steps) / np.log(distance / first_distance)
    return steps * (target / distance) ** power


def markdown(rows: Sequence[dict[str, Any]], count: int) -> str:
    """The rows of `compare` as a table.

    Args:
        rows: of `compare`.
        count: of faces.
    """
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
        f"\nThe W+ search starts at the encoder's w, minimizes L2 + {_LPIPS} LPIPS "
        "form, and ends when it is as close as HyperStyle."
    )
    return "\n".join(lines) + "\n"


def invert_with_both(
    model: Bundle, x: np.ndarray, num_iters: int
) -> dict[str, tuple[Inversion, float]]:
    """Inverts with HyperStyle and with a search in W+ that comes as close.

    Args:
        model: with encoder, hypernetwork, generator and feature extractor.
        x: [B, h, w, 3] float in [-1, 1].
        num_iters: of HyperStyle.

    Returns:
        {method: (its inversion, L2)}; the L2 are alike if the search gets that far.
    """
    generator, extractor = model.require("generator", "feature_extractor")
    refinement = pipeline.refine(model, x, num_iters)
    target, start = _l2(refinement.images[-1], x), refinement.w_plus

    def search(steps):
        result = optimize(
            generator, x, steps=steps, start=start, loss=_loss, frozen=extractor
        )
        distance = _l2(result.image, x)
        bar.set_postfix_str(f"{steps} steps: L2 {distance:.4f}, target {target:.4f}")
        bar.update(steps)
        return result.inversion, distance

    with tqdm(desc="W+ search", unit="step", disable=None) as bar:
        steps, searched = match(search, target)
    return {
        f"HyperStyle, T = {num_iters}": (pipeline.decode(model, refinement), target),
        f"W+, {steps} steps": searched,
    }


def _loss(extractor, y_hat, x):
    distance, _ = extractor(y_hat, x, method="distances")
    return losses.l2(y_hat, x) + _LPIPS * distance


def _l2(y, x) -> float:
    return float(losses.l2(jnp.asarray(y), jnp.asarray(x)).mean())


def _resized(edited: jax.Array, size: tuple[int, int]) -> jax.Array:
    """[B, S, R, R, 3] → [B, S, h, w, 3], clipped to [-1, 1]."""
    batch, strengths = edited.shape[:2]
    flat = cropping.crop_and_pool(edited.reshape(-1, *edited.shape[2:]), size)
    return jnp.clip(flat, -1, 1).reshape(batch, strengths, *flat.shape[1:])


@jax.jit
def _similarity_and_attributes(extractor, x, edited):
    """Cosine similarity to the targets [B, S], and attributes [B, S, A]."""
    target, _ = extractor(x)
    embedding, attributes = extractor(edited.reshape(-1, *edited.shape[2:]))
    embedding, attributes = (
        v.reshape(*edited.shape[:2], -1) for v in (embedding, attributes)
    )
    return jnp.sum(embedding * target[:, None], axis=-1), attributes


def _page(strips: Sequence[np.ndarray], strengths) -> np.ndarray:
    """A row per image: the target, then the edited images of each method."""
    labels = [f"{s:+g}" if s else "as is" for s in strengths]
    columns = ["target", *(f"H {t}" for t in labels), *(f"W+ {t}" for t in labels)]
    rows = np.concatenate(strips, axis=1)
    return images.grid(rows, columns, scale=max(1, 96 // rows.shape[2]))


def _rounded(value):
    return value if isinstance(value, str) else round(float(value), 5)
