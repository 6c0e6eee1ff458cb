"""`hyperstyle familiarize` stores in a bundle what pictures of its domain look like."""

from pathlib import Path

from hyperstyle_jax.system import folder_lock


def add_commands(commands):
    """Adds the parser of `hyperstyle familiarize`."""
    parser = commands.add_parser(
        "familiarize",
        help="let a bundle know pictures that are not of its domain",
        description="Measures how far initial inversions are from pictures of the "
        "domain: those given, or else such as the bundle's own generator draws. Stored "
        "in the bundle, it lets `hyperstyle invert` warn of pictures that are not "
        "aligned, or of something else. The bundle's id stays.",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument(
        "photos", nargs="*", type=Path, metavar="PHOTO", help="aligned photos (100+)"
    )
    parser.add_argument(
        "--count", type=int, default=1000, help="images to draw (default 1000)"
    )
    parser.add_argument("--batch-size", type=int, default=16, help="(default 16)")
    parser.set_defaults(run=run)


def run(args):
    """Measures and stores; the bundle is held meanwhile."""
    from hyperstyle_jax.weights import bundle

    with folder_lock.hold(bundle.find(args.bundle), beside=True):
        return _run(args)


def _run(args) -> int:
    import sys

    from tqdm import tqdm

    from hyperstyle_jax.inversion import familiarity
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    if args.batch_size < 1 or args.count < 1:
        raise ValueError("--count and --batch-size: expected 1 or more")
    compilation_cache.enable()
    model, failed = bundle.load(args.bundle), {}
    if args.photos:
        batches = _read(model, args, failed)
    else:
        batches = familiarity.drawn(model, args.count, batch_size=args.batch_size)
    facts = familiarity.describe(model, tqdm(batches, unit="batch", disable=None))
    facts["of"] = "photos" if args.photos else "generated images"
    bundle.set_info(args.bundle, **{familiarity.KEY: facts})
    print(
        f"{args.bundle}: a picture is unlike the domain's if {facts['measure']} of its "
        f"initial inversion exceeds {facts['limit']:.4f} ({facts['count']} "
        f"{facts['of']})"
    )
    for path, why in failed.items():
        print(f"failed: {path}: {why}", file=sys.stderr)
    return 1 if failed else 0


def _read(model, args, failed):
    """Batches of one size; the last one that is not full is left out."""
    import numpy as np

    from hyperstyle_jax import images
    from hyperstyle_jax.cli import photo_files, photo_runs
    from hyperstyle_jax.inversion import pipeline

    inputs = list(photo_runs.expanded(args.photos))
    photos = photo_files.collect(inputs, Path(args.bundle))
    failed.update(photos.failed)
    batch = []
    for file in photos.files:
        try:
            batch.append(pipeline.prepare(model, [images.read(file.read(), file.path)]))
        except (ValueError, OSError, MemoryError) as error:
            failed[file.path] = str(error)
        if len(batch) == args.batch_size:
            yield np.concatenate(batch)
            batch = []
