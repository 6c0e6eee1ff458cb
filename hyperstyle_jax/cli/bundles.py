"""`hyperstyle export` makes a bundle of runs."""

from pathlib import Path

from hyperstyle_jax.system import folder_lock


def add_commands(commands):
    """Adds `hyperstyle export`."""
    parser = commands.add_parser(
        "export",
        help="make a bundle of trained runs",
        description="Writes the networks of train.py's runs as a bundle. A run of the "
        "hypernetwork has all that inversion needs; of several runs the last one wins.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="WORKDIR")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument(
        "--best",
        action="store_true",
        help="the checkpoints of the best evaluation (config.best), not the newest",
    )
    parser.add_argument(
        "--beside",
        default="",
        metavar="BUNDLE",
        help="a bundle of the same generator, whose networks and edits stay (demo, …)",
    )
    parser.add_argument("--half", action="store_true", help="parameters as float16")
    parser.add_argument(
        "--num-iters", type=int, help="iterations by default (default: the run's)"
    )
    parser.add_argument("--licence", default="unspecified", help="e.g. MIT")
    parser.add_argument("--summary", help="what the bundle is, for its README.md")
    parser.add_argument("--limits", help="what it is not good at, for its README.md")
    parser.set_defaults(run=export)


def export(args):
    """Writes the bundle of some runs; its folder is held meanwhile."""
    with folder_lock.hold(args.out, beside=True):
        _export(args)


def _export(args):
    from hyperstyle_jax.config.fields import METHODS
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.training import exporting

    compilation_cache.enable()
    info = {"licence": args.licence, "summary": args.summary, "limits": args.limits}
    bundle_id, nets = exporting.export(
        args.runs,
        args.out,
        best=args.best,
        half=args.half,
        num_iters=args.num_iters,
        beside=args.beside,
        info={k: v for k, v in info.items() if v},
    )
    size = sum(f.stat().st_size for f in args.out.iterdir()) / 2**20
    print(f"bundle {bundle_id} in {args.out}: {', '.join(nets)}; {size:.1f} MiB")
    methods = [r.replace("_", "-") for r in METHODS if r in nets]
    if methods:
        print(f"to invert photos with: --method {' or '.join(methods)}")
    missing = [r for r in exporting.ROLES[:3] if r not in nets]
    if missing and set(nets) != {"flow"} and not methods:
        print(f"to invert photos it also needs: {', '.join(missing)}")
