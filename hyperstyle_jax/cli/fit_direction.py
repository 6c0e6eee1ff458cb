"""`hyperstyle fit-direction` makes a direction of labelled images or of pairs."""

import csv
import json
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperstyle_jax.cli import directions as shared
from hyperstyle_jax.system import folder_lock

if TYPE_CHECKING:  # they take long to import
    import numpy as np

    from hyperstyle_jax.weights.bundle import Bundle

_ENDINGS = {"_lo": 0, "_before": 0, "_hi": 1, "_after": 1}


def add_commands(commands):
    """Adds `hyperstyle fit-direction`."""
    parser = commands.add_parser(
        "fit-direction",
        help="make an edit direction of labelled images or of before/after pairs",
        description="From labels: a linear reading of the feature extractor learns the "
        "labels, generated images are scored by it, and a direction is fitted to the "
        "scores. From pairs: the mean step from before to after, of their inversions. "
        "The direction is measured on held-out images, calibrated, and added to the "
        "bundle. In Python, hs.fit_direction takes any function of images.",
    )
    parser.add_argument("name", metavar="NAME", help="of the new direction")
    parser.add_argument("bundle", metavar="BUNDLE")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="a .csv or .jsonl with a column `file` (images or .npz inversions, beside "
        "it) and one of numbers",
    )
    source.add_argument(
        "--pairs",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="images STEM_before and STEM_after (or STEM_lo and STEM_hi): folders, "
        "files or patterns",
    )
    parser.add_argument("--column", help="of the labels (default: NAME)")
    parser.add_argument(
        "--count", type=int, default=5000, help="images to draw (default 5000)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="a copy of the bundle that gets the direction (default: BUNDLE itself)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the images drawn")
    parser.set_defaults(run=run)


def run(args: Namespace) -> int:
    """Fits; the bundle that gets the direction is held meanwhile."""
    from hyperstyle_jax.system import atomic_folders, compilation_cache
    from hyperstyle_jax.weights import bundle

    source = bundle.find(args.bundle)
    if args.out and args.out.exists():
        raise ValueError(f"{args.out} exists: choose another folder for --out")
    compilation_cache.enable()
    model, failed = bundle.load(source), []
    model.require("generator", "feature_extractor")
    with folder_lock.hold(args.out or source, beside=True):
        if args.pairs:
            direction, measured = _from_pairs(args, model)
        else:
            direction, measured, failed = _from_labels(args, model)
        print(f"{args.name}: {measured.summary()}")
        if args.out:
            with atomic_folders.replacing(args.out) as temporary:
                shutil.copytree(source, temporary, dirs_exist_ok=True)
        found = {args.name: direction}
        shared.store(args.out or source, model, found, {args.name: measured})
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return int(bool(failed))


def _from_labels(args, model: "Bundle") -> tuple[Any, Any, list[str]]:
    from hyperstyle_jax.editing import fitting, probes

    images, values, failed = [], [], []
    for path, value in _rows(args.labels, args.column or args.name):
        try:
            image = _image(model, path)
        except (ValueError, OSError) as error:
            failed.append(f"{path}: {str(error).removeprefix(f'{path}: ')}")
            continue
        images.append(image)
        values.append(value)
    probe = probes.fit(model, images, values)
    print(
        f"{len(images)} labelled images; the reading of held-out ones: accuracy "
        f"{probe.accuracy:.1%}, correlation {probe.correlation:.2f}",
        flush=True,
    )
    direction, measured, quality = fitting.fit_direction(
        model, probe.score_fn, args.name, count=args.count, seed=args.seed
    )
    print(f"the direction, on generated images: {quality}", flush=True)
    return direction, measured, failed


def _from_pairs(args, model: "Bundle") -> tuple[Any, Any]:
    from hyperstyle_jax.editing import fitting, probes

    pairs = [[_image(model, p) for p in pair] for pair in _pairs(args.pairs)]
    before, after = ([pair[i] for pair in pairs] for i in range(2))
    direction, quality = fitting.fit_pairs(model, before, after)
    print(f"{len(pairs)} pairs: {quality}", flush=True)
    labels = [0.0] * len(before) + [1.0] * len(after)
    probe = probes.fit(model, before + after, labels)
    print(f"the reading of held-out images: accuracy {probe.accuracy:.1%}", flush=True)
    measured = fitting.calibrate_score(
        model, probe.score_fn, args.name, direction, count=args.count, seed=args.seed
    )
    return direction, measured


def _rows(file: Path, column: str) -> Iterator[tuple[Path, float]]:
    """(path, label) of each row.

    Raises:
        ValueError: another form, or no such column.
    """
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix.lower() == ".csv":
        rows = list(csv.DictReader(text.splitlines()))
    else:
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    for number, row in enumerate(rows, 1):
        fields = {**row.get("attributes", {}), **row} if isinstance(row, dict) else {}
        try:
            yield file.parent / str(fields["file"]), float(fields[column])
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"{file}, row {number}: expected `file` and a number `{column}`; it "
                f"has {', '.join(map(str, fields)) or 'no fields'}"
            ) from None


def _pairs(inputs: list[Path]) -> list[tuple[Path, Path]]:
    """Files of one stem with the endings of before and after.

    Raises:
        ValueError: too few pairs.
    """
    from hyperstyle_jax.cli.photo_runs import expanded

    found: dict[str, dict[int, Path]] = {}
    for path in expanded(inputs):
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            for ending, side in _ENDINGS.items():
                if file.stem.endswith(ending):
                    stem = str(file.with_name(file.stem.removesuffix(ending)))
                    found.setdefault(stem, {})[side] = file
    pairs = [(sides[0], sides[1]) for sides in found.values() if len(sides) == 2]
    if len(pairs) < 8:
        raise ValueError(
            f"{len(pairs)} pairs of files named STEM_before and STEM_after (or _lo and "
            "_hi): expected at least 8"
        )
    return pairs


def _image(model: "Bundle", path: Path) -> "np.ndarray":
    """An image, or what an inversion shows, of the bundle's image size in [-1, 1]."""
    import numpy as np

    from hyperstyle_jax import images
    from hyperstyle_jax.inversion import pipeline, storage
    from hyperstyle_jax.offsets import synthesize

    if path.suffix.lower() != ".npz":
        return pipeline.prepare(model, [images.read(path)])[0]
    inversion = storage.restore(model, [storage.load(path)])
    shown = synthesize(model.nets["generator"], inversion)
    return pipeline.prepare(model, [np.clip(np.asarray(shown[0]), -1, 1)])[0]
