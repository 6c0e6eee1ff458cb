"""A run on one page: numbers, curves, images and config in a single HTML file."""

import datetime
from pathlib import Path
from typing import Any

from hyperstyle_jax import plots
from hyperstyle_jax.loop import checkpoint, logs
from hyperstyle_jax.system import atomic_files, web_page


def write(
    workdir: str | Path, fields: dict[str, Any], progress: dict[str, Any] | None
) -> Path:
    """Draws `curves.png` and writes `report.html`, which needs no other file.

    Args:
        workdir: folder of the run.
        fields: of the run's config, {"optim.lr": 1e-3, …}.
        progress: of the run's newest checkpoint, or None.

    Returns:
        The page's path.

    Raises:
        OSError: the folder cannot be written to.
    """
    workdir = Path(workdir)
    rows = logs.read(workdir)
    plots.curves(rows, workdir / "curves.png")
    title = f"{fields['task']}: {workdir.absolute().name}"
    parts = [
        f"<h1>{web_page.text(title)}</h1>",
        web_page.table(
            _summary(fields, rows, progress or {}, checkpoint.steps(workdir))
        ),
        *web_page.section("Images", "".join(map(_image, _newest(workdir / "images")))),
        *web_page.section("Curves", _image(workdir / "curves.png")),
        *web_page.section("Last numbers", _columns(web_page.table(_last(rows)))),
        *web_page.section("Config", _columns(web_page.table(fields))),
    ]
    page = web_page.page(workdir.absolute().name, parts)
    return atomic_files.write_whole(workdir / "report.html", page)


def _summary(fields, rows, progress, steps) -> dict[str, str]:
    done = max([*steps, *(row["step"] for row in rows)], default=0)
    summary = {"steps": f"{done:,} of {fields['num_steps']:,}"}
    seconds = progress.get("seconds", 0)
    summary["time spent"] = str(datetime.timedelta(seconds=round(seconds)))
    if best := progress.get("best"):
        value = f"{best['value']:.4g} at step {best['step']:,}"
        summary[f"best {best['metric']}"] = value
    return summary | {"checkpoints": ", ".join(map(str, steps))}


def _last(rows: list[dict[str, float]]) -> dict[str, str]:
    """The newest value of every metric, with its step where that is an older one."""
    last = {}
    for row in rows:
        last |= {k: (v, row["step"]) for k, v in row.items() if k != "step"}
    end = rows[-1]["step"] if rows else 0
    return {
        name: f"{value:.5g}" + (f" (step {step:,})" if step != end else "")
        for name, (value, step) in sorted(last.items())
    }


def _newest(folder: Path) -> list[Path]:
    """The newest image of each kind: STEP.png, train_STEP.png."""
    kinds = {
        path.stem.rpartition("_")[0]: path for path in sorted(folder.glob("*.png"))
    }
    return list(kinds.values())


def _columns(content: str) -> str:
    return f"<section>{content}</section>" if content else ""


def _image(path: Path) -> str:
    if not path.exists():
        return ""
    return web_page.image(path.read_bytes(), path.stem.replace("_", " "))
