"""`hyperstyle edit` renders edits of saved inversions, from these files alone."""

import contextlib
import re
import sys
from argparse import ArgumentParser
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from hyperstyle_jax.cli import inversion_files
from hyperstyle_jax.cli.direction_files import with_files
from hyperstyle_jax.cli.names import unique_names
from hyperstyle_jax.editing import amounts
from hyperstyle_jax.system import folder_lock

if TYPE_CHECKING:  # they take long to import
    import numpy as np

    from hyperstyle_jax.editing.recipes import Recipe
    from hyperstyle_jax.weights.bundle import Bundle

_LEAST = 128  # pixels, to which small images of a picture are enlarged


def add_commands(commands):
    """Adds `hyperstyle edit`."""
    parser = commands.add_parser(
        "edit",
        help="edit inverted photos by named amounts",
        description="Edits saved inversions. Of amounts like smile=2 it writes each "
        "photo's edited image, STEM_smile+2.png. Of a range it writes a labelled strip "
        "STEM_smile.png, of two ranges a grid, and of several photos an overview.",
    )
    inversion_files.add_inputs(parser, optional=True)
    add_edit_option(parser, required=False)
    parser.add_argument(
        "--recipe",
        type=Path,
        metavar="FILE",
        help="recipe.json or a picture.png of `hyperstyle app`: alone, makes its "
        "picture again; with .npz files, does its edits to them",
    )
    parser.add_argument("--model", default="demo", help="bundle (default: demo)")
    parser.add_argument(
        "--out", type=Path, help="folder (default: beside the .npz files)"
    )
    parser.add_argument(
        "--animate",
        type=Path,
        metavar="FILE",
        help="also show a range to and fro, all photos side by side: FILE.gif, .webp "
        "or .mp4; with a small step, as smile=-3:3:0.2",
    )
    parser.set_defaults(run=run, wrong_usage=parser.error)


def add_edit_option(parser: ArgumentParser, required: bool = True):
    """Adds --edit and what goes with it, the same for every command that edits."""
    parser.add_argument(
        "--edit",
        action="append",
        required=required,
        default=None if required else [],
        metavar="NAME=AMOUNT",
        help="e.g. smile=2, smile=+1sd, yaw=-10deg, or a range for a strip: "
        "smile=-3:3:1. May be given several times; the edits add up. `hyperstyle "
        "info BUNDLE` lists the names; others are files, age.pt=2 or cars_pca.pt#22=1, "
        "single channels of the styles, channel:b16/conv0:12=5, flow:NAME=AMOUNT, and "
        "FILE.npz of `hyperstyle text-direction`",
    )
    parser.add_argument(
        "--flow", metavar="BUNDLE", help="of a flow (default: the shipped one of demo)"
    )
    parser.add_argument(
        "--keep",
        type=lambda text: text.split(","),
        default=[],
        metavar="NAME,NAME",
        help="directions whose attributes shall stay as they are, e.g. glasses,age",
    )


def run(args):
    """Edits; the folders that get the images are held meanwhile."""
    if args.recipe and not args.inputs:
        return _draw_again(args)
    edits = [amounts.parse(text) for text in _asked(args)]
    if not args.inputs or not edits:
        args.wrong_usage("give .npz files and --edit NAME=AMOUNT, or --recipe FILE")
    _, ranges = amounts.split_ranges(edits)  # refuses too many
    if args.animate:
        _check_animation(args.animate, ranges)
    files = find(args.inputs)
    folders = {args.out} if args.out else {file.parent for file in files}
    with contextlib.ExitStack() as held:
        for folder in sorted(folders):
            held.enter_context(folder_lock.hold(folder))
        return _run(args, edits, files)


def _asked(args) -> list[str]:
    """The edits of the command line and of a recipe, whose `keep` is added too."""
    if not args.recipe:
        return args.edit
    look = _recipe(args.recipe).look
    args.keep = [*args.keep, *(name for name in look.keep if name not in args.keep)]
    return [*look.edits, *args.edit]


def _recipe(path: Path) -> "Recipe":
    from hyperstyle_jax.editing import recipes

    recipe = recipes.read(path)
    if recipe is None:
        raise ValueError(f"{path} carries no recipe: expected one of `hyperstyle app`")
    return recipe


def _draw_again(args) -> None:
    """The picture of a recipe, with nothing but the bundle."""
    if args.edit or args.keep or args.animate or args.flow:
        raise ValueError(
            "--recipe alone makes its picture again: give .npz files to edit them"
        )
    from hyperstyle_jax import images
    from hyperstyle_jax.editing import recipes
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    recipe = _recipe(args.recipe)
    compilation_cache.enable()
    picture = recipes.draw(bundle.load(args.model), recipe)
    out = args.out or args.recipe.parent
    with folder_lock.hold(out):
        path = images.save_png(out / f"{args.recipe.stem}_again.png", picture)
    print(f"the recipe's picture: {path}")


