"""`hyperstyle evaluate` measures models on faces never seen, or any results.

With `--targets` it is `measure.py`.
"""

import contextlib
from pathlib import Path

from hyperstyle_jax.cli import measure, precision
from hyperstyle_jax.cli.names import unique_names
from hyperstyle_jax.system import folder_lock

_COUNT, _FIRST, _BATCH = 64, 1_000_000, 16


def add_commands(commands):
    """Adds `hyperstyle evaluate`."""
    parser = commands.add_parser(
        "evaluate",
        help="measure models on held-out faces, or results against their targets",
        usage="%(prog)s MODEL … [options]      models on held-out faces\n"
        "       %(prog)s RESULTS … --targets PHOTOS … [options]",
        description="Of models: inverts procedural faces that no training has seen and "
        "prints how close each comes; with --out also tables (markdown and JSON), "
        "curves over the iterations and images. Of results, with --targets: measures "
        "each picture or inversion against the photo of its name and prints mean, "
        "deviation and 95 % interval; with --out as JSON, CSV and markdown, and the "
        "farthest pairs as a picture.",
    )
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL_OR_RESULTS",
        help="demo, the folder of a bundle, or a workdir of train.py; with --targets "
        "pictures, .npz inversions, or folders of them",
    )
    measure.add_options(parser)
    parser.add_argument("--count", type=int, help="faces per domain (default 64)")
    parser.add_argument(
        "--first-index",
        type=int,
        help="of the faces (default 1000000; smaller ones are trained on)",
    )
    parser.add_argument(
        "--num-iters", type=int, help="iterations (default: each model's own)"
    )
    domains = parser.add_mutually_exclusive_group()
    kinds = {"in-domain": ["in-domain"], "accessories": ["accessories"], "both": []}
    texts = ("plain faces only", "only faces with things never seen", "the default")
    for (name, chosen), text in zip(kinds.items(), texts, strict=True):
        domains.add_argument(
            f"--{name}", dest="domains", action="store_const", const=chosen, help=text
        )
    parser.add_argument(
        "--edits",
        action="store_true",
        default=None,
        help="also compare smile and yaw edits with a W+ search's (8 faces; minutes)",
    )
    parser.add_argument("--batch-size", type=int, help="images at a time (default 16)")
    parser.add_argument(
        "--eval-network",
        metavar="MODEL",
        help="whose feature extractor measures (default: the first model's); one that "
        "none was trained with is fairer",
    )
    precision.add_option(parser)
    parser.add_argument("--out", type=Path, help="folder for tables and images")
    parser.set_defaults(run=run)


def run(args):
    """Evaluates; a folder of tables and images is held meanwhile."""
    measure.check(args)
    with folder_lock.hold(args.out) if args.out else contextlib.nullcontext():
        return _run(args) if args.targets is None else measure.run(args)


def _run(args):
    from hyperstyle_jax.evaluation import held_out_faces, tables
    from hyperstyle_jax.system import compilation_cache

    compilation_cache.enable()
    args.count = _COUNT if args.count is None else args.count
    args.first_index = _FIRST if args.first_index is None else args.first_index
    args.batch_size = _BATCH if args.batch_size is None else args.batch_size
    titles = unique_names(map(Path, args.models))
    models = {
        name: held_out_faces.load(model)
        for name, model in zip(titles, args.models, strict=True)
    }
    editor = _editor(models) if args.edits else None
    eval_network = held_out_faces.load(args.eval_network) if args.eval_network else None
    results = held_out_faces.run(
        models,
        count=args.count,
        first_index=args.first_index,
        num_iters=args.num_iters,
        domains=args.domains or tuple(held_out_faces.DOMAINS),
        batch_size=args.batch_size,
        dtype=args.precision,
        eval_network=eval_network,
    )
    summary = tables.summarize(results, models)
    print(tables.markdown(summary))
    files = tables.write(results, summary, args.out) if args.out else []
    if editor:
        files += _compare_edits(editor, eval_network, args)
    if files:
        print(f"{len(files)} files in {args.out}: {', '.join(f.name for f in files)}")


def _editor(models):
    """The first model with edit directions."""
    for model in models.values():
        if {"smile", "yaw"} <= model.directions.keys():
            return model
    raise ValueError(
        "--edits needs a bundle with the directions smile and yaw: fit them with "
        "`hyperstyle directions`"
    )


def _compare_edits(model, eval_network, args):
    from hyperstyle_jax import images
    from hyperstyle_jax.evaluation import edits, held_out_faces
    from hyperstyle_jax.system import atomic_files

    count = min(8, args.count)
    x = held_out_faces.held_out(count, args.first_index, model.image_size[0], False)
    rows, pages = edits.compare(
        model, x, num_iters=args.num_iters, eval_network=eval_network
    )
    table = edits.markdown(rows, count)
    print(table)
    if not args.out:
        return []
    return [
        atomic_files.write_whole(args.out / "edits.md", table.encode()),
        atomic_files.write_json(args.out / "edits.json", rows),
        *(
            images.save_png(args.out / f"edits_{name}.png", page)
            for name, page in pages.items()
        ),
    ]
