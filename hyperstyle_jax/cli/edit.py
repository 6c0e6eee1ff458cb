"""`hyperstyle edit` renders strips of edits from saved inversions alone."""

import contextlib
import sys
from pathlib import Path

from hyperstyle_jax.cli.names import unique_names
from hyperstyle_jax.system import folder_lock


def add_commands(commands):
    """Adds `hyperstyle edit`."""
    parser = commands.add_parser(
        "edit",
        help="edit inverted photos along named directions",
        description="Renders saved inversions along a direction, one labelled strip "
        "STEM_DIRECTION.png per photo, and of several photos an overview.",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="DIR_OR_FILE",
        help=".npz files of `hyperstyle invert`, or folders of them",
    )
    parser.add_argument(
        "--direction", nargs="+", required=True, help="e.g. smile; see hyperstyle info"
    )
    parser.add_argument(
        "--strength",
        nargs="+",
        type=float,
        default=[-3.0, -1.5, 0.0, 1.5, 3.0],
        help="in standard deviations, e.g. -3 0 3 (default -3 -1.5 0 1.5 3)",
    )
    parser.add_argument("--model", default="demo", help="bundle (default: demo)")
    parser.add_argument(
        "--out", type=Path, help="folder (default: beside the .npz files)"
    )
    parser.set_defaults(run=run)


def run(args):
    """Edits; the folders that get the strips are held meanwhile."""
    files = find(args.inputs)
    folders = {args.out} if args.out else {file.parent for file in files}
    with contextlib.ExitStack() as held:
        for folder in sorted(folders):
            held.enter_context(folder_lock.hold(folder))
        return _run(args, files)


def _run(args, files: list[Path]) -> int:
    import numpy as np
    from tqdm import tqdm

    from hyperstyle_jax import images
    from hyperstyle_jax.editing.directions import sweep
    from hyperstyle_jax.inversion import storage
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    if not np.isfinite(args.strength).all():
        raise ValueError(f"--strength {args.strength}: expected finite numbers")
    compilation_cache.enable()
    model = bundle.load(args.model)
    directions = {name: model.direction(name) for name in args.direction}
    labels = [f"{strength:+g}" if strength else "0" for strength in args.strength]
    (generator,) = model.require("generator")
    strengths = np.array(args.strength, np.float32)
    scale = max(1, 128 // generator.module.resolution)
    rows = {name: [] for name in directions}
    names, done, failed = unique_names(files), [], []
    for file, name in tqdm(list(zip(files, names, strict=True)), disable=None):
        try:
            inversion = storage.restore(model, [storage.load(file)])
        except (ValueError, OSError) as error:
            failed.append(f"{file}: {error}")
            continue
        done.append(name)
        for title, direction in directions.items():
            strip = sweep(generator, inversion, direction, strengths)[0]
            rows[title].append(images.to_uint8(strip))
            image = images.grid(rows[title][-1:], labels, [title], scale)
            folder = args.out or file.parent
            images.save_png(folder / f"{name}_{title}.png", image)
    if not done:
        raise ValueError("; ".join(failed))
    folder = args.out or files[0].parent
    if len(done) > 1:
        for title, strips in rows.items():
            image = images.grid(strips, labels, done, scale)
            images.save_png(folder / f"overview_{title}.png", image)
    print(f"{len(done)} photos x {len(directions)} directions in {folder}")
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


def find(inputs: list[Path]) -> list[Path]:
    """The .npz files among files and folders (not below them)."""
    unique = {}
    for path in inputs:
        files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        if not files or not files[0].is_file():
            fault = "has no .npz files" if path.is_dir() else "does not exist"
            raise ValueError(
                f"{path} {fault}: expected what `hyperstyle invert --out` wrote"
            )
        unique |= {file.resolve(): file for file in files}
    return list(unique.values())
