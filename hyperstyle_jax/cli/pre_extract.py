"""`hyperstyle pre-extract`: first inversions stored once instead of made every step."""

import sys
from pathlib import Path


def add_commands(commands):
    parser = commands.add_parser(
        "pre-extract",
        help="store the first inversions of a run's pictures",
        description="Inverts all pictures of a run's data set with its encoder and "
        "generator, and stores them with the pictures as a data set for train.py "
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
    from hyperstyle_jax.config import reading
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.training import pre_extract

    compilation_cache.enable()
    config = reading.read(args.config, args.changes)
    report = pre_extract.run(config, args.out)
    for problem in report["skipped"].values():
        print(f"skipped: {problem}", file=sys.stderr)
    if clipped := report["notes"].get("clipped"):
        print(f"{clipped:,} first pictures leave [-2, 2] and were clipped")
    counts = ", ".join(f"{n:,} {split}" for split, n in report["counts"].items())
    print(f"first inversions of {counts} in {args.out}; sha256 {report['sha256']}")
    print(f"train with --config.data.kind=tfds --config.data.path={args.out}")
    return 1 if report["skipped"] else 0
