"""`hyperstyle adapt` renders inversions with a generator of another domain."""

from pathlib import Path
from typing import TYPE_CHECKING

from hyperstyle_jax.cli.edit import find
from hyperstyle_jax.cli.inversion_files import Inversions, add_inputs
from hyperstyle_jax.system import folder_lock

if TYPE_CHECKING:  # it takes long to import
    from hyperstyle_jax.net import Net

_LEAST = 128  # pixels, to which small images of the overview are enlarged


def add_commands(commands):
    """Adds `hyperstyle adapt`."""
    parser = commands.add_parser(
        "adapt",
        help="render inverted photos in another domain (as a cartoon)",
        description="Renders saved inversions, latents and weights, with a generator "
        "that was fine-tuned from theirs to another domain. Writes STEM_adapted.png, "
        "with --swap STEM_adapted_R.png, and adapted.png, an overview.",
    )
    add_inputs(parser)
    parser.add_argument(
        "--generator",
        required=True,
        metavar="BUNDLE",
        help="with a generator of the other domain, e.g. demo_cartoon",
    )
    parser.add_argument(
        "--swap",
        nargs="+",
        type=int,
        default=[],
        metavar="R",
        help="also with the other generator's layers above R x R alone, e.g. 8 16",
    )
    parser.add_argument(
        "--keep",
        choices=("coarse", "fine"),
        default="coarse",
        help="the layers of the photo's own generator with --swap: its shapes (coarse, "
        "the default) or its colours and texture (fine)",
    )
    parser.add_argument(
        "--offsets",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of the photo's weights, 0 to 1 (default 1): less is more of the other "
        "domain's style and less of the person",
    )
    parser.add_argument("--model", default="demo", help="bundle (default: demo)")
    parser.add_argument("--out", type=Path, default=Path("adapted"), help="folder")
    parser.set_defaults(run=run)


def run(args):
    """Renders; the folder is held meanwhile."""
    if not 0 <= args.offsets <= 1:
        raise ValueError(f"--offsets {args.offsets}: expected a share from 0 to 1")
    files = find(args.inputs)
    with folder_lock.hold(args.out):
        return _run(args, files)


def _run(args, files: list[Path]) -> int:
    import jax
    import numpy as np

    from hyperstyle_jax import images
    from hyperstyle_jax.editing import domains
    from hyperstyle_jax.offsets import synthesize
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    compilation_cache.enable()
    model = bundle.load(args.model)
    (own,) = model.require("generator")
    (other,) = bundle.load(args.generator).require("generator")
    generators = variants(own, other, args.swap, args.keep)
    render = jax.jit(synthesize)
    rows, inversions = {}, Inversions(model, files)
    for _, name, inversion in inversions:
        rendered = [render(own, inversion)]
        for net in generators.values():
            changed = domains.adapted(own, net, inversion, args.offsets)
            rendered.append(render(net, changed))
        rows[name] = [images.to_uint8(np.asarray(image[0])) for image in rendered]
        for title, image in zip(generators, rows[name][1:], strict=True):
            ending = title.replace(" ", "_")
            images.save_png(args.out / f"{name}_{ending}.png", image)
    code = inversions.finish(len(rows))
    scale = max(1, _LEAST // own.module.resolution)
    labels = ["inversion", *generators]
    overview = images.grid([*rows.values()], labels, [*rows], scale)
    images.save_png(args.out / "adapted.png", overview)
    print(f"{len(rows)} photos in {args.out}; an overview: adapted.png")
    return code


def variants(own: "Net", other: "Net", swaps: list[int], keep: str) -> "dict[str, Net]":
    """The generators to render with, by the ending of their files.

    Args:
        own: the generator of the inversions.
        other: of the other domain.
        swaps: resolutions.
        keep: which layers stay with each of `swaps`, "coarse" or "fine".
    """
    from hyperstyle_jax.editing import domains

    domains.check_same_layers(own, other)
    nets = {"adapted": other}
    for r in swaps:
        pair = (own, other) if keep == "coarse" else (other, own)
        nets[f"adapted {r}"] = domains.swap_above(*pair, r)
    return nets
