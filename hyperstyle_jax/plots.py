"""Charts as PNG files (matplotlib)."""

from pathlib import Path


def curves(rows: list[dict[str, float]], path: str | Path) -> None:
    """One panel per metric over the steps; `eval/x` is drawn into the panel of `x`.

    Args:
        rows: as in `metrics.jsonl`, each with `step`.
        path: PNG file to write.
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
    figure.savefig(path, dpi=100)


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
