"""Tables, curves and image grids of the inversion of held-out faces."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hyperstyle_jax import images, plots
from hyperstyle_jax.evaluation.held_out_faces import Inverted, Results
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.weights.bundle import Bundle

TITLES = {"l2": "L2", "lpips": "LPIPS-form distance", "identity": "identity similarity"}
INITIAL = "initial inversion (W)"
# The columns of the tables: their titles and how their numbers are written.
_COLUMNS = {
    "method": ("method", "{}"),
    "l2": ("L2", "{:.4f}"),
    "l2_ratio": ("L2 / initial", "{:.2f}"),
    "lpips": ("LPIPS form", "{:.4f}"),
    "identity": ("identity", "{:.3f}"),
    "regained": ("regained", "{:.0%}"),
    "seconds": ("s / image", "{:.4f}"),
}


def summarize(results: Results, models: Mapping[str, Bundle]) -> dict[str, Any]:
    """The numbers of `held_out_faces.run` as JSON values.

    Returns:
        `faces` (how many), `device`, `models` {name: the bundle's id}, and `domains`:
        {domain: {"rows": of its table, "iterations": {model: {measure: [T + 1]}}}}.
    """
    domains = {}
    for domain, by_model in results.items():
        iterations = {name: _means(result) for name, result in by_model.items()}
        rows = _rows(by_model, iterations)
        domains[domain] = {"rows": rows, "iterations": iterations}
    any_result = next(iter(next(iter(results.values())).values()))
    return {
        "faces": next(iter(any_result.measures.values())).shape[1],
        "device": f"{jax.devices()[0].device_kind}, {os.cpu_count()} CPU cores",
        "models": {name: model.id for name, model in models.items()},
        "domains": domains,
    }


def markdown(summary: dict[str, Any]) -> str:
    """The tables of a `summarize`d evaluation."""
    parts = []
    for domain, entry in summary["domains"].items():
        rows = entry["rows"]
        columns = [c for c in _COLUMNS if any(row.get(c) is not None for row in rows)]
        parts.append(f"{summary['faces']} held-out faces, {domain}\n")
        parts.append(_line(_COLUMNS[c][0] for c in columns))
        parts.append(_line("---" if c == "method" else "---:" for c in columns))
        parts += [_line(_cell(row, c) for c in columns) for row in rows]
        parts.append("")
    parts.append(
        "Regained: the share of the identity that the initial inversion misses, "
        f"(s_T - s_0) / (1 - s_0). Seconds: medians on {summary['device']}."
    )
    return "\n".join(parts) + "\n"


def write(results: Results, summary: dict[str, Any], folder: str | Path) -> list[Path]:
    """Writes tables, curves and images.

    Args:
        results: of `held_out_faces.run`.
        summary: their `summarize`.

    Returns:
        The files `metrics.md`, `metrics.json`, `iterations_DOMAIN_MEASURE.png` and
        `grid_DOMAIN_MODEL.png`.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder = Path(folder)
    files = [
        atomic_files.write_whole(folder / "metrics.md", markdown(summary).encode()),
        atomic_files.write_json(folder / "metrics.json", summary),
    ]
    for domain, entry in summary["domains"].items():
        for measure in next(iter(entry["iterations"].values())):
            file = folder / f"iterations_{domain}_{measure}.png"
            curves = {name: p[measure] for name, p in entry["iterations"].items()}
            plots.iterations(curves, file, title=f"{TITLES[measure]}, {domain}")
            files.append(file)
        for name, result in results[domain].items():
            file = folder / f"grid_{domain}_{name.replace(' ', '_')}.png"
            files.append(images.save_png(file, image_grid(result)))
    return files


def image_grid(result: Inverted) -> np.ndarray:
    """One uint8 image with a row per face.

    Its columns: target, initial inversion, iterations 1 … T, error map.
    """
    error = images.error_map(result.targets, result.images[-1])
    columns = [images.to_uint8(x) for x in (result.targets, *result.images)] + [error]
    iterations = [str(t) for t in range(1, len(result.images))]
    scale = max(1, 96 // result.targets.shape[1])
    labels = ["target", "initial", *iterations, "error"]
    return images.grid(np.stack(columns, axis=1), labels, scale=scale)


def _means(result: Inverted) -> dict[str, list[float]]:
    return {
        name: [round(float(v), 6) for v in values.mean(1)]
        for name, values in result.measures.items()
    }


def _rows(by_model: dict[str, Inverted], iterations) -> list[dict[str, Any]]:
    """A row per model, after one of its initial inversion.

    Where all models have the same initial inversion there is one row for it.
    """
    initial = {
        name: {k: v[0] for k, v in means.items()} for name, means in iterations.items()
    }
    values = [list(means.values()) for means in initial.values()]
    same = all(np.allclose(v, values[0], rtol=1e-3) for v in values)
    rows = []
    for i, (name, means) in enumerate(iterations.items()):
        start, end = by_model[name].seconds
        if i == 0 or not same:
            method = INITIAL if same else f"{INITIAL} of {name}"
            rows.append({"method": method, **initial[name], "seconds": round(start, 5)})
        final = {k: v[-1] for k, v in means.items()}
        row = {"method": f"{name}, T = {len(means['l2']) - 1}", **final}
        row["l2_ratio"] = round(final["l2"] / max(initial[name]["l2"], 1e-12), 4)
        if "identity" in final:
            missing = max(1 - initial[name]["identity"], 1e-6)
            gained = final["identity"] - initial[name]["identity"]
            row["regained"] = round(gained / missing, 4)
        rows.append(row | {"seconds": round(end, 5)})
    return rows


def _line(cells) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(row: dict[str, Any], column: str) -> str:
    return _COLUMNS[column][1].format(row[column]) if column in row else ""