def _run(args, edits: list[amounts.Edit], files: list[Path]) -> int:
    import numpy as np
    from tqdm import tqdm

    from hyperstyle_jax import images
    from hyperstyle_jax.editing.flow_edits import with_flow
    from hyperstyle_jax.editing.steps import remarks, render_steps
    from hyperstyle_jax.inversion import storage
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    compilation_cache.enable()
    model = with_files(with_flow(bundle.load(args.model), args.flow), edits)
    table = _Table(model, edits, args.keep)
    for line in remarks(model, edits):
        print(f"note: {line}", file=sys.stderr)
    (generator,) = model.require("generator")
    names, done, failed = unique_names(files), {}, []
    for file, name in tqdm(list(zip(files, names, strict=True)), disable=None):
        try:
            inversion = storage.restore(model, [storage.load(file)])
        except (ValueError, OSError) as error:
            failed.append(f"{file}: {error}")
            continue
        rendered = render_steps(generator, inversion, table.steps)[0]
        edited = images.to_uint8(np.asarray(rendered))
        image = table.draw(edited)
        images.save_png((args.out or file.parent) / f"{name}_{table.title}.png", image)
        done[name] = edited
    if not done:
        raise ValueError("; ".join(failed))
    folder = args.out or files[0].parent
    if len(done) > 1 and len(table.row_labels) == 1:
        image = table.overview(done)
        images.save_png(folder / f"overview_{table.title}.png", image)
    if args.animate:
        _animate(args.animate, done)
    print(f"{len(done)} photos, edited by {table.title}, in {folder}")
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


def _check_animation(path: Path, ranges: list[amounts.Edit]) -> None:
    from hyperstyle_jax.images import animation

    if len(ranges) != 1:
        raise ValueError(
            f"--animate {path}: expected one edit with a range, as smile=-3:3:0.2"
        )
    animation.check_suffix(path)


def _animate(path: Path, done: "dict[str, np.ndarray]") -> None:
    """All photos side by side, [S, R, R, 3] each, as frames."""
    from hyperstyle_jax import images

    frames = [
        images.grid([images_of_step], scale=_scale(images_of_step[0]), gap=0)
        for images_of_step in zip(*done.values(), strict=True)
    ]
    images.save_animation(path, frames)
    print(f"{len(frames)} frames, to and fro, in {path}")


class _Table:
    """The rows and columns of each photo's picture.

    Attributes:
        steps: of all images, row by row.
        title: for file names: "smile+2_yaw-1"; ranges without their amounts.
    """

    def __init__(self, model: "Bundle", edits: list[amounts.Edit], keep: list[str]):
        from hyperstyle_jax.editing.steps import resolve, total

        _, ranges = amounts.split_ranges(edits)
        columns = ranges[0] if ranges else None
        self.rows = ranges[1] if len(ranges) > 1 else None
        self.column_labels = columns.labels() if columns else []
        first, others = self.column_labels[:1], self.column_labels[1:]
        self._named = [f"{columns.name} {label}" for label in first] + others
        self.row_labels = self.rows.labels() if self.rows else [""]
        # The columns vary fastest.
        order = sorted(edits, key=lambda e: (e is columns, e is self.rows))
        all_steps = [resolve(model, edit, keep) for edit in order]
        self.steps = [total(steps) for steps in product(*all_steps)]
        self.title = "_".join(_file_name(edit) for edit in edits)

    def draw(self, edited: "np.ndarray") -> "np.ndarray":
        """One photo's images [S, R, R, 3] as strip or grid; a single one as it is."""
        from hyperstyle_jax import images

        if not self.column_labels:
            return edited[0]
        rows = edited.reshape(len(self.row_labels), -1, *edited.shape[1:])
        labels = [
            f"{self.rows.name} {label}" if self.rows else self.title
            for label in self.row_labels
        ]
        columns = self._named if self.rows else self.column_labels
        return images.grid(rows, columns, labels, _scale(edited))

    def overview(self, done: "dict[str, np.ndarray]") -> "np.ndarray":
        """A row for each photo."""
        from hyperstyle_jax import images

        rows = [list(edited) for edited in done.values()]
        labels = self._named or [self.title]
        return images.grid(rows, labels, list(done), _scale(rows[0][0]))


def _scale(image: "np.ndarray") -> int:
    """How many times an image [..., R, R, 3] is enlarged."""
    return max(1, _LEAST // image.shape[-2])


def _file_name(edit: amounts.Edit) -> str:
    """The edit for file names, without what some file systems refuse."""
    name = edit.name if edit.name.startswith("channel:") else Path(edit.name).name
    name = re.sub(r"[^\w.+-]+", "-", name).strip("-")
    if len(edit.amounts) > 1:
        return name
    return f"{name}{edit.amounts[0]:+g}{edit.unit}"


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
