"""`hyperstyle speed` times the networks at full width."""

from pathlib import Path

_COLUMNS = ("median", "images/s", "compile", "cached", "GFLOP", "of peak", "GiB")


def add_commands(commands):
    """Adds `hyperstyle speed`."""
    parser = commands.add_parser(
        "speed",
        help="time the networks at full width",
        description="Times generators, encoder, hypernetwork, inversions, editing and "
        "training steps, each in a process of its own, and prints one table. Compile: "
        "without and with a cache on disk. Of peak: the share of the arithmetic that a "
        "large product of the same type reaches on this machine.",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="items, or `growth` (over resolution, batch, iterations, devices), or "
        "`gpu` (1024², batch 8); default: the table of single items",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="draw how the cost grows"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write figures")
    parser.add_argument(
        "--compare", type=Path, metavar="OLD.json", help="print ratios to older figures"
    )
    parser.set_defaults(run=run)


def run(args):
    """Times items and prints their figures; returns 1 if one failed."""
    import json

    from hyperstyle_jax.benchmark import speed
    from hyperstyle_jax.system import atomic_files

    names = _names(args.only)
    old = json.loads(args.compare.read_text()) if args.compare else None
    if old is not None and "items" not in old:
        raise ValueError(f"{args.compare} is not a file of `hyperstyle speed --json`")
    items = {}
    print(f"{'':26}" + "".join(f"{name:>10}" for name in _COLUMNS), flush=True)
    for name, figures in speed.run(names):
        items[name] = figures
        print(_row(name, figures), flush=True)
        if args.json:
            atomic_files.write_json(args.json, speed.summary(items))
    total = speed.summary(items)
    if total["device"]:  # of the items that did not fail
        print(f"\n{total['device']}; yardstick {total['yardstick_s']:.4f} s")
    if old is not None:
        for name, ratio in speed.ratios(old, total):
            print(f"{name:26}{ratio:9.2f} times as fast (in units of the yardstick)")
    if args.plot:
        from hyperstyle_jax import plots

        plots.growth(speed.growth(items), args.plot)
    return int(any("error" in figures for figures in items.values()))


def _names(only: list[str] | None) -> list[str]:
    from hyperstyle_jax.benchmark.speed_items import EVERY, GROUPS, ITEMS

    names = [n for name in only or ITEMS for n in GROUPS.get(name, [name])]
    for name in names:
        if name not in EVERY:
            known = ", ".join([*GROUPS, *EVERY])
            raise ValueError(f"--only {name}: no such item; there are {known}")
    return names


def _row(name: str, figures: dict) -> str:
    if "error" in figures:
        return f"{name:26}  failed: {figures['error']}"
    peak = figures["matmul_gflops"] * figures["median_s"]
    cells = (
        f"{figures['median_s']:.4f} s",
        f"{figures['images_per_s']:.2f}",
        _seconds(figures.get("compile_s")),
        _seconds(figures.get("compile_warm_s")),
        f"{figures['gflop']:.1f}" if "gflop" in figures else "-",
        f"{figures['gflop'] / peak:.0%}" if "gflop" in figures else "-",
        f"{figures['peak_gib']:.2f}",
    )
    return f"{name:26}" + "".join(f"{cell:>10}" for cell in cells)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
