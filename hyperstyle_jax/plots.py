"""Draws charts of runs, iterations and tables to PNG files, with matplotlib."""

import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from hyperstyle_jax.system import atomic_files

# Where there is no home folder it says where it keeps its cache.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
_MOST_LABELS = 3  # in a legend that lies over the curves
_MARKERS = "oDs^"  # of ten methods each


def curves(rows: list[dict[str, float]], path: str | Path) -> None:
    """Draws each metric of a run over the steps, in a panel of its own.

    Args:
        rows: as in `metrics.jsonl`, each with `step`; the metric `eval/x` is drawn in
            the panel of `x`. Without metrics no file is written.
        path: of the PNG file.
    """
    from matplotlib.figure import Figure

    names = sorted({k.removeprefix("eval/") for row in rows for k in row} - {"step"})
    columns = min(3, len(names))
    if not columns:
        return
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.8 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        _panel(panel, rows, name)
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    _save(figure, path, dpi=100)


def iterations(
    series: Mapping[str, Sequence[float]],
    path: str | Path,
    *,
    title: str = "L2",
    reference: str = "initial inversion",
) -> None:
    """Draws a measure after each iteration, with one curve for each model.

    Args:
        series: {label: [value of the initial inversion, after iteration 1, …]}.
        path: of the PNG file.
        title: of the measure.
        reference: the label of a dotted line at the start of the first curve.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    panel = figure.subplots()
    initial = next(iter(series.values()))[0]
    panel.axhline(initial, color="0.5", ls=":", label=f"{reference} {initial:.3g}")
    for label, values in series.items():
        (line,) = panel.plot(range(len(values)), values, "o-", ms=4, label=label)
        end = (len(values) - 1, values[-1])
        panel.annotate(
            f"{values[-1]:.3g}", end, (0, 7), textcoords="offset points",
            color=line.get_color(), ha="center", fontsize="small",
        )  # fmt: skip
    panel.set_title(title)
    panel.set_xlabel("iteration (0: initial inversion)")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.margins(x=0.08, y=0.12)
    panel.grid(alpha=0.3)
    panel.legend(fontsize="small")
    _save(figure, path, dpi=120)


def growth(table: Mapping[str, Mapping[int, float]], path: str | Path) -> None:
    """Draws how seconds grow with each quantity, on logarithmic axes.

    Args:
        table: {quantity: {its size: seconds}}, as {"batch": {1: 0.5, 2: 0.9}}.
        path: of the PNG file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.0 * max(len(table), 1), 2.8), layout="constrained")
    panels = figure.subplots(1, max(len(table), 1), squeeze=False)[0]
    for panel, (quantity, times) in zip(panels, table.items(), strict=False):
        sizes = sorted(times)
        panel.loglog(sizes, [times[n] for n in sizes], "o-", ms=4, base=2)
        panel.set_xticks(sizes, [str(n) for n in sizes])
        panel.minorticks_off()
        for before, n in zip([sizes[0], *sizes], sizes, strict=False):
            # Beside the line: above where it rises, below where it falls.
            offset = (-4, 5) if times[n] >= times[before] else (-4, -12)
            panel.annotate(
                f"{times[n]:.3g} s", (n, times[n]), offset,
                textcoords="offset points", ha="right", fontsize="small",
            )  # fmt: skip
        panel.set_title(quantity)
        panel.yaxis.set_major_formatter("{x:g}")
        panel.margins(x=0.38, y=0.2)
        low, high = panel.get_ylim()
        if high < 4 * low:  # small changes shall not look large
            panel.set_ylim(0.5 * (low * high) ** 0.5, 2 * (low * high) ** 0.5)
        panel.grid(alpha=0.3)
    _save(figure, path, dpi=120)


