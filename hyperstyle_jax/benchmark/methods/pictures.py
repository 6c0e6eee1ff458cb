"""The pictures of a benchmark: all methods on the same images, edits, and charts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hyperstyle_jax import images, plots
from hyperstyle_jax.benchmark.methods import editability, inverting
from hyperstyle_jax.benchmark.methods.plan import Plan
from hyperstyle_jax.benchmark.methods.tables import identity_measure
from hyperstyle_jax.evaluation.results import MEASURES
from hyperstyle_jax.system import atomic_files

_MOST = 8  # images on the page of all methods
_WIDE, _NARROW = 192, 96  # pixels of an image at least
_MOST_DIRECTIONS = 4  # pages of edits


def write(
    plan: Plan, summary: Mapping[str, Any], failed: Mapping[str, Mapping[str, str]]
) -> dict[str, Path]:
    """Writes all pictures for which there are numbers.

    Args:
        plan: of the benchmark.
        summary: of `summary.summarize`.
        failed: {method: its failed images}, of the methods that were measured.

    Returns:
        {caption: file}.
    """
    files = {}
    shown = {m: v for m, v in failed.items() if "measures" in summary["methods"][m]}
    if shown:
        path = plan.out / "methods.png"
        images.save_png(path, _methods_page(plan, shown))
        files["All methods on the same images"] = path
    files |= _charts(plan.out, summary)
    for name in list(summary["equal_change"])[:_MOST_DIRECTIONS]:
        path = plan.out / f"edits_{name}.png"
        images.save_png(path, _edits_page(plan, name, failed))
        files[f"Edits: {name}"] = path
    return files


def _methods_page(plan: Plan, failed) -> np.ndarray:
    """A row for each image: the target, and what each method made of it."""
    rows = []
    for name in plan.names[:_MOST]:
        row = [plan.x[name]]
        row += [images.read(plan.file(method, f"{name}.png")) for method in failed]
        rows.append(row)
    titles = [
        "target",
        *(plan.title(m) + (" (!)" if failed[m] else "") for m in failed),
    ]
    return images.grid(rows, titles, scale=_scale(plan, _WIDE))


def _edits_page(plan: Plan, direction: str, failed) -> np.ndarray:
    """A row for each method: the first image at all strengths."""
    name, steps = plan.names[0], editability.strengths(plan, direction)
    rows = []
    for method in failed:
        inversion = inverting.load(plan, method, name, name in failed[method])
        shown = np.asarray(editability.edited(plan, inversion, direction, steps))
        rows.append([plan.x[name], *map(images.to_uint8, shown)])
    columns = ["target", *(f"{step:+.2f}" if step else "as is" for step in steps)]
    return images.grid(rows, columns, [*map(plan.title, failed)], _scale(plan, _NARROW))


def _scale(plan: Plan, width: int) -> int:
    return max(1, -(-width // plan.x[plan.names[0]].shape[1]))


def _charts(out: Path, summary: Mapping[str, Any]) -> dict[str, Path]:
    """Quality against time and against editability, and the curves of the edits."""
    files, quality = {}, _quality(summary)
    seconds = _each(summary, "cost", "seconds")
    panels = {
        title: {m: (seconds[m], v) for m, v in values.items() if m in seconds}
        for title, values in quality.items()
    }
    if any(panels.values()):
        files["Quality against time"] = path = out / "quality_time.png"
        plots.points(panels, path, x="seconds per image, batch 1", log=True)
    role = summary["identity"]
    kept = _each(summary, "editability", f"identity {role}", "mean")
    panels = {
        f"identity ({role}) after edits": {
            m: (v, kept[m]) for m, v in quality.get(title, {}).items() if m in kept
        }
        for title in list(quality)[:1]
    }
    if any(panels.values()):
        files["Quality against editability"] = path = out / "quality_editability.png"
        plots.points(panels, path, x=next(iter(quality)))
    measures: dict[str, tuple[str, ...]] = {
        f"identity ({role})": ("identity", role),
        "background LPIPS": ("background",),
    }
    for title, keys in measures.items():
        if series := _curves(summary, *keys):
            path = out / f"edit_curves_{keys[0]}.png"
            files[f"Edits: {title} against the measured change"] = path
            x = "measured change (standard deviations)"
            plots.against(series, path, x=x, y=title)
    return {k: f for k, f in files.items() if f.is_file()}


def _quality(summary: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """{title: {method: mean}} of the perceptual distance and of identity."""
    names = [summary["lpips"], identity_measure(summary)]
    titles = [
        f"{MEASURES[n][0]} {'↓↑'[MEASURES[n][1]]}" for n in names if n in MEASURES
    ]
    found = [_each(summary, "measures", name, "mean") for name in names]
    return {t: values for t, values in zip(titles, found, strict=False) if values}


def _each(summary: Mapping[str, Any], *keys: str) -> dict[str, float]:
    """{title of a method: its value}, of methods that have one."""
    found = {}
    for one in summary["methods"].values():
        value: Any = one
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            found[one["title"]] = value
    return found


def _curves(summary: Mapping[str, Any], *keys: str) -> dict[str, dict[str, tuple]]:
    """{direction: {method: (changes, values)}}."""
    series: dict[str, dict[str, tuple]] = {}
    for one in summary["methods"].values():
        for name, curve in one.get("edits", {}).items():
            values = curve
            for key in keys:
                values = values[key]
            panel = series.setdefault(name, {})
            panel[one["title"]] = (curve["change"], values)
    return series


def report(out: Path, pages: list[str], files: Mapping[str, Path], title: str) -> Path:
    """Writes report.html, with the tables and the pictures inside.

    Args:
        out: the folder.
        pages: HTML of tables and notes.
        files: {caption: picture}.
        title: of the page.
    """
    from hyperstyle_jax.system import web_page

    parts = [f"<h1>{web_page.text(title)}</h1>", *pages]
    for caption, file in files.items():
        shown = web_page.image(file.read_bytes(), file.name)
        parts += web_page.wide_section(caption, shown)
    path = out / "report.html"
    return atomic_files.write_whole(path, web_page.page(title, parts))
