"""The tables of a benchmark: as rows, and as markdown and CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hyperstyle_jax.benchmark.methods.published import OTHERS, PUBLISHED, SOURCE
from hyperstyle_jax.evaluation.results import MEASURES

_LPIPS = {"lpips": "LPIPS", "lpips_form": "LPIPS form"}


class Table(NamedTuple):
    """A table with its title; the first column is text."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def tables(summary: Mapping[str, Any]) -> list[Table]:
    """The tables of `summary.summarize`: the paper's, quality, cost and edits."""
    made = [_paper(summary), _quality(summary), _cost(summary), _edits(summary)]
    made += [_direction(summary, name) for name in summary["equal_change"]]
    return [table for table in made if table.rows]


def notes(summary: Mapping[str, Any]) -> list[str]:
    """Sentences below the tables: what was used, what is to be known, who failed."""
    height, width = summary["size"]
    role, lpips = summary["identity"], summary["lpips"]
    lines = [
        f"{summary['images']} images of {height}x{width}, each once; model "
        f"{summary['model']} ({summary['bundle']}); {summary['device']}.",
        "Intervals: 95 %, percentiles of bootstrap means over images. Seconds: medians "
        "per image of compiled, warm calls.",
        f"LPIPS: {_LPIPS[lpips]} of {_source(summary, lpips)}.",
    ]
    if role:
        lines.append(_on_identity(summary, role))
    else:
        lines.append("No network measures identity: name one with --networks.")
    if summary["equal_change"]:
        lines.append(
            "Edits: at equal measured change of the attribute (in standard deviations "
            f"of the real images, read by {summary['reads_attributes']}), the mean of "
            "both signs; identity and background to the target. Fréchet distance: of "
            "edited images to real ones whose attribute is a standard deviation "
            f"above (below) the mean, out of {summary['real_images']}."
        )
    few = [
        (space, row)
        for one in summary["methods"].values()
        for space, row in one.get("frechet", {}).items()
        if row["images"] <= row["features"]
    ][:1]
    for space, row in few:
        lines.append(
            f"Fréchet ({space}): {row['images']} images for {row['features']} "
            "features; it depends on their number, compare equal numbers only."
        )
    lines.append(f"Published: identity · MS-SSIM · LPIPS · L2 · seconds, {SOURCE}.")
    others = (f"{name} {figures}" for name, figures in OTHERS.items())
    lines.append(f"Published, of no method here: {', '.join(others)}.")
    return lines + _failures(summary)


def _on_identity(summary: Mapping[str, Any], role: str) -> str:
    of = f"Identity: cosine of vectors of {_source(summary, role)} ({role})"
    if summary["identity_is_independent"]:
        return f"{of}, which trained no method."
    return (
        f"{of}. ONE NETWORK ONLY, AND IT TRAINED METHODS OF THIS TABLE, which it "
        "favours: name another one with --eval-network."
    )


def _failures(summary: Mapping[str, Any]) -> list[str]:
    lines = []
    for one in summary["methods"].values():
        if "error" in one:
            lines.append(f"FAILED: {one['title']}: {one['error']}")
        elif failed := one["failed"]:
            name, why = next(iter(failed.items()))
            lines.append(
                f"FAILED: {one['title']}: {len(failed)} of {summary['images']} images, "
                f"which count with the generator's mean image; {name}: {why}"
            )
        if why := one.get("cost", {}).get("error"):
            lines.append(f"FAILED: costs of {one['title']}: {why}")
    return lines


def _source(summary: Mapping[str, Any], role: str) -> str:
    roles = {"lpips_form": "feature_extractor"}
    return str(summary["networks"].get(roles.get(role, role), "nothing"))


def identity_measure(summary: Mapping[str, Any]) -> str:
    """The measure that the identity's network gives, as of `results.MEASURES`."""
    names = {"feature_extractor": "identity", "independent": "independent_identity"}
    return names.get(summary["identity"], summary["identity"] or "identity")


def _paper(summary: Mapping[str, Any]) -> Table:
    """The columns of HyperStyle's table."""
    identity, lpips = identity_measure(summary), summary["lpips"]
    columns = ["method", "identity ↑", "MS-SSIM ↑", f"{_LPIPS[lpips]} ↓", "L2 ↓"]
    columns += ["seconds ↓", "published (other images, networks, hardware)"]
    rows = []
    for name, one in summary["methods"].items():
        cells = [
            _cell(one.get("measures", {}).get(measure, {}).get("mean"), digits)
            for measure, digits in (
                (identity, 3),
                ("ms_ssim", 3),
                (lpips, 4),
                ("l2", 4),
            )
        ]
        seconds = _cell(one.get("cost", {}).get("seconds"), 3)
        rows.append(
            [
                one["title"],
                *cells,
                seconds,
                str(PUBLISHED.get(name.partition("@")[0], "")),
            ]
        )
    return Table("In the layout of HyperStyle's paper", columns, rows)


