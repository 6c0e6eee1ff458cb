"""`hyperstyle paste-back`: edited faces into the photos that they were cut out of."""

import hashlib
from pathlib import Path

from hyperstyle_jax.cli import photo_runs
from hyperstyle_jax.cli.photo_runs import Result

FORMATS = ("png", "same")


def add_commands(commands):
    """Adds the parser of `hyperstyle paste-back`."""
    parser = commands.add_parser(
        "paste-back",
        help="put edited faces back into their photos",
        description="Puts edited crops of `hyperstyle align` back into their photos. "
        "Writes STEM_photo.png for each, as large as the photo, with its EXIF and "
        "colour profile. Pixels outside of the mask are the photo's, bit for bit.",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="EDITED",
        help="edited crops of any size, named as the crops, or CROP_MORE.png",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.add_argument(
        "--aligned",
        type=Path,
        metavar="DIR_OR_FILE",
        help="where the .align.json files are (default: beside the edited crops)",
    )
    parser.add_argument(
        "--photo", type=Path, help="the photo, if it has moved (or a folder of photos)"
    )
    add_options(parser)
    parser.set_defaults(run=run)


def add_options(parser) -> None:
    """`--mask` and `--format`."""
    parser.add_argument(
        "--mask",
        default="face",
        metavar="face|crop|IMAGE",
        help="what is replaced: inside the face's contour (default), the whole crop, "
        "or the white part of an image: as large as the photo, or a square over the "
        "crop",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="png",
        help="png (default) loses nothing; same is the photo's own format",
    )


def run(args):
    """Puts all edited crops back; returns the exit code."""
    mask = read_mask(args.mask)
    photos = photo_runs.Run(args.inputs, args.out)
    photos.go(lambda file, name: _paste(photos, file, name, mask, args))
    return photos.report("faces put back")


def read_mask(mask: str):
    """The name of a mask, or an array [H, W] of 0 to 1 from an image file.

    Raises:
        ValueError: neither.
    """
    from hyperstyle_jax.photos import masks

    if mask in masks.NAMES:
        return mask
    if not Path(mask).is_file():
        raise ValueError(f"--mask {mask}: expected face, crop or an image file")
    return masks.read(mask)


def _paste(photos, file, name, mask, args) -> Result:
    from hyperstyle_jax import images
    from hyperstyle_jax.photos import records

    edited = file.read()
    path = _record_of(Path(file.path), args.aligned)
    record = records.load(path)
    source = _source(record, path, args.photo)
    key = {"edited": hashlib.sha256(edited).hexdigest(), "record": record._asdict()}
    key |= {"mask": label(args.mask), "format": args.format}
    note = args.out / f"{name}.paste.json"
    if photo_runs.is_done(note, key):
        return Result(1, before=True)
    photo = _open(source, record)
    done = photo.paste(record.aligned(photo), images.read(edited, file.path), mask)
    result = photos.check_output(args.out / f"{name}_photo{ending(args, photo)}")
    if result.exists() and result.samefile(source):
        raise ValueError(f"would overwrite the photo {source}; choose another --out")
    done.save(result)
    photo_runs.mark_done(note, key, [result])
    return Result(1)


def ending(args, photo) -> str:
    """Of the result's name, as ".png"."""
    from hyperstyle_jax.images import originals

    return originals.same_ending(photo.original) if args.format == "same" else ".png"


def _record_of(edited: Path, aligned: Path | None) -> Path:
    """The record of the crop that was edited: of its name, or the longest start of it.

    Raises:
        ValueError: there is none.
    """
    from hyperstyle_jax.photos import records

    if aligned is not None and aligned.is_file():
        return aligned
    folder = edited.parent if aligned is None else aligned
    stems = {p.name.removesuffix(records.ENDING): p for p in _records(folder)}
    fitting = [s for s in stems if edited.stem == s or edited.stem.startswith(f"{s}_")]
    if not fitting:
        raise ValueError(
            f"no {edited.stem}{records.ENDING} in {folder}; name the folder where "
            "`hyperstyle align` wrote it (--aligned)"
        )
    return stems[max(fitting, key=len)]


def _records(folder: Path) -> list[Path]:
    from hyperstyle_jax.photos import records

    return sorted(folder.glob(f"*{records.ENDING}")) if folder.is_dir() else []


def _source(record, path: Path, photo: Path | None) -> Path:
    """The photo's file.

    Raises:
        ValueError: it is not there.
    """
    from hyperstyle_jax.photos import records

    source = records.source_of(record, path)
    if photo is not None:
        source = photo / source.name if photo.is_dir() else photo
    if not source.is_file():
        raise ValueError(f"its photo {source} is not there; name it (--photo)")
    return source


def _open(source: Path, record):
    from hyperstyle_jax.photos.photo import Photo

    photo = Photo.open(source)
    if photo.sha256 != record.sha256:
        raise ValueError(
            f"the photo {source} is not the one that was aligned (its content "
            "differs); name the right one (--photo) or align it again"
        )
    return photo


def label(mask: str) -> str:
    """What changes with the mask: its name, or the checksum of its image."""
    from hyperstyle_jax.photos import masks
    from hyperstyle_jax.system import atomic_files

    return mask if mask in masks.NAMES else atomic_files.sha256(Path(mask))
