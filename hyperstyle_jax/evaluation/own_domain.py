"""What a bundle of one's own domain can do: samples, inversions, edits, on one page."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.data.examples import Source
from hyperstyle_jax.editing import directions, ganspace, interfacegan, labelling, sefa
from hyperstyle_jax.inversion import familiarity, pipeline
from hyperstyle_jax.net import Net
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.weights.bundle import Bundle

_BATCH = 16
_LATENTS = 10_000  # for the deviations of w
_FEW = 112  # pictures; `familiarity` needs a hundred
_LABELLED = 4096  # images to fit directions of attributes to
_STRENGTHS = (-3.0, -1.5, 0.0, 1.5, 3.0)


def find_directions(
    generator: Net,
    feature_extractor: Net | None = None,
    attributes: Sequence[str] = (),
    count: int = 8,
) -> dict[str, np.ndarray]:
    """Edit directions, one unit of each one standard deviation of the latents.

    Args:
        generator: of the domain.
        feature_extractor: tells the attributes, if there are any.
        attributes: its attributes; () where the domain has no labels.
        count: how many components to take of each kind.

    Returns:
        `pc1`, … of GANSpace and `sefa1`, … of SeFa, which need no labels, and one for
        each attribute that the latents explain at all.
    """
    w = sample_w(generator, _LATENTS)
    parts = ganspace.fit_components(w, count)
    found = {
        f"pc{i + 1}": d * s
        for i, (d, s) in enumerate(zip(parts.directions, parts.std, strict=True))
    }
    for i, d in enumerate(sefa.factorize(generator).directions[:count]):
        found[f"sefa{i + 1}"] = d * (w @ d).std()
    if feature_extractor is not None and attributes:
        found |= _of_attributes(generator, feature_extractor, attributes)
    return found


def _of_attributes(generator, feature_extractor, names) -> dict[str, np.ndarray]:
    """A direction for each attribute; of a category for each value but the commonest.

    The values of a category follow from each other, so one of them is left out.
    """
    labelled = labelling.label(generator, feature_extractor, _LABELLED)
    scores = dict(zip(names, labelled.attributes.T, strict=True))
    commonest: dict[str, str] = {}
    for name in (n for n in names if "=" in n):
        column = name.partition("=")[0]
        other = commonest.get(column)
        if other is None or scores[name].mean() > scores[other].mean():
            commonest[column] = name
    kept = {
        name: score
        for name, score in scores.items()
        if name not in commonest.values() and score.std() > 1e-4
    }
    try:
        return interfacegan.fit_directions(labelled.w, kept).directions
    except ValueError:  # some follow from others
        fit = interfacegan.fit_directions(labelled.w, kept, independent=False)
        return fit.directions


def sample_w(generator: Net, count: int, seed: int = 0) -> np.ndarray:
    """Latents of the mapping network, [count, D]."""
    z = jax.random.normal(jax.random.key(seed), (count, generator.module.z_dim))
    return np.asarray(jax.jit(lambda net, z: net(z, method="mapping"))(generator, z))


def familiar(model: Bundle, held_out: Source) -> dict[str, Any]:
    """What pictures of the domain look like, for `inversion.familiarity`.

    Of the held-out pictures; where they are too few, of images that are drawn.
    """
    count = len(held_out) // _BATCH * _BATCH
    if count < _FEW:
        facts = familiarity.describe(model, familiarity.drawn(model, 16 * _BATCH))
        return facts | {"of": "generated images"}
    places = np.arange(count).reshape(-1, _BATCH)
    batches = (images.to_float(held_out.take(p)["image"]) for p in places)
    return familiarity.describe(model, batches) | {"of": "photos"}


def report(model: Bundle, held_out: Source, out: Path) -> dict[str, Any]:
    """Writes pictures and numbers of a bundle; `report.md` shows them.

    Args:
        model: with all networks and directions.
        held_out: pictures that it was not trained on.
        out: folder.

    Returns:
        {"bundle": its id, "pictures", "l2", "lpips", "identity": [T + 1], "l2_ratio",
        "lpips_ratio"}:
        means over the held-out pictures after each iteration, by the bundle's own
        feature extractor, and the last one in relation to the initial inversion.
    """
    x = images.to_float(
        held_out.take(np.arange(min(len(held_out), 4 * _BATCH)))["image"]
    )
    num_iters = pipeline.checked_num_iters(model, None)
    measures, shown = [], []
    for start in range(0, len(x), _BATCH):
        batch = _filled(x[start : start + _BATCH], min(_BATCH, len(x)))
        refinement = pipeline.refine(model, batch, num_iters)
        count = min(_BATCH, len(x) - start)
        values = pipeline.measure(model, batch, refinement.images)
        measures.append({k: v[:, :count] for k, v in values.items()})
        shown.append(np.asarray(refinement.images)[:, :count])
    means = {
        k: [float(v) for v in np.concatenate([m[k] for m in measures], 1).mean(1)]
        for k in measures[0]
    }
    summary = {"bundle": model.id, "pictures": len(x), **means}
    for name in ("l2", "lpips"):
        if name in means:
            summary[f"{name}_ratio"] = means[name][-1] / max(means[name][0], 1e-12)
    inverted = np.concatenate(shown, axis=1)
    images.save_png(out / "samples.png", samples(model))
    images.save_png(out / "inversions.png", _inversions(x[:12], inverted[:, :12]))
    images.save_png(out / "edits.png", strips(model, x[:1]))
    atomic_files.write_json(out / "report.json", summary)
    atomic_files.write_whole(out / "report.md", _page(summary).encode())
    return summary


def samples(model: Bundle, count: int = 64) -> np.ndarray:
    """Pictures of fresh latents in a square, uint8."""
    (generator,) = model.require("generator")
    w = sample_w(generator, count, seed=1)
    render = jax.jit(lambda net, w: net(w, method="synthesis"))
    drawn = np.concatenate(
        [
            np.asarray(render(generator, w[i : i + _BATCH]))
            for i in range(0, count, _BATCH)
        ]
    )
    side = math.isqrt(count)
    rows = drawn[: side * side].reshape(side, side, *drawn.shape[1:])
    return images.grid(np.clip(rows, -1, 1), scale=max(1, 64 // rows.shape[2]))


def strips(model: Bundle, x: np.ndarray, most: int = 40) -> np.ndarray:
    """One picture [1, h, w, 3] along each direction, to see what it is; uint8."""
    (generator,) = model.require("generator")
    inversion = pipeline.invert(model, x)
    names = sorted(model.directions, key=_order)[:most]
    rows = []
    for name in names:
        direction = model.directions[name]
        row = directions.sweep(generator, inversion, direction, jnp.array(_STRENGTHS))
        rows.append(np.clip(np.asarray(row)[0], -1, 1))
    titles = [f"{s:+g}" for s in _STRENGTHS]
    return images.grid(rows, titles, names, scale=max(1, 64 // rows[0].shape[1]))


def _order(name: str):
    """pc2 before pc10."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0)


