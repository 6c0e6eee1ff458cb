"""`hyperstyle benchmark` compares inversion methods on the same images."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperstyle_jax.cli import photo_files, ways
from hyperstyle_jax.cli.names import unique_names

if TYPE_CHECKING:  # they take long to import
    import numpy as np

    from hyperstyle_jax.benchmark.methods.plan import Meter, Plan
    from hyperstyle_jax.weights.bundle import Bundle

_DRAWN = {"faces": False, "accessories": True}  # wear accessories
_FIRST, _REFERENCE, _REAL = 1_000_000, 1_500_000, 512  # indices of faces, and how many


def add_commands(commands):
    """Adds `hyperstyle benchmark`."""
    parser = commands.add_parser(
        "benchmark",
        help="compare inversion methods: quality, cost, edits",
        description="Inverts the same images with every method, and measures under one "
        "protocol how close they come, what they cost, and what edits keep at equal "
        "change. Writes benchmark.json, .csv and .md, images.csv, charts, pages of "
        "pictures and report.html. What is done already is not done again.",
    )
    add = parser.add_argument
    add("--model", default="demo", help="bundle (default: demo)")
    add(
        "--data",
        nargs="+",
        default=["faces"],
        metavar="SOURCE",
        help="faces or accessories (drawn, held out), or photos, folders, zip files",
    )
    add("--count", type=int, help="images (default: 64 drawn faces, all photos)")
    add("--first-index", type=int, default=_FIRST, help="of drawn faces")
    add(
        "--methods",
        nargs="+",
        default=["all"],
        metavar="NAME",
        help="methods (default: all for which the bundle has networks); NAME@LABEL is "
        "the same method with settings of its own, as pti pti@short",
    )
    add(
        "--set",
        nargs="+",
        default=[],
        metavar="METHOD.NAME=VALUE",
        help="settings of methods, as pti.steps=100",
    )
    add("--batch-size", type=int, default=8, help="images at a time (default 8)")
    add("--out", type=Path, required=True, help="folder of results")
    _add_measuring(parser)
    parser.set_defaults(run=run)


def _add_measuring(parser):
    add = parser.add_argument
    add("--directions", nargs="*", metavar="NAME", help="of edits (default: all)")
    add(
        "--parts",
        nargs="+",
        default=["quality", "cost", "edits"],
        choices=("quality", "cost", "edits"),
        help="what to measure (default: all)",
    )
    add(
        "--networks",
        nargs="+",
        default=[],
        metavar="SOURCE",
        help="that measure, as in `hyperstyle evaluate --targets`",
    )
    add(
        "--eval-network",
        metavar="MODEL",
        help="bundle or run whose feature extractor trained no method: it measures "
        "identity and reads attributes",
    )
    add(
        "--reference",
        nargs="+",
        type=Path,
        metavar="PHOTOS",
        help="real images that edited ones are compared with (default: 512 other drawn "
        "faces, or the photos themselves)",
    )


def run(args) -> int:
    """Runs the benchmark; returns 1 if a method or a photo failed."""
    from hyperstyle_jax.benchmark.methods import run as benchmark
    from hyperstyle_jax.benchmark.methods import tables
    from hyperstyle_jax.system import compilation_cache

    compilation_cache.enable()
    plan, failed = _plan(args)
    summary = benchmark.run(plan)
    print(tables.markdown(summary), end="")
    for file, why in failed.items():
        print(f"failed: {file}: {why.removeprefix(f'{file}: ')}", file=sys.stderr)
    print(f"{len(plan.methods)} methods on {len(plan.x)} images in {args.out}")
    return 1 if failed or benchmark.has_failed(summary) else 0


def _plan(args) -> "tuple[Plan, dict[str, str]]":
    """What is to be done, and photos that cannot be read."""
    from hyperstyle_jax.benchmark.methods.plan import Plan
    from hyperstyle_jax.weights import bundle

    model = bundle.load(args.model)
    settings = _methods(args, model)
    drawn = args.data[0] in _DRAWN and len(args.data) == 1
    failed: dict[str, str] = {}
    if drawn:
        x = _faces(args, model)
    else:
        x, failed = _photos(model, [Path(p) for p in args.data], args.count, args.out)
    nets, meter = _networks(args, model)
    return Plan(
        args.model, model, args.out, settings, x, nets, meter,
        _directions(args, model, meter), **_reference(args, model, drawn),
        batch_size=args.batch_size, parts=tuple(args.parts),
    ), failed  # fmt: skip


def _methods(args, model: "Bundle") -> dict[str, dict[str, Any]]:
    """{method: settings that are given}."""
    from hyperstyle_jax.inversion import methods

    names = methods.available(model) if args.methods == ["all"] else args.methods
    chosen: dict[str, dict[str, Any]] = {name: {} for name in names}
    for text in args.set:
        name, _, value = text.partition("=")
        method, _, setting = name.rpartition(".")
        if not (method and value):
            raise ValueError(
                f"--set {text}: expected METHOD.NAME=VALUE, as pti.steps=9"
            )
        if method not in chosen:
            raise ValueError(
                f"--set {text}: {method} is not one of {', '.join(chosen)}"
            )
        chosen[method] |= ways.parse_settings([f"{setting}={value}"])
    return chosen


def _faces(args, model: "Bundle") -> "dict[str, np.ndarray]":
    """Held-out faces by name."""
    from hyperstyle_jax import images
    from hyperstyle_jax.evaluation import held_out_faces

    height, width = model.image_size
    if height != width:
        raise ValueError(
            f"{args.model} takes {height}x{width} images: faces are square"
        )
    count = 64 if args.count is None else args.count
    worn = _DRAWN[args.data[0]]
    x = held_out_faces.held_out(count, args.first_index, height, worn)
    numbers = range(args.first_index, args.first_index + count)
    return {
        f"face_{i:07d}": images.to_uint8(image)
        for i, image in zip(numbers, x, strict=True)
    }


def _photos(
    model, inputs, count, out
) -> "tuple[dict[str, np.ndarray], dict[str, str]]":
    """Photos by name, at the bundle's size, and why others cannot be read."""
    from hyperstyle_jax import images
    from hyperstyle_jax.inversion import pipeline

    files, failed, _ = photo_files.collect(inputs, out)
    files = files[:count]
    names, x = unique_names([Path(file.path) for file in files]), {}
    for name, file in zip(names, files, strict=True):
        try:
            image = images.read(file.read(), file.path)
        except (ValueError, MemoryError) as error:
            failed[file.path] = str(error)
            continue
        x[name] = images.to_uint8(pipeline.prepare(model, [image])[0])
    return x, failed


