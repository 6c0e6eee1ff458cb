"""`hyperstyle pre-extract` stores the initial inversions of a data set."""

import sys
from pathlib import Path


def add_commands(commands):
    """Adds `hyperstyle pre-extract`."""
    parser = commands.add_parser(
        "pre-extract",
        help="store the initial inversions of a run's images",
        description="Inverts all images of a run's data set with its encoder and "
        "generator, and stores them with the images as a data set for train.py "
        "(config.data.kind=tfds, config.data.path=DIR). Stopped, it goes on with the "
        "same command.",
    )
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="as configs/ffhq.py"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="FIELD=VALUE",
        dest="changes",
        help="fields of the config, as data.path=my_data batch_size=32",
    )
    parser.set_defaults(run=run)


def run(args):
    """Inverts and stores all images; returns 1 if some were skipped."""
    from hyperstyle_jax.config import reading
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.training import pre_extract

    compilation_cache.enable()
    config = reading.read(args.config, args.changes)
    report = pre_extract.run(config, args.out)
    for problem in report["skipped"].values():
        print(f"skipped: {problem}", file=sys.stderr)
    if clipped := report["notes"].get("clipped"):
        print(f"{clipped:,} initial images leave [-2, 2] and were clipped")
    counts = ", ".join(f"{n:,} {split}" for split, n in report["counts"].items())
    print(f"initial inversions of {counts} in {args.out}; sha256 {report['sha256']}")
    print(f"train with --config.data.kind=tfds --config.data.path={args.out}")
    return 1 if report["skipped"] else 0
