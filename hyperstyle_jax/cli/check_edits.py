"""`hyperstyle check-edits` compares requested with measured edits of photos."""

from pathlib import Path

from hyperstyle_jax.system import folder_lock

_SHOWN = 3  # images on the page


def add_commands(commands):
    """Adds `hyperstyle check-edits`."""
    parser = commands.add_parser(
        "check-edits",
        help="compare requested with measured edits, and what they cost in identity",
        description="Inverts images that nothing was fitted to, requests changes along "
        "every calibrated direction within its safe range, and measures what came. "
        "Writes edits.md and .csv, edits.png (three images at the ends of each safe "
        "range) and edit_curves.png: the similarity to the person against the measured "
        "change, for HyperStyle and for a search in W+ that comes as close.",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument(
        "--photos", nargs="+", type=Path, required=True, help="images to edit"
    )
    parser.add_argument("--count", type=int, default=48, help="images (default 48)")
    parser.add_argument("--names", nargs="+", help="directions (default: all)")
    parser.add_argument(
        "--keep",
        type=lambda text: text.split(","),
        default=[],
        metavar="NAME,NAME",
        help="as in `hyperstyle edit`",
    )
    parser.add_argument(
        "--search",
        type=int,
        default=8,
        metavar="N",
        help="images for the comparison with the search in W+ (default 8; 0: none)",
    )
    parser.add_argument(
        "--eval-network",
        metavar="MODEL",
        help="whose feature extractor measures (default: the bundle's own)",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.set_defaults(run=run)


def run(args):
    """Measures; the folder of results is held meanwhile."""
    with folder_lock.hold(args.out):
        _run(args)


def _run(args):
    import jax
    from tqdm import tqdm

    from hyperstyle_jax import images, plots
    from hyperstyle_jax.cli.channels import as_csv, as_markdown
    from hyperstyle_jax.cli.directions import read_photos
    from hyperstyle_jax.editing import calibrating, labelling
    from hyperstyle_jax.evaluation import edits, held_out_faces, sliders
    from hyperstyle_jax.inversion import pipeline
    from hyperstyle_jax.system import atomic_files, compilation_cache
    from hyperstyle_jax.weights import bundle

    compilation_cache.enable()
    model = bundle.load(args.bundle)
    names = args.names or list(model.calibrations)
    if unknown := [name for name in names if name not in model.calibrations]:
        raise ValueError(f"{unknown[0]} is not calibrated; see `hyperstyle calibrate`")
    reader = held_out_faces.load(args.eval_network) if args.eval_network else model
    (generator,) = model.require("generator")
    (extractor,) = reader.require("feature_extractor")
    std = labelling.label(generator, extractor, 1000, seed=3).attributes.std(0)
    meter = calibrating.extractor_meter(reader, std)
    x = pipeline.prepare(model, read_photos(args.photos, args.count))
    num_iters = pipeline.checked_num_iters(model, None)
    inversion = pipeline.decode(model, pipeline.refine(model, x, num_iters))
    rows = []
    for name in tqdm(names, "directions", disable=None):
        found = sliders.check(model, meter, inversion, name, keep=args.keep)
        rows.append(found.row)
    table = as_markdown(rows)
    print(table)
    atomic_files.write_whole(args.out / "edits.md", table.encode())
    atomic_files.write_whole(args.out / "edits.csv", as_csv(rows).encode())
    page = _page(model, jax.tree.map(lambda a: a[:_SHOWN], inversion), names, args.keep)
    images.save_png(args.out / "edits.png", page)
    if args.search:
        x = x[: args.search]
        identity = sliders.target_identity(meter, x)
        methods = edits.invert_with_both(model, x, num_iters)
        series = {
            name: {
                method: sliders.curve(
                    sliders.check(model, meter, inverted, name, identity=identity)
                )
                for method, (inverted, _) in methods.items()
            }
            for name in names
        }
        plots.against(
            series,
            args.out / "edit_curves.png",
            x="measured change (sd)",
            y="similarity to the person",
        )
    print(f"{len(names)} directions on {len(inversion.w_plus)} images in {args.out}")


def _page(model, inversion, names, keep):
    """A row for each direction: every image at both ends of the safe range."""
    import numpy as np

    from hyperstyle_jax import images
    from hyperstyle_jax.editing import steps
    from hyperstyle_jax.editing.amounts import Edit

    (generator,) = model.require("generator")
    rows, labels = [], []
    for name in names:
        low, high = model.calibrations[name].safe_changes()
        edit = Edit(name, (max(low, -2.0), 0.0, min(high, 2.0)), "sd")
        moves = steps.resolve(model, edit, keep)
        shown = np.asarray(steps.render_steps(generator, inversion, moves))
        rows.append(list(shown.reshape(-1, *shown.shape[2:])))
        labels.append(f"{name}  {edit.amounts[0]:+.1f} to {edit.amounts[2]:+.1f} sd")
    columns = ["lowest", "0", "highest"] * len(inversion.w_plus)
    return images.grid(rows, columns, labels, max(1, 64 // generator.module.resolution))