def _networks(args, model: "Bundle") -> "tuple[dict, Meter | None]":
    """The networks that measure, and what reads attributes."""
    from hyperstyle_jax.benchmark.methods.plan import Meter
    from hyperstyle_jax.evaluation import held_out_faces, networks
    from hyperstyle_jax.evaluation.networks import ROLES, Measuring

    nets = networks.load(args.networks) if args.networks else {}
    for role in ROLES:
        if role in model.nets:
            size = model.image_size if role == "feature_extractor" else None
            own = Measuring(model.nets[role], args.model, size)
            nets.setdefault(role, own)
    readers = (
        [("feature_extractor", model)] if "feature_extractor" in model.nets else []
    )
    if args.eval_network:
        other = held_out_faces.load(args.eval_network)
        (net,) = other.require("feature_extractor")
        nets["independent"] = Measuring(net, args.eval_network, other.image_size)
        readers.insert(0, ("independent", other))
    for role, reader in readers:
        if names := reader.info.get("attributes"):
            own = Measuring(reader.nets["feature_extractor"], *nets[role][1:])
            return nets, Meter(own, tuple(names))
    return nets, None


def _directions(args, model: "Bundle", meter: "Meter | None") -> tuple[str, ...]:
    """The directions whose attributes are read."""
    readable = meter.attributes if meter else ()
    if args.directions is None:
        return tuple(name for name in model.directions if name in readable)
    for name in args.directions:
        model.direction(name)
        if name not in readable:
            raise ValueError(f"no network reads {name!r}, only: {', '.join(readable)}")
    return tuple(args.directions)


def _reference(args, model: "Bundle", drawn: bool) -> dict[str, Any]:
    """The real images, as fields of the plan."""
    if args.reference:

        def read():
            x, failed = _photos(model, args.reference, None, args.out)
            if failed:
                path, why = next(iter(failed.items()))
                raise ValueError(f"{path}: {why.removeprefix(f'{path}: ')}")
            return _stack(x)

        names = ", ".join(map(str, args.reference))
        return {"reference": read, "reference_name": names}
    if not drawn:
        return {}

    def draw():
        from hyperstyle_jax import images
        from hyperstyle_jax.evaluation import held_out_faces

        size, worn = model.image_size[0], _DRAWN[args.data[0]]
        x = held_out_faces.held_out(_REAL, _REFERENCE, size, worn)
        return images.to_uint8(x)

    name = f"{_REAL} drawn {args.data[0]} from index {_REFERENCE:,} on"
    return {"reference": draw, "reference_name": name}


def _stack(x):
    import numpy as np

    return np.stack([*x.values()])