def against(
    series: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    path: str | Path,
    *,
    x: str,
    y: str,
) -> None:
    """Draws one quantity against another, with a panel for each subject.

    Args:
        series: {panel: {label: (values of x, values of y)}}.
        path: of the PNG file.
        x: what the horizontal axis is. y: what the vertical axis is.
    """
    from matplotlib.figure import Figure

    columns = min(4, max(len(series), 1))
    lines = -(-max(len(series), 1) // columns)
    figure = Figure(figsize=(2.9 * columns, 2.4 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for panel, (title, curves_) in zip(panels.ravel(), series.items(), strict=False):
        for i, (label, (xs, ys)) in enumerate(curves_.items()):
            style = ("o-", "D--", "s:")[i // 10 % 3]  # colours repeat after ten
            panel.plot(xs, ys, style, ms=3, lw=1.2, label=label)
        panel.set_title(title, fontsize="medium")
        panel.grid(alpha=0.3)
    for panel in panels.ravel()[len(series) :]:
        panel.remove()
    figure.supxlabel(x, fontsize="medium")
    figure.supylabel(y, fontsize="medium")
    lines_, labels = panels[0, 0].get_legend_handles_labels()
    if len(labels) > _MOST_LABELS:  # they would hide the curves
        figure.legend(lines_, labels, loc="outside upper center", ncols=4, fontsize=8)
    else:
        panels[0, 0].legend(fontsize="small")
    _save(figure, path, 110)


def points(
    panels: Mapping[str, Mapping[str, tuple[float, float]]],
    path: str | Path,
    *,
    x: str,
    log: bool = False,
) -> None:
    """Draws a point with its name for each method, in a panel for each measure.

    Args:
        panels: {what the vertical axis is: {label: (x, y)}}.
        path: of the PNG file.
        x: what the horizontal axis is; `log` makes it logarithmic.
    """
    from matplotlib.figure import Figure

    size = (5.0 * max(len(panels), 1), 4.0)
    figure = Figure(figsize=size, layout="constrained")
    drawn = figure.subplots(1, max(len(panels), 1), squeeze=False)[0]
    labels = list(
        dict.fromkeys(label for points in panels.values() for label in points)
    )
    for panel, (y, values) in zip(drawn, panels.items(), strict=False):
        for label, (a, b) in values.items():
            number = labels.index(label)
            marker = _MARKERS[number // 10 % len(_MARKERS)]
            panel.plot([a], [b], marker, ms=8, color=f"C{number % 10}", label=label)
        if log:
            panel.set_xscale("log")
        panel.set_title(y, fontsize="medium")
        panel.set_xlabel(x)
        panel.margins(0.12)
        panel.grid(alpha=0.3)
    handles = {h.get_label(): h for panel in drawn for h in panel.get_lines()}
    figure.legend(
        [*handles.values()], [*handles], loc="outside right center", fontsize="small"
    )
    _save(figure, path, dpi=110)


def bars(table: Mapping[str, Mapping[str, float]], path: str | Path) -> None:
    """Draws a table as bars with their numbers, with a panel for each measure.

    Args:
        table: {measure: {method: value}}; a measure may lack some methods.
        path: of the PNG file.
    """
    from matplotlib.figure import Figure

    methods = list(dict.fromkeys(m for row in table.values() for m in row))
    size = (1.2 + 2.6 * len(table), 0.9 + 0.36 * len(methods))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(table), squeeze=False, sharey=True)[0]
    for panel, (measure, row) in zip(panels, table.items(), strict=True):
        measured = [m for m in methods if m in row]
        positions = [methods.index(m) for m in measured]
        colours = [f"C{i % 10}" for i in positions]
        container = panel.barh(positions, [row[m] for m in measured], color=colours)
        panel.bar_label(container, [f"{row[m]:.3g}" for m in measured], padding=3)
        panel.set_yticks(range(len(methods)), methods)
        panel.set_title(measure, fontsize="medium")
        panel.margins(x=0.25)
        panel.xaxis.set_visible(False)  # every bar has its number
        panel.spines[["top", "right", "bottom"]].set_visible(False)
    panels[0].invert_yaxis()
    _save(figure, path, dpi=120)


def _save(figure, path: str | Path, dpi: int) -> None:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dpi)
    atomic_files.write_whole(path, data.getvalue())


def _panel(panel, rows: list[dict[str, float]], name: str) -> None:
    values = []
    for key, label, style in ((name, "train", "-"), (f"eval/{name}", "eval", "o-")):
        points = [(row["step"], row[key]) for row in rows if key in row]
        if points:
            values += [value for _, value in points]
            panel.plot(*zip(*points, strict=True), style, ms=3, lw=1.2, label=label)
    if min(values) > 0 and max(values) > 30 * min(values):
        panel.set_yscale("log")
    panel.set_title(name)
    panel.set_xlabel("step")
    panel.grid(alpha=0.3)
    panel.legend(fontsize="small")
