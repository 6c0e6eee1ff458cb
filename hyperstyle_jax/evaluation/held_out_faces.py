"""How well models invert held-out procedural faces, as tables, curves and images.

Every face has an index from 1,000,000 on; training uses smaller ones only. The same
faces with accessories, which no training image shows, are the second domain.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from hyperstyle_jax import faces, images, plots
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.inversion import pipeline
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.training import tasks
from hyperstyle_jax.weights import bundle
from hyperstyle_jax.weights.bundle import Bundle

DOMAINS = {"in-domain": False, "accessories": True}  # worn or not
TITLES = {"l2": "L2", "lpips": "LPIPS-form distance", "identity": "identity similarity"}
FIRST = "initial inversion (W)"


class Inverted(NamedTuple):
    """N faces inverted with one model in T iterations.

    `measures` are {name: [T + 1, N]}, row 0 the initial inversion. `target` [K, h, w,
    3] and `steps` [T + 1, K, h, w, 3] are images of the first few. `seconds` per image,
    [after no iteration, after all].
    """

    measures: dict[str, np.ndarray]
    target: np.ndarray
    steps: np.ndarray
    seconds: tuple[float, float]


Results = dict[str, dict[str, Inverted]]  # by domain and model


def load(source: str | Path) -> Bundle:
    """A model to evaluate: "demo", a bundle folder, or a workdir of train.py.

    Raises:
        ValueError: it is none of them, or the run has no checkpoint yet.
    """
    saved = Path(source) / "config.json"
    if not saved.is_file():
        return bundle.load(source)
    config = json.loads(saved.read_text())
    info = {
        "image_size": cfg.image_size(config["data"]),
        "num_iters": config["num_iters"],
        "attributes": list(faces.ATTRIBUTES),
    }
    return Bundle(tasks.run_nets(source), info, {}, f"of the run {source}")


def run(
    models: Mapping[str, Bundle],
    *,
    count: int = 64,
    first_index: int = faces.TRAINING_INDICES,
    num_iters: int | None = None,
    domains: Sequence[str] = tuple(DOMAINS),
    batch_size: int = 16,
    shown: int = 6,
    dtype: str = "float32",
    eval_network: Bundle | None = None,
) -> Results:
    """Inverts the same faces with every model.

    Args:
        models: by the name to show.
        count: faces per domain.
        first_index: of the faces.
        num_iters: iterations; default each model's own.
        domains: names out of `DOMAINS`.
        batch_size: faces at a time.
        shown: how many images to keep.
        dtype: of the feature maps of the inversion.
        eval_network: with the feature extractor that measures; default the first
            model that has one.

    Raises:
        ValueError: a model lacks a network, sizes differ, or faces that are trained on.
    """
    size = _common_size(models, eval_network)
    if count < 1 or batch_size < 1:
        raise ValueError(f"{count} faces, {batch_size} at a time: expected 1 or more")
    if eval_network is None:
        able = [m for m in models.values() if "feature_extractor" in m.nets]
        eval_network = (able or list(models.values()))[0]
    batch_size, results = min(batch_size, count), {}
    rounds = len(domains) * len(models) * -(-count // batch_size)
    with tqdm(total=rounds, desc="inverting", unit="batch", disable=None) as bar:
        for domain in domains:
            x = held_out(count, first_index, size, DOMAINS[domain])
            results[domain] = {}
            for name, model in models.items():
                iterations = pipeline.checked_num_iters(model, num_iters)
                results[domain][name] = _invert(
                    model, eval_network, x, iterations, batch_size, shown, dtype, bar
                )
    return results


def held_out(count: int, first_index: int, size: int, accessories: bool) -> np.ndarray:
    """Faces that no training has seen: [count, size, size, 3] float in [-1, 1].

    Raises:
        ValueError: indices that belong to training.
    """
    if first_index < faces.TRAINING_INDICES:
        raise ValueError(
            f"faces from index {first_index}: those below {faces.TRAINING_INDICES:,} "
            "are trained on; choose larger ones"
        )
    indices = np.arange(first_index, first_index + count)
    return images.to_float(faces.draw(indices, 0, size, accessories)["image"])


def report(results: Results, models: Mapping[str, Bundle]) -> dict[str, Any]:
    """The numbers of `run`, as JSON values."""
    domains = {}
    for domain, found in results.items():
        iterations = {name: _means(result) for name, result in found.items()}
        domains[domain] = {"rows": _rows(found, iterations), "iterations": iterations}
    one = next(iter(next(iter(results.values())).values()))
    return {
        "faces": next(iter(one.measures.values())).shape[1],
        "device": f"{jax.devices()[0].device_kind}, {os.cpu_count()} CPU cores",
        "models": {name: model.id for name, model in models.items()},
        "domains": domains,
    }


def markdown(found: dict[str, Any]) -> str:
    """The tables of a report."""
    parts = []
    for domain, entry in found["domains"].items():
        rows = entry["rows"]
        columns = [c for c in _COLUMNS if any(row.get(c) is not None for row in rows)]
        parts.append(f"{found['faces']} held-out faces, {domain}\n")
        parts.append(_line(_COLUMNS[c][0] for c in columns))
        parts.append(_line("---" if c == "method" else "---:" for c in columns))
        parts += [_line(_cell(row, c) for c in columns) for row in rows]
        parts.append("")
    parts.append(
        "Regained: the share of the identity that the initial inversion misses, "
        f"(s_T - s_0) / (1 - s_0). Seconds: medians on {found['device']}."
    )
    return "\n".join(parts) + "\n"


def write(results: Results, found: dict[str, Any], folder: str | Path) -> list[Path]:
    """Writes tables, curves and images.

    Returns:
        `metrics.md`, `metrics.json`, `iterations_DOMAIN_MEASURE.png` and
        `grid_DOMAIN_MODEL.png`.
    """
    folder = Path(folder)
    files = [
        atomic_files.write_whole(folder / "metrics.md", markdown(found).encode()),
        write_json(folder / "metrics.json", found),
    ]
    for domain, entry in found["domains"].items():
        for measure in next(iter(entry["iterations"].values())):
            file = folder / f"iterations_{domain}_{measure}.png"
            curves = {name: p[measure] for name, p in entry["iterations"].items()}
            plots.iterations(curves, file, title=f"{TITLES[measure]}, {domain}")
            files.append(file)
        for name, result in results[domain].items():
            file = folder / f"grid_{domain}_{name.replace(' ', '_')}.png"
            files.append(images.save_png(file, image(result)))
    return files


def write_json(path: Path, value: Any) -> Path:
    return atomic_files.write_whole(path, (json.dumps(value, indent=1) + "\n").encode())


def image(result: Inverted) -> np.ndarray:
    """A row per face: target | initial inversion | iteration 1 … T | error map."""
    error = images.error_map(result.target, result.steps[-1])
    stacks = [images.to_uint8(s) for s in (result.target, *result.steps)] + [error]
    iterations = [str(t) for t in range(1, len(result.steps))]
    scale = max(1, 96 // result.target.shape[1])
    labels = ["target", "initial", *iterations, "error"]
    return images.grid(np.stack(stacks, axis=1), labels, scale=scale)


def _common_size(models: Mapping[str, Bundle], eval_network: Bundle | None) -> int:
    for name, model in models.items():
        try:
            model.require("encoder", "hypernet", "generator")
        except ValueError as error:
            raise ValueError(f"{name} cannot invert: {error}") from None
    sizes = {name: model.image_size for name, model in models.items()}
    if eval_network:
        eval_network.require("feature_extractor")
        sizes["the evaluation network"] = eval_network.image_size
    height, width = next(iter(sizes.values()))
    if len(set(sizes.values())) != 1 or height != width:
        listed = ", ".join(f"{h}x{w} ({name})" for name, (h, w) in sizes.items())
        raise ValueError(f"images of {listed}: expected squares of one size")
    return height


def _invert(
    model, eval_network, x, num_iters, batch_size, shown, dtype, bar
) -> Inverted:
    # The last batch is moved back until it is full: one compiled program serves all.
    starts = [min(i, len(x) - batch_size) for i in range(0, len(x), batch_size)]
    seconds, measures, steps = {0: [], num_iters: []}, [], []
    for i, start in enumerate(starts):
        batch = x[start : start + batch_size]
        for t in seconds:
            if i == 0:
                _timed(model, batch, t, dtype)  # compiles, or reads what is compiled
            result, spent = _timed(model, batch, t, dtype)
            seconds[t].append(spent)
        own = slice(i * batch_size - start, None)
        found = pipeline.measure(eval_network, batch, result)
        measures.append({k: v[:, own] for k, v in found.items()})
        if i * batch_size < shown:
            steps.append(np.asarray(result[:, own]))
        bar.update()
    names = measures[0]
    return Inverted(
        {k: np.concatenate([m[k] for m in measures], axis=1) for k in names},
        x[:shown],
        np.concatenate(steps, axis=1)[:, :shown],
        tuple(float(np.median(seconds[t])) for t in (0, num_iters)),
    )


def _timed(model, batch, num_iters, dtype):
    """The image after every iteration, and seconds per image."""
    start = time.perf_counter()
    refinement = pipeline.refine(model, batch, num_iters, dtype)
    images = jax.block_until_ready(refinement).images
    return images, (time.perf_counter() - start) / len(batch)


def _means(result: Inverted) -> dict[str, list[float]]:
    return {
        name: [round(float(v), 6) for v in values.mean(1)]
        for name, values in result.measures.items()
    }


def _rows(found: dict[str, Inverted], iterations) -> list[dict[str, Any]]:
    """The initial inversion, once if it is that of all models, then every model."""
    first = {name: {k: v[0] for k, v in p.items()} for name, p in iterations.items()}
    one = next(iter(first.values()))
    same = all(np.allclose(list(f.values()), list(one.values()), rtol=1e-3)
               for f in first.values())  # fmt: skip
    rows = []
    for i, (name, means) in enumerate(iterations.items()):
        start, end = found[name].seconds
        if i == 0 or not same:
            method = FIRST if same else f"{FIRST} of {name}"
            rows.append({"method": method, **first[name], "seconds": round(start, 5)})
        last = {k: v[-1] for k, v in means.items()}
        row = {"method": f"{name}, T = {len(means['l2']) - 1}", **last}
        row["l2_ratio"] = round(last["l2"] / max(first[name]["l2"], 1e-12), 4)
        if "identity" in last:
            missing = max(1 - first[name]["identity"], 1e-6)
            gained = last["identity"] - first[name]["identity"]
            row["regained"] = round(gained / missing, 4)
        rows.append(row | {"seconds": round(end, 5)})
    return rows


_COLUMNS = {
    "method": ("method", "{}"),
    "l2": ("L2", "{:.4f}"),
    "l2_ratio": ("L2 / initial", "{:.2f}"),
    "lpips": ("LPIPS form", "{:.4f}"),
    "identity": ("identity", "{:.3f}"),
    "regained": ("regained", "{:.0%}"),
    "seconds": ("s / image", "{:.4f}"),
}


def _line(cells) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(row: dict[str, Any], column: str) -> str:
    return _COLUMNS[column][1].format(row[column]) if column in row else ""
