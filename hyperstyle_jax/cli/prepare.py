"""`hyperstyle prepare` makes data sets of folders and archives downloaded by hand."""

import sys
from pathlib import Path

from hyperstyle_jax.data.published import ANIMALS, DATASETS

_SHOWN = 20


def add_commands(commands):
    """Adds `hyperstyle prepare`."""
    parser = commands.add_parser(
        "prepare",
        help="store a data set at the size of training",
        description="Crops, resizes and stores images as a data set for train.py "
        "(config.data.kind=tfds, config.data.path=DIR). Stopped, it goes on with the "
        "same command. The exit code is 1 if images could not be read, or are in "
        "train and test alike; the others are stored.",
    )
    parser.add_argument(
        "dataset", choices=DATASETS, metavar="DATASET", help=", ".join(DATASETS)
    )
    parser.add_argument(
        "--source",
        nargs="+",
        required=True,
        metavar="PATH",
        help="folders, zip files or folders in them, addresses as gs://…; celeba-hq "
        "also needs list_eval_partition.txt and CelebA-HQ-to-CelebA-mapping.txt (or "
        "image_list.txt), found beside them too",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--size", type=int, required=True, help="width in pixels")
    parser.add_argument("--height", type=int, default=0, help="default: square")
    parser.add_argument("--animal", choices=ANIMALS, default="wild", help="of afhq")
    parser.add_argument(
        "--eval-count",
        type=int,
        default=0,
        metavar="N",
        help="make the last N training images the split test (ffhq, folder)",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="a .csv or .jsonl table of what is known of the images: one column is the "
        "image's file, each other one a number or a category",
    )
    parser.add_argument(
        "--partial",
        action="store_true",
        help="accept another number of images than was published",
    )
    parser.set_defaults(run=run)


def run(args):
    """Stores a data set; returns 1 if images were skipped or are in two splits."""
    from hyperstyle_jax.data import preparing
    from hyperstyle_jax.data.entries import left_out_line

    report = preparing.prepare(
        args.dataset,
        args.source,
        args.out,
        args.size,
        args.height,
        animal=args.animal,
        eval_count=args.eval_count,
        accept_partial=args.partial,
        labels=args.labels or "",
    )
    _list("skipped", list(report["skipped"].values()))
    if report["left_out"]:
        print(left_out_line(report["left_out"]), file=sys.stderr)
    _list("in train too", [f"{b} = {a}" for a, b in report["leaks"]])
    if report["leaks"]:
        print("train with --config.data.leaks=drop to leave them out of training")
    if enlarged := report["notes"].get("enlarged"):
        print(f"{enlarged:,} images were smaller and had to be enlarged")
    counts = ", ".join(f"{n:,} {split}" for split, n in report["counts"].items())
    skipped = f", {len(report['skipped']):,} skipped" if report["skipped"] else ""
    print(f"{counts}{skipped} in {args.out}; {len(report['shards'])} files, sha256 of")
    print(f"the images {report['sha256']} (files: {args.out}/report.json)")
    return 1 if report["skipped"] or report["leaks"] else 0


def _list(title: str, lines: list[str]):
    for line in lines[:_SHOWN]:
        print(f"{title}: {' '.join(line.split())}", file=sys.stderr)
    if len(lines) > _SHOWN:
        print(f"{title}: and {len(lines) - _SHOWN} more", file=sys.stderr)
