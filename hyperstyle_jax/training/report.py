"""A run on one page: numbers, curves, images and config in a single HTML file."""

import base64
import datetime
import html
from pathlib import Path
from typing import Any

from hyperstyle_jax import plots
from hyperstyle_jax.loop import checkpoint, logs
from hyperstyle_jax.system import atomic_files

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto;
       padding: 0 1rem }
img { max-width: 100%; background: #fff }
section { columns: 20rem }
td { padding: .1rem 1.5rem .1rem 0; vertical-align: top }
td + td { font-variant-numeric: tabular-nums }
"""


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
    parts = [
        f"<h1>{_text(fields['task'])}: {_text(workdir.absolute().name)}</h1>",
        _table(_summary(fields, rows, progress or {}, checkpoint.steps(workdir))),
        *_section("Images", "".join(map(_image, _newest(workdir / "images")))),
        *_section("Curves", _image(workdir / "curves.png")),
        *_section("Last numbers", _columns(_table(_last(rows)))),
        *_section("Config", _columns(_table(fields))),
    ]
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{_text(workdir.absolute().name)}</title><style>{_STYLE}</style>"
        f"{''.join(parts)}</html>\n"
    )
    return atomic_files.write_whole(workdir / "report.html", page.encode())


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


def _section(title: str, content: str) -> list[str]:
    return [f"<h2>{title}</h2>", content] if content else []


def _columns(content: str) -> str:
    return f"<section>{content}</section>" if content else ""


def _table(rows: dict) -> str:
    cells = [f"<tr><td>{_text(k)}<td>{_text(v)}" for k, v in rows.items()]
    return f"<table>{''.join(cells)}</table>" if cells else ""


def _image(path: Path) -> str:
    if not path.exists():
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    caption = _text(path.stem.replace("_", " "))
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _text(value) -> str:
    return html.escape(str(value))
