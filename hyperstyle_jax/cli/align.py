"""`hyperstyle align`: faces out of photos, as the networks expect them."""

import hashlib
from pathlib import Path

from hyperstyle_jax.cli import photo_runs
from hyperstyle_jax.cli.photo_runs import Result


def add_commands(commands):
    """Adds the parser of `hyperstyle align`."""
    parser = commands.add_parser(
        "align",
        help="find faces in photos and cut them out as FFHQ's",
        description="Finds faces and cuts them out upright, as the data set FFHQ has "
        "them. Writes STEM.png (with --face all STEM_0.png, STEM_1.png, …) and "
        "STEM.align.json, which `hyperstyle paste-back` needs. What is done already "
        "is not done again.",
    )
    photo_runs.add_photo_options(parser)
    parser.add_argument(
        "--size", type=int, default=1024, help="side of the crops (default 1024)"
    )
    photo_runs.add_face_options(parser)
    parser.set_defaults(run=run)


def run(args):
    """Cuts the faces out of all photos; returns the exit code."""
    from hyperstyle_jax.photos.align import check_size
    from hyperstyle_jax.system import compilation_cache

    check_size(args.size)
    compilation_cache.enable()
    find, label = photo_runs.load_finder(args)
    photos = photo_runs.Run(args.inputs, args.out)
    photos.go(lambda file, name: _align(photos, file, name, find, label, args))
    return photos.report("faces")


def _align(photos, file, name, find, label, args) -> Result:
    from hyperstyle_jax import images
    from hyperstyle_jax.photos import records
    from hyperstyle_jax.photos.photo import Photo
    from hyperstyle_jax.photos.remarks import remarks

    data = file.read()
    sha256 = hashlib.sha256(data).hexdigest()
    if count := _done_before(args, name, sha256, label):
        return Result(count, before=True)
    photo = Photo.open(data, file.path)
    faces = photo.faces(find)
    chosen, lines = photo_runs.choose(faces, args.face, args.landmarks), []
    for number, face in chosen.items():
        aligned = photo.align(face, args.size)
        crop = photos.check_output(_crop(args, name, number))
        images.save_png(crop, aligned.image)
        records.save(crop, photo, aligned, label, number, len(faces))
        who = f"face {number}: " if args.face == "all" else ""
        lines += [who + line for line in remarks(faces, args.face, aligned)]
    return Result(len(chosen), remarks=tuple(lines))


def _crop(args, name: str, number: int) -> Path:
    return args.out / (f"{name}_{number}.png" if args.face == "all" else f"{name}.png")


def _done_before(args, name, sha256, label) -> int:
    """How many crops of this very photo, made in this very way, are all there."""
    count, number = 1, 0
    while number < count:
        faces = _faces_if_done(args, _crop(args, name, number), sha256, label, number)
        if not faces:
            return 0
        count = faces if args.face == "all" else 1
        number += 1
    return count


def _faces_if_done(args, crop, sha256, label, number) -> int:
    """How many faces the photo has; 0 if this crop of it is not there."""
    from hyperstyle_jax.photos import records
    from hyperstyle_jax.system import atomic_files

    try:
        record = records.load(records.path_of(crop))
        if record.crop_sha256 != atomic_files.sha256(crop):
            return 0
    except (ValueError, OSError):
        return 0
    if args.face not in ("all", "largest"):
        number = int(args.face)
    made = (record.sha256, record.landmarks, record.size, record.face)
    return record.faces if made == (sha256, label, args.size, number) else 0
