"""The numbers of `results.measure` as JSON, CSV, a markdown table and a picture."""

import csv
import io
import math
from pathlib import Path
from typing import Any

from hyperstyle_jax import images
from hyperstyle_jax.evaluation.results import MEASURES, Measured
from hyperstyle_jax.system import atomic_files


def markdown(summary: dict[str, Any]) -> str:
    """The table of `results.summarize`, with what was used (`networks`)."""
    height, width = summary["size"]
    lines = [
        f"{summary['images']} pairs at {height}x{width}",
        "",
        "| measure | closer | mean | deviation | 95 % interval | images |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, row in summary["measures"].items():
        title, higher = MEASURES[name]
        cells = [title, "higher" if higher else "lower", _number(row["mean"])]
        cells += [_number(row["deviation"]), _interval(row["interval"])]
        lines.append(f"| {' | '.join([*cells, str(row['images'])])} |")
    for name, row in summary["frechet"].items():
        distance = _number(row["distance"])
        lines.append(f"| Fréchet ({name}) | lower | {distance} | | | {row['images']} |")
    lines += ["", "Intervals: bootstrap of the mean over images."]
    for name, row in summary["frechet"].items():
        if row["images"] <= row["features"]:
            lines.append(
                f"Fréchet ({name}): {row['images']} images for {row['features']} "
                "features; it depends on their number, compare equal numbers only."
            )
    lines += [f"{role}: {source}" for role, source in summary["networks"].items()]
    for name, row in summary["measures"].items():
        if bad := row["not_finite"]:
            lines.append(
                f"{MEASURES[name][0]}: not finite and not in the mean for {len(bad)} "
                f"of {summary['images']} images: {', '.join(bad[:5])}"
            )
    return "\n".join(lines) + "\n"


def write(measured: Measured, summary: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `measures.json`, `.csv` (a row for each image), `.md`, `farthest.png`."""
    files = [
        atomic_files.write_json(folder / "measures.json", summary),
        atomic_files.write_whole(folder / "measures.csv", _csv(measured).encode()),
        atomic_files.write_whole(folder / "measures.md", markdown(summary).encode()),
    ]
    rows = [
        [target, result, images.error_map(target, result)]
        for _, result, target in measured.worst
    ]
    names = [name for name, *_ in measured.worst]
    scale = max(1, 128 // measured.size[0])
    page = images.grid(rows, ["target", "result", "error"], names, scale=scale)
    return [*files, images.save_png(folder / "farthest.png", page)]


def _csv(measured: Measured) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", *measured.values])
    for name in measured.values["l2"]:
        numbers = [values[name] for values in measured.values.values()]
        writer.writerow([name, *(f"{number:.8g}" for number in numbers)])
    return text.getvalue()


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "" if value is None else str(value)
    return f"{value:.4f}"


def _interval(interval: list[float] | None) -> str:
    return " … ".join(map(_number, interval)) if interval else ""
