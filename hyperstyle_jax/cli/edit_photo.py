"""`hyperstyle edit-photo`: align, invert, edit and paste back in one call."""

import hashlib
import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any, NamedTuple

from hyperstyle_jax.cli import paste_back, photo_runs, precision
from hyperstyle_jax.cli.direction_files import with_files
from hyperstyle_jax.cli.edit import add_edit_option
from hyperstyle_jax.cli.photo_runs import Result
from hyperstyle_jax.editing import amounts

if TYPE_CHECKING:  # they take long to import
    import numpy as np

    from hyperstyle_jax.editing.steps import Step
    from hyperstyle_jax.photos.face import Finder
    from hyperstyle_jax.weights.bundle import Bundle


def add_commands(commands):
    """Adds the parser of `hyperstyle edit-photo`."""
    parser = commands.add_parser(
        "edit-photo",
        help="edit faces in photos: align, invert, edit, paste back",
        description="Finds faces, inverts them, moves them along directions and puts "
        "them back. Writes STEM_photo.png, the whole photo, and of each face STEM.png "
        "(the crop), STEM_edit.png, STEM.npz (the inversion) and STEM.align.json.",
    )
    photo_runs.add_photo_options(parser)
    add_edit_option(parser)
    parser.add_argument("--model", default="demo", help="bundle (default: demo)")
    parser.add_argument(
        "--num-iters", type=int, help="iterations; 0 is the initial inversion alone"
    )
    photo_runs.add_face_options(parser)
    paste_back.add_options(parser)
    precision.add_option(parser)
    parser.set_defaults(run=run)


def run(args):
    """Edits all photos; returns the exit code."""
    from hyperstyle_jax.editing import steps
    from hyperstyle_jax.editing.flow_edits import with_flow
    from hyperstyle_jax.inversion import pipeline
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.weights import bundle

    edits = [amounts.parse(text) for text in args.edit]
    if ranges := [edit for edit in edits if len(edit.amounts) > 1]:
        raise ValueError(f"{ranges[0].name}: a photo takes one amount, not a range")
    compilation_cache.enable()
    model = with_files(with_flow(bundle.load(args.model), args.flow), edits)
    model.require("encoder", "hypernet", "generator")
    step = steps.total(steps.resolve(model, edit, args.keep)[0] for edit in edits)
    for line in steps.remarks(model, edits):
        print(f"note: {line}", file=sys.stderr)
    num_iters = pipeline.checked_num_iters(model, args.num_iters)
    mask = paste_back.read_mask(args.mask)
    find, label = photo_runs.load_finder(args)
    key = {
        "bundle": model.id,
        "edits": args.edit,
        "keep": args.keep,
        "num_iters": num_iters,
    }
    key |= {"landmarks": label, "face": args.face, "mask": paste_back.label(args.mask)}
    key |= {"format": args.format, "precision": args.precision, "flow": args.flow}
    size = pipeline.crop_side(model)
    photos = photo_runs.Run(args.inputs, args.out)
    editor = _Editor(args, photos, model, step, num_iters, mask, find, label, key, size)
    photos.go(editor.edit)
    return photos.report("edited photos")


class _Editor(NamedTuple):
    """What is the same for all photos; `step` is the sum of all edits."""

    args: Namespace
    photos: photo_runs.Run
    model: "Bundle"
    step: "Step"
    num_iters: int
    mask: Any
    find: "Finder"
    label: str
    key: dict
    size: int

    def edit(self, file, name) -> Result:
        """One photo with all its faces."""
        from hyperstyle_jax.photos import records
        from hyperstyle_jax.photos.photo import Photo
        from hyperstyle_jax.photos.remarks import remarks

        data, out = file.read(), self.args.out
        key = self.key | {"photo": hashlib.sha256(data).hexdigest()}
        note = out / f"{name}.edit.json"
        if photo_runs.is_done(note, key):
            return Result(1, before=True)
        photo, lines = Photo.open(data, file.path), []
        faces, choice = photo.faces(self.find), self.args.face
        chosen = photo_runs.choose(faces, choice, self.args.landmarks)
        results, edited = [], photo
        for number, face in chosen.items():
            stem = f"{name}_{number}" if choice == "all" else name
            aligned = photo.align(face, self.size)
            crop = self._invert(aligned, self.photos.check_output(out / f"{stem}.png"))
            results.append(out / f"{stem}.png")
            records.save(results[-1], photo, aligned, self.label, number, len(faces))
            edited = edited.paste(aligned, crop, self.mask)
            lines += remarks(faces, choice, aligned)
        ending = paste_back.ending(self.args, photo)
        whole = self.photos.check_output(out / f"{name}_photo{ending}")
        photo_runs.mark_done(note, key, [edited.save(whole), *results])
        return Result(1, remarks=tuple(lines))

    def _invert(self, aligned, path) -> "np.ndarray":
        """Writes crop, inversion and edited crop; returns the last one."""
        import numpy as np

        from hyperstyle_jax import images
        from hyperstyle_jax.editing.steps import render_steps
        from hyperstyle_jax.inversion import pipeline, storage

        x = pipeline.prepare(self.model, [aligned.image])
        refinement = pipeline.refine(self.model, x, self.num_iters, self.args.precision)
        inversion = pipeline.decode(self.model, refinement)
        generator = self.model.nets["generator"]
        edited = render_steps(generator, inversion, [self.step])[0, 0]
        edited = images.to_uint8(np.asarray(edited))
        images.save_png(path, aligned.image)
        images.save_png(path.with_name(f"{path.stem}_edit.png"), edited)
        storage.save(path.with_suffix(".npz"), refinement, 0, self.model)
        return edited
