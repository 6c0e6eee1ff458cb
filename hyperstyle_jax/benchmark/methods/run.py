"""Runs a benchmark: inverts, measures what is on disk, writes tables and pictures."""

import datetime
import itertools
import re
import sys
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from hyperstyle_jax.benchmark.methods import (
    cost,
    editability,
    inverting,
    pictures,
    quality,
    tables,
)
from hyperstyle_jax.benchmark.methods.plan import PARTS, Plan, base, write_targets
from hyperstyle_jax.benchmark.methods.summary import Found, summarize
from hyperstyle_jax.inversion import methods
from hyperstyle_jax.system import atomic_files, errors, folder_lock, program, web_page


def run(plan: Plan) -> dict[str, Any]:
    """Does what is not done yet, and writes the results; the folder is held meanwhile.

    Args:
        plan: of the benchmark.

    Returns:
        The content of `benchmark.json`, as of `summary.summarize`. Methods that failed,
        or failed on some images, say so by `error` and `failed`.

    Raises:
        ValueError: an unknown method or setting, no image, or the folder is in use.
    """
    _check(plan)
    with folder_lock.hold(plan.out):
        write_targets(plan)
        failed = _invert(plan)
        found = _measure(plan, failed)
        summary = summarize(plan, found)
        _write(plan, summary, found)
    return summary


def _check(plan: Plan) -> None:
    if not plan.x:
        raise ValueError("no images: give at least one")
    if plan.batch_size < 1:
        raise ValueError(f"batches of {plan.batch_size} images: expected 1 or more")
    for method, settings in plan.methods.items():
        if not re.fullmatch(r"[\w-]+(@\w[\w. +-]*)?", method):
            raise ValueError(f"method {method!r}: expected NAME or NAME@LABEL")
        methods.checked(plan.model, base(method), settings)
    if unknown := [part for part in plan.parts if part not in PARTS]:
        raise ValueError(f"part {unknown[0]!r}: expected {', '.join(PARTS)}")
    for name in plan.directions:
        plan.model.direction(name)


def _invert(plan: Plan) -> dict[str, dict[str, str]]:
    """{method: its failed images}."""
    failed: dict[str, dict[str, str]] = {}
    total = len(plan.methods) * len(plan.names)
    with tqdm(total=total, unit="image", disable=None) as bar:
        with program.telling(lambda: f"{_count(plan)} of {total} inversions are there"):
            for i, method in enumerate(plan.methods, 1):
                bar.set_description(f"{method} ({i} of {len(plan.methods)})")
                failed[method] = inverting.invert(plan, method, bar)
                for name, why in list(failed[method].items())[:1]:
                    count = f"{len(failed[method])} of {len(plan.names)} images"
                    line = f"failed: {method}: {count}: {name}: {why}"
                    bar.write(line, file=sys.stderr)
    return failed


def _count(plan: Plan) -> int:
    """How many inversions are there."""
    pairs = itertools.product(plan.methods, plan.names)
    return sum(inverting.note(plan, *pair) is not None for pair in pairs)


def _measure(plan: Plan, failed: Mapping[str, Mapping[str, str]]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    real = None
    for method, lost in failed.items():
        if len(lost) == len(plan.names):
            found[method] = Found(lost, error=next(iter(lost.values())))
            continue
        try:
            one = Found(lost)
            if "quality" in plan.parts:
                one = one._replace(quality=quality.measure(plan, method, lost))
            if "edits" in plan.parts and plan.meter and plan.directions:
                real = editability.real_images(plan) if real is None else real
                one = one._replace(edits=_edits(plan, method, lost, real))
            if "cost" in plan.parts:
                one = one._replace(cost=cost.measure(plan, method))
        except Exception as error:  # one method must not stop the others
            program.heed_stop()
            if errors.is_disk_full(error):
                raise
            why = errors.first_line(error)
            one = Found(lost, error=f"could not be measured: {why}")
        found[method] = one
    return found


def _edits(plan: Plan, method: str, lost, real) -> dict[str, dict[str, Any]]:
    return {
        name: editability.measure(plan, method, name, lost, real)
        for name in plan.directions
    }


def has_failed(summary: Mapping[str, Any]) -> bool:
    """Whether a method failed, or failed on an image."""
    return any(
        "error" in one or one["failed"] or "error" in one.get("cost", {})
        for one in summary["methods"].values()
    )


def _write(plan: Plan, summary: dict[str, Any], found: Mapping[str, Found]) -> None:
    out = plan.out
    measured = {m: one for m, one in found.items() if not one.error}
    values = {m: one.quality["values"] for m, one in measured.items() if one.quality}
    lost = {m: one.failed for m, one in measured.items()}
    date = datetime.date.today().isoformat()
    atomic_files.write_json(out / "benchmark.json", {"date": date, **summary})
    texts = {
        "benchmark.md": tables.markdown(summary),
        "benchmark.csv": tables.methods_csv(summary),
        "images.csv": tables.images_csv(values, lost),
    }
    for name, text in texts.items():
        atomic_files.write_whole(out / name, text.encode())
    files = pictures.write(plan, summary, lost)
    pages = []
    for table in tables.tables(summary):
        shown = web_page.wide_table(table.columns, table.rows)
        pages += web_page.wide_section(table.title, shown)
    notes = "".join(f"<li>{web_page.text(line)}" for line in tables.notes(summary))
    pages += web_page.section("Notes", f"<ul>{notes}</ul>")
    pictures.report(out, pages, files, "Inversion methods")
