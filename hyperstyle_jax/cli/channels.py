"""`hyperstyle channels` finds out what each channel of the styles does."""

import csv
import io
from pathlib import Path

from hyperstyle_jax.system import folder_lock

_PAGE = 12  # channels on the page of pictures


def add_commands(commands):
    """Adds `hyperstyle channels`."""
    parser = commands.add_parser(
        "channels",
        help="which channel of the styles moves which attribute, and where",
        description="Moves every channel up and down on a few generated images. Writes "
        "channels.csv (for each attribute the channels that move it most and others "
        "least), all_channels.csv, channels.md and channels.png, the best of them as "
        "images. `hyperstyle edit --edit channel:b16/conv0:12=5` moves one.",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.add_argument("--images", type=int, default=8, help="(default 8)")
    parser.add_argument(
        "--strength",
        type=float,
        default=6.0,
        help="of the moves, in standard deviations of each channel (default 6)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the images")
    parser.set_defaults(run=run)


def run(args):
    """Measures all channels; the folder of results is held meanwhile."""
    if args.images < 1 or not 0 < args.strength < 1e3:
        raise ValueError("expected --images of at least 1 and a --strength above 0")
    with folder_lock.hold(args.out):
        _run(args)


def _run(args):
    from functools import partial

    from tqdm import tqdm

    from hyperstyle_jax import images
    from hyperstyle_jax.editing import calibrating, channels, labelling
    from hyperstyle_jax.system import atomic_files, compilation_cache
    from hyperstyle_jax.weights import bundle

    compilation_cache.enable()
    model = bundle.load(args.bundle)
    generator, extractor = model.require("generator", "feature_extractor")
    labelled = labelling.label(generator, extractor, 1000, seed=args.seed)
    meter = calibrating.extractor_meter(model, labelled.attributes.std(0))
    effects = channels.measure(
        generator, meter, count=args.images, strength=args.strength, seed=args.seed,
        progress=partial(tqdm, desc="groups of channels", disable=None),
    )  # fmt: skip
    rows = list(channels.ranked(effects, meter.names))
    atomic_files.write_whole(args.out / "channels.csv", as_csv(rows).encode())
    everything = [
        {"channel": str(e.channel), "size": f"{e.size:.5f}", "region": e.region}
        | {"focus": f"{e.focus:.3f}"}
        | {k: f"{v:.4f}" for k, v in zip(meter.names, e.changes, strict=True)}
        for e in effects
    ]
    atomic_files.write_whole(args.out / "all_channels.csv", as_csv(everything).encode())
    atomic_files.write_whole(args.out / "channels.md", as_markdown(rows).encode())
    firsts = [row for row in rows if row["rank"] == 1]
    firsts.sort(key=lambda row: -abs(row["change"]) * row["purity"] ** 0.5)
    images.save_png(args.out / "channels.png", _page(model, firsts[:_PAGE], args))
    print(f"{len(effects)} channels in {args.out}; the strongest:")
    for row in firsts[:5]:
        print("  {channel}: {attribute} {change:+.2f} sd, {region}".format(**row))


def as_csv(rows: list[dict]) -> str:
    """Rows of the same fields as a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_markdown(rows: list[dict]) -> str:
    """Rows of the same fields as a table in markdown."""
    head = list(rows[0])
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    lines += [f"| {' | '.join(map(str, row.values()))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _page(model, rows, args):
    """Two images at three positions of each channel."""
    import numpy as np

    from hyperstyle_jax import images
    from hyperstyle_jax.editing import calibrating, steps
    from hyperstyle_jax.editing.amounts import Edit

    (generator,) = model.require("generator")
    inversion = calibrating.generated(generator, 2, args.seed)
    amounts = (-args.strength, 0.0, args.strength)
    strips, labels = [], []
    for row in rows:
        moves = steps.resolve(model, Edit(f"channel:{row['channel']}", amounts))
        shown = np.asarray(steps.render_steps(generator, inversion, moves))
        strips.append(list(shown.reshape(-1, *shown.shape[2:])))
        labels.append(f"{row['channel']}  {row['attribute']}")
    columns = [f"{a:+g} sd" if a else "0" for a in amounts] * 2
    scale = max(1, 96 // generator.module.resolution)
    return images.grid(strips, columns, labels, scale)
