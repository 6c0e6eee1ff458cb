"""`hyperstyle directions` and `calibrate` give a bundle its edits."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperstyle_jax.system import folder_lock

if TYPE_CHECKING:  # they take long to import
    import numpy as np

    from hyperstyle_jax.editing.calibrating import Meter
    from hyperstyle_jax.weights.bundle import Bundle
    from hyperstyle_jax.weights.calibrations import Calibration

METHODS = ("interfacegan", "svm", "learned", "sefa", "ganspace")
_SAMPLES = 2000  # images that give the deviations of the attributes
IMAGES = 48  # of each kind, to calibrate with


def add_commands(commands):
    """Adds both commands."""
    parser = commands.add_parser(
        "directions",
        help="find edit directions and store them in a bundle",
        description="Finds directions from the bundle's own networks and adds them to "
        "those that it has; those of the same name are replaced. interfacegan, svm "
        "and learned are for attributes that the bundle's feature extractor reads, and "
        "are calibrated at once. sefa and ganspace know no attributes: sefa1, pc1, …",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="interfacegan",
        help="interfacegan: a regression that keeps other attributes; svm: as "
        "InterFaceGAN was released; learned: interfacegan, then by gradients "
        "through the generator, a row for each layer; sefa, ganspace: the "
        "strongest directions",
    )
    parser.add_argument(
        "--names",
        nargs="+",
        default=["yaw", "smile", "age", "glasses", "beard"],
        help="attributes of the feature extractor",
    )
    parser.add_argument("--count", type=int, default=20_000, help="images to draw")
    parser.add_argument(
        "--steps", type=int, default=300, help="of learning (default 300)"
    )
    parser.add_argument(
        "--components", type=int, default=10, help="of sefa and ganspace (default 10)"
    )
    parser.add_argument(
        "--form",
        help="of sefa: ours, released, rosinality; of ganspace: exact, pca, ipca",
    )
    add_calibration_options(parser)
    parser.set_defaults(run=lambda args: _hold(args, _directions))

    parser = commands.add_parser(
        "calibrate",
        help="measure what a bundle's directions do",
        description="Edits held-out images along each direction that is named like an "
        "attribute, reads them with the bundle's feature extractor and stores the "
        "curve, the safe range and the side effects. Then --edit takes smile=+1sd.",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument(
        "--names", nargs="+", help="directions (default: all named like attributes)"
    )
    add_calibration_options(parser)
    parser.set_defaults(run=lambda args: _hold(args, _calibrate))


def add_calibration_options(parser: ArgumentParser):
    """Adds what every command has that calibrates."""
    parser.add_argument("--seed", type=int, default=0, help="of the images drawn")
    parser.add_argument(
        "--photos",
        nargs="+",
        type=Path,
        help="images, folders or zip files: calibrate on inversions of these (default: "
        "of generated images, if the bundle can invert)",
    )


def _hold(args: Namespace, work: Callable[[Namespace], Any]):
    """Runs a command while the bundle's folder is held."""
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    with folder_lock.hold(bundle.find(args.bundle), beside=True):
        compilation_cache.enable()
        work(args)


def _directions(args: Namespace):
    from hyperstyle_jax.editing import calibrating, fitting, labelling
    from hyperstyle_jax.weights import bundle

    model = bundle.load(args.bundle)
    if args.method in ("sefa", "ganspace"):
        found = fitting.components(
            model, args.method, args.components, args.form, args.count, args.seed
        )
        store(args.bundle, model, found, {})
        return
    if args.form:
        raise ValueError("--form is for the methods sefa and ganspace")
    _check_names(model, args.names)
    generator, extractor = model.require("generator", "feature_extractor")
    labelled = labelling.label(generator, extractor, args.count, seed=args.seed)
    fitted = fitting.attributes(
        model, labelled, args.names, args.method, steps=args.steps, seed=args.seed
    )
    for name, text in fitted.quality.items():
        print(f"{name}: {text}", flush=True)
    meter = calibrating.extractor_meter(model, labelled.attributes.std(0))
    measured = measure(args, model, meter, fitted.directions)
    store(args.bundle, model, fitted.directions, measured)


def _check_names(model: "Bundle", names: list[str]):
    """Refuses what the feature extractor does not read."""
    model.require("generator", "feature_extractor")
    known = model.info.get("attributes", [])
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"--names {unknown[0]}: the feature extractor has no such attribute; "
            f"there are: {', '.join(known) or 'none'}"
        )


def _calibrate(args: Namespace):
    from hyperstyle_jax.editing import calibrating, labelling
    from hyperstyle_jax.weights import bundle

    model = bundle.load(args.bundle)
    generator, extractor = model.require("generator", "feature_extractor")
    known = calibrating.attribute_names(model)
    names = args.names or [name for name in model.directions if name in known]
    _check_names(model, names)
    chosen = {name: model.direction(name) for name in names}
    if not chosen:
        raise ValueError(
            f"no direction of {args.bundle} is named like an attribute, only "
            f"{', '.join(model.directions) or 'none at all'}"
        )
    labelled = labelling.label(generator, extractor, _SAMPLES, seed=args.seed)
    meter = calibrating.extractor_meter(model, labelled.attributes.std(0))
    measured = measure(args, model, meter, chosen)
    store(args.bundle, model, chosen, measured)


def measure(
    args: Namespace,
    model: "Bundle",
    meter: "Meter",
    directions: "Mapping[str, np.ndarray]",
) -> "dict[str, Calibration]":
    """Calibrates directions that are named like attributes; prints what they do."""
    from tqdm import tqdm

    from hyperstyle_jax.editing import fitting

    images = fitting.held_out(model, read_photos(args.photos), IMAGES, args.seed + 1)
    measured, lines = {}, []
    for name, direction in tqdm(directions.items(), "calibrating", disable=None):
        try:
            found = fitting.calibrate(model, meter, name, direction, images)
        except ValueError as error:
            lines.append(f"{name}: not calibrated: {error}")
            continue
        measured[name] = found
        lines.append(f"{name}: {found.summary()}")
    print("\n".join(lines), flush=True)
    return measured


def read_photos(
    inputs: list[Path] | None, count: int | None = None
) -> "list[np.ndarray] | None":
    """The first images of files, folders and zip files; None for none.

    Args:
        inputs: files, folders and zip files.
        count: the most images, by default `IMAGES`.

    Raises:
        ValueError: one cannot be read.
    """
    from hyperstyle_jax import images
    from hyperstyle_jax.cli import photo_files

    if not inputs:
        return None
    files = photo_files.collect(inputs, Path()).files[: count or IMAGES]
    return [images.read(file.read()) for file in files]


def store(
    path: str | Path,
    model: "Bundle",
    directions: "Mapping[str, np.ndarray]",
    measured: "Mapping[str, Calibration]",
):
    """Adds directions to a bundle; those of other names stay, with what they have."""
    from hyperstyle_jax.weights import bundle

    kept = {k: v for k, v in model.calibrations.items() if k not in directions}
    bundle.set_directions(
        path, {**model.directions, **directions}, {**kept, **measured}
    )
    print(
        f"{len(directions)} directions in {path}, {len(measured)} of them calibrated: "
        f"{', '.join(directions)}"
    )