def _inversions(x, inverted) -> np.ndarray:
    error = images.error_map(x, inverted[-1])
    columns = [images.to_uint8(v) for v in (x, *inverted)] + [error]
    numbers = [str(t) for t in range(1, len(inverted))]
    titles = ["target", "initial", *numbers, "error"]
    scale = max(1, 96 // x.shape[1])
    return images.grid(np.stack(columns, axis=1), titles, scale=scale)


def _filled(batch, size):
    """A batch repeated up to `size`, so that one program serves all."""
    return batch[np.arange(size) % len(batch)]


def _page(summary) -> str:
    lines = ["# What this bundle can do", ""]
    lines += ["![samples](samples.png)", "", "Fresh pictures.", ""]
    lines += ["![inversions](inversions.png)", ""]
    lines.append(
        f"Held-out pictures. Means over {summary['pictures']} of them, by the bundle's "
        "own feature extractor, which took part in the training:"
    )
    lines += ["", "| | initial | after all iterations |", "|---|---:|---:|"]
    titles = {"l2": "L2", "lpips": "LPIPS form", "identity": "similarity"}
    for name, title in titles.items():
        if name in summary:
            first, *_, last = summary[name]
            lines.append(f"| {title} | {first:.4f} | {last:.4f} |")
    lines += ["", "![edits](edits.png)", "", "The directions, from −3 to +3 units.", ""]
    return "\n".join(lines)
