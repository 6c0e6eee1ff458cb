"""`hyperstyle drag` moves points of an inverted photo to where they are wanted."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from hyperstyle_jax.system import folder_lock

if TYPE_CHECKING:  # they take long to import
    import numpy as np

    from hyperstyle_jax.editing.drag import DragStep

_LEAST = 256  # pixels, to which small images are enlarged
_FRAMES = 30  # of the animation, at most


def add_commands(commands):
    """Adds `hyperstyle drag`."""
    parser = commands.add_parser(
        "drag",
        help="drag points of an inverted photo to targets",
        description="Drags points of an inversion (DragGAN). Writes the new inversion "
        "STEM_drag.npz, its image STEM_drag.png, STEM_drag_before_after.png with the "
        "arrows, and the steps as STEM_drag.gif.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.npz")
    parser.add_argument(
        "--from",
        dest="points",
        action="append",
        required=True,
        type=parse_point,
        metavar="X,Y",
        help="a point of the image in pixels, from 0,0 at the top left. May be given "
        "several times, each with its --to",
    )
    parser.add_argument(
        "--to",
        dest="targets",
        action="append",
        required=True,
        type=parse_point,
        metavar="X,Y",
        help="where it shall go",
    )
    parser.add_argument(
        "--mask",
        type=Path,
        help="image, white where the photo may change (default: everywhere)",
    )
    parser.add_argument(
        "--max-steps", type=int, default=300, help="the most steps (default 300)"
    )
    parser.add_argument("--model", default="demo", help="bundle (default: demo)")
    parser.add_argument("--out", type=Path, help="folder (default: beside the file)")
    parser.set_defaults(run=run)


def parse_point(text: str) -> tuple[float, float]:
    """Reads "X,Y", for argparse's `type`."""
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise argparse.ArgumentTypeError(f"{text!r}: expected X,Y, as 32,40.5")
    return x, y


def run(args):
    """Drags; the folder that gets the results is held meanwhile."""
    if len(args.points) != len(args.targets):
        raise ValueError(
            f"{len(args.points)} --from and {len(args.targets)} --to: expected a --to "
            "for each --from"
        )
    with folder_lock.hold(args.out or args.file.parent):
        _run(args)


def _run(args):
    from tqdm import tqdm

    from hyperstyle_jax.editing import drag
    from hyperstyle_jax.inversion import storage
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    compilation_cache.enable()
    model = bundle.load(args.model)
    (generator,) = model.require("generator")
    inversion = storage.restore(model, [storage.load(args.file)])
    mask = args.mask and read_mask(args.mask, generator.module.resolution)
    taken = []
    steps = drag.steps(
        generator, inversion, args.points, args.targets, mask, max_steps=args.max_steps
    )
    with tqdm(steps, desc="drag", unit="step", disable=None) as bar:
        for step in bar:
            taken.append(step)
            bar.set_postfix_str(f"{step.distances.max():.1f} pixels left")
    best = drag.best(taken)
    stem = (args.out or args.file.parent) / f"{args.file.stem}_drag"
    storage.save(f"{stem}.npz", best.inversion, 0, model)
    _save_pictures(stem, taken, best, args.points, args.targets)
    print(_summary(taken, best, mask is not None))
    print(f"results: {stem}.npz, .png, .gif and {stem.name}_before_after.png")


def _summary(taken: "list[DragStep]", best: "DragStep", masked: bool) -> str:
    left = ", ".join(f"{distance:.1f}" for distance in best.distances)
    text = f"after {len(taken) - 1} steps {left} pixels from the target"
    return text + (f"; outside the mask L2 {best.outside:.1e}" if masked else "")


def _save_pictures(
    stem: Path, taken: "list[DragStep]", best: "DragStep", points, targets
):
    import numpy as np

    from hyperstyle_jax import images

    images.save_png(f"{stem}.png", np.asarray(best.image))
    scale = max(1, _LEAST // best.image.shape[0])
    before = images.arrows(np.asarray(taken[0].image), points, targets, scale)
    after = images.arrows(np.asarray(best.image), best.points, targets, scale)
    both = images.grid([[before, after]], ["before", "after"])
    images.save_png(f"{stem}_before_after.png", both)
    shown = taken[: next(i for i, step in enumerate(taken) if step is best) + 1]
    shown = [*shown[:: math.ceil(len(shown) / _FRAMES)], best]
    frames = [
        images.arrows(np.asarray(step.image), step.points, targets, scale)
        for step in shown
    ]
    images.save_animation(
        f"{stem}.gif", frames + frames[-1:] * 5, fps=10, to_and_fro=False
    )


def read_mask(path: Path, size: int) -> "np.ndarray":
    """An image as a mask [size, size], true where it is white."""
    from hyperstyle_jax import images

    grey = images.resize(images.read(path), size, size).mean(-1)
    return grey > 127
