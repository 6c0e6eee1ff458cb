"""`hyperstyle mix` and `interpolate` make images of two inverted photos or more."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hyperstyle_jax.cli.edit import find
from hyperstyle_jax.cli.inversion_files import Inversions
from hyperstyle_jax.cli.names import unique_names
from hyperstyle_jax.system import folder_lock

if TYPE_CHECKING:  # they take long to import
    import numpy as np

    from hyperstyle_jax.offsets import Inversion

_LEAST = 128  # pixels, to which small images are enlarged
_MEAN = "mean"  # in place of a file
_FPS, _BETWEEN = 20, 30  # of an animation: frames a second, and between stops


def add_commands(commands):
    """Adds `hyperstyle mix` and `hyperstyle interpolate`."""
    _add_mix(commands)
    _add_interpolate(commands)


def _add_mix(commands):
    parser = commands.add_parser(
        "mix",
        help="style mixing: shapes of one photo, colours of another",
        description="Renders every photo with the fine layers of every other one. "
        "Writes A_B.npz and A_B.png for each pair and mixed.png, a table.",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="DIR_OR_FILE")
    parser.add_argument(
        "--with",
        dest="others",
        nargs="+",
        type=Path,
        required=True,
        metavar="DIR_OR_FILE",
        help="the photos whose fine layers are taken",
    )
    parser.add_argument(
        "--above",
        type=int,
        default=16,
        metavar="R",
        help="take the layers above R x R (default 16): small R changes shapes too",
    )
    parser.add_argument("--model", default="demo", help="bundle (default: demo)")
    parser.add_argument("--out", type=Path, default=Path("mixed"), help="folder")
    parser.set_defaults(run=run_mix)


def _add_interpolate(commands):
    parser = commands.add_parser(
        "interpolate",
        help="change one inverted photo into the next",
        description="Interpolates latents and weights from each photo to the next. "
        f"The word {_MEAN} in place of a file is the mean latent: truncation. Writes "
        "interpolated.png, a strip, and with --animate an animation.",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="FILE.npz")
    parser.add_argument(
        "--steps", type=int, default=7, help="images of a strip (default 7)"
    )
    parser.add_argument(
        "--animate", type=Path, metavar="FILE", help="FILE.gif, .webp or .mp4"
    )
    parser.add_argument("--model", default="demo", help="bundle (default: demo)")
    parser.add_argument("--out", type=Path, default=Path("interpolated"), help="folder")
    parser.set_defaults(run=run_interpolate)


def run_mix(args):
    """Mixes; the folder is held meanwhile."""
    files, others = find(args.inputs), find(args.others)
    with folder_lock.hold(args.out):
        return _mix(args, files, others)


def _mix(args, files, others) -> int:
    import jax
    import numpy as np

    from hyperstyle_jax import images
    from hyperstyle_jax.editing import mixing
    from hyperstyle_jax.inversion import storage
    from hyperstyle_jax.offsets import synthesize
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    compilation_cache.enable()
    model = bundle.load(args.model)
    (generator,) = model.require("generator")
    taken = mixing.rows_above(generator, args.above)
    render = jax.jit(synthesize)

    def image_of(inversion) -> "np.ndarray":
        return images.to_uint8(np.asarray(render(generator, inversion)[0]))

    sources = Inversions(model, others)
    styles = {name: inversion for _, name, inversion in sources}
    rows, inversions = {}, Inversions(model, files)
    for _, name, inversion in inversions:
        rows[name] = [image_of(inversion)]
        for other, style in styles.items():
            mixed = mixing.mix(inversion, style, taken)
            rows[name].append(image_of(mixed))
            stem = args.out / f"{name}_{other}"
            images.save_png(f"{stem}.png", rows[name][-1])
            storage.save(f"{stem}.npz", mixed, 0, model)
    code = max(sources.finish(len(styles)), inversions.finish(len(rows)))
    first = next(iter(rows.values()))[0]
    top = [np.full_like(first, 255), *map(image_of, styles.values())]
    scale = max(1, _LEAST // generator.module.resolution)
    table = images.grid([top, *rows.values()], ["", *styles], ["", *rows], scale)
    images.save_png(args.out / "mixed.png", table)
    print(f"{len(rows)} x {len(styles)} images in {args.out}; a table: mixed.png")
    return code


def run_interpolate(args):
    """Interpolates; the folder is held meanwhile."""
    if len(args.inputs) < 2 or args.steps < 2:
        raise ValueError(
            f"{len(args.inputs)} files, {args.steps} steps: expected 2 or more of each"
        )
    if args.animate:
        from hyperstyle_jax.images.animation import check_suffix

        check_suffix(args.animate)
    with folder_lock.hold(args.out):
        return _interpolate(args)


def _interpolate(args) -> None:
    import numpy as np

    from hyperstyle_jax import images
    from hyperstyle_jax.editing import mixing
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    compilation_cache.enable()
    model = bundle.load(args.model)
    (generator,) = model.require("generator")
    stops = read_stops(model, args.inputs)
    scale = max(1, _LEAST // generator.module.resolution)
    ts = [*map(float, np.linspace(0, 1, args.steps))]
    strips, names = [], []
    titles = unique_names(args.inputs)
    for i, (first, second) in enumerate(zip(stops[:-1], stops[1:], strict=True)):
        between = mixing.render_between(generator, first, second, ts)
        strips.append([*images.to_uint8(np.asarray(between))])
        names.append(f"{titles[i]} to {titles[i + 1]}")
    labels = [f"{t:.2g}" for t in ts]
    path = args.out / "interpolated.png"
    images.save_png(path, images.grid(strips, labels, names, scale))
    print(f"{len(strips)} strips in {path}")
    if args.animate:
        frames = [np.asarray(image) for image in _frames(generator, stops)]
        enlarged = [frame.repeat(scale, 0).repeat(scale, 1) for frame in frames]
        images.save_animation(args.animate, enlarged, fps=_FPS)
        print(f"{len(frames)} frames, to and fro, in {args.animate}")


def _frames(generator, stops: "list[Inversion]") -> "Iterator[np.ndarray]":
    """Images from stop to stop; each stop is shown once."""
    from hyperstyle_jax.editing import mixing

    ts = [i / _BETWEEN for i in range(_BETWEEN + 1)]
    for i, (first, second) in enumerate(zip(stops[:-1], stops[1:], strict=True)):
        yield from mixing.render_between(generator, first, second, ts[i > 0 :])


def read_stops(model, paths: list[Path]) -> "list[Inversion]":
    """The inversions of files; `mean` becomes the one before it with the mean latent.

    Raises:
        ValueError: a file cannot be read, or the first stop is `mean`.
    """
    from hyperstyle_jax.editing import mixing
    from hyperstyle_jax.inversion import storage

    (generator,) = model.require("generator")
    stops: list = []
    for path in paths:
        if str(path) != _MEAN:
            stops.append(storage.restore(model, [storage.load(path)]))
        elif stops:
            stops.append(mixing.truncate(generator, stops[-1], 0.0))
        else:
            raise ValueError(f"{_MEAN} comes after the file whose weights it takes")
    return stops