def _quality(summary: Mapping[str, Any]) -> Table:
    """Every measure with its interval."""
    found = [one for one in summary["methods"].values() if "measures" in one]
    measures = [m for m in MEASURES if any(m in one["measures"] for one in found)]
    spaces = dict.fromkeys(space for one in found for space in one["frechet"])
    columns = [
        "method",
        *(f"{MEASURES[m][0]} {'↓↑'[MEASURES[m][1]]}" for m in measures),
    ]
    columns += [*(f"Fréchet ({space}) ↓" for space in spaces), "images", "failed"]
    rows = []
    for one in found:
        cells = [_with_interval(one["measures"].get(m, {})) for m in measures]
        cells += [_cell(one["frechet"].get(s, {}).get("distance"), 4) for s in spaces]
        counts = [str(summary["images"]), str(len(one["failed"]))]
        rows.append([one["title"], *cells, *counts])
    return Table("Quality", columns, rows)


def _cost(summary: Mapping[str, Any]) -> Table:
    columns = ["method", "seconds, batch 1", "seconds, best batch", "best batch"]
    columns += ["compile seconds", "peak memory (GiB)", "bytes per inversion"]
    rows = []
    for one in summary["methods"].values():
        cost = one.get("cost", {})
        if "bytes" not in one and not cost:
            continue
        cells = [
            _cell(cost.get("seconds"), 4),
            _cell(cost.get("best_batch_seconds"), 4),
        ]
        cells += [
            str(cost.get("best_batch", "")),
            _cell(cost.get("compile_seconds"), 1),
        ]
        cells += [_cell(cost.get("peak_memory_gib"), 2)]
        size = f"{one['bytes']:,}" if "bytes" in one else ""
        rows.append([one["title"], *cells, size])
    return Table("Cost", columns, rows)


def _edits(summary: Mapping[str, Any]) -> Table:
    """Means over directions."""
    found = [one for one in summary["methods"].values() if "editability" in one]
    measures = (
        [k for k in found[0]["editability"] if k != "directions"] if found else []
    )
    columns = ["method", *map(_edit_title, measures), "directions reached"]
    total = len(summary["equal_change"])
    rows = []
    for one in found:
        cells = [_with_interval(one["editability"][m]) for m in measures]
        reached = len(one["editability"]["directions"])
        rows.append([one["title"], *cells, f"{reached} of {total}"])
    return Table("Edits at equal change, mean over directions", columns, rows)


def _direction(summary: Mapping[str, Any], name: str) -> Table:
    change = summary["equal_change"][name]
    found = {
        one["title"]: one["edits"][name]["at_equal_change"]
        for one in summary["methods"].values()
        if "at_equal_change" in one.get("edits", {}).get(name, {})
    }
    measures = list(next(iter(found.values()), {}))
    rows = [
        [title, *(_cell(values[m], 4) for m in measures)]
        for title, values in found.items()
    ]
    columns = ["method", *map(_edit_title, measures)]
    return Table(f"{name}, changed by ±{change:.2f} standard deviations", columns, rows)


def _edit_title(measure: str) -> str:
    if measure.startswith("identity"):
        return f"identity ({measure.split()[1]}) ↑"
    return {"background": "background LPIPS ↓", "frechet": "Fréchet ↓"}[measure]


def _with_interval(row: Mapping[str, Any]) -> str:
    interval = row.get("interval")
    text = _cell(row.get("mean"), 4)
    return f"{text} [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else text


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def markdown(summary: Mapping[str, Any]) -> str:
    """All tables and notes."""
    parts = []
    for table in tables(summary):
        parts += [f"## {table.title}", ""]
        parts.append(_line(table.columns))
        parts.append(_line(["---"] + ["---:"] * (len(table.columns) - 1)))
        parts += [*map(_line, table.rows), ""]
    return "\n".join([*parts, *(f"- {line}" for line in notes(summary))]) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def methods_csv(summary: Mapping[str, Any]) -> str:
    """A row for each method, with the means and the costs."""
    rows = []
    for name, one in summary["methods"].items():
        row: dict[str, Any] = {"method": name, "failed": len(one["failed"])}
        for measure, values in one.get("measures", {}).items():
            low, high = values["interval"] or (None, None)
            row |= {measure: values["mean"], f"{measure}_low": low}
            row[f"{measure}_high"] = high
        for space, distance in one.get("frechet", {}).items():
            row[f"frechet_{space}"] = distance["distance"]
        row["bytes"] = one.get("bytes")
        cost = one.get("cost", {})
        row |= {k: v for k, v in cost.items() if isinstance(v, int | float)}
        for measure, values in one.get("editability", {}).items():
            if measure != "directions":
                row[f"edited_{measure.replace(' ', '_')}"] = values["mean"]
        rows.append(row)
    return _csv(rows)


def images_csv(values: Mapping[str, Mapping[str, Mapping[str, float]]], failed) -> str:
    """A row for each method and image.

    Args:
        values: {method: {measure: {image: value}}}.
        failed: {method: images that it could not invert}.
    """
    rows = []
    for method, measures in values.items():
        for name in next(iter(measures.values()), {}):
            row = {"method": method, "image": name, "failed": name in failed[method]}
            rows.append(row | {k: f"{v[name]:.8g}" for k, v in measures.items()})
    return _csv(rows)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(k for row in rows for k in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
