"""`STEM.align.json` beside a crop: which part of which photo it is."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from hyperstyle_jax.photos.align import Aligned, face_quad
from hyperstyle_jax.photos.face import Face, checked_points
from hyperstyle_jax.photos.photo import Photo
from hyperstyle_jax.system import atomic_files

ENDING = ".align.json"


class Record(NamedTuple):
    """The content of one file.

    Attributes:
        source: the photo, relative to the folder of the record where that is possible.
        sha256: of the photo's file.
        photo_size: [width, height], upright.
        landmarks: which finder found the face.
        face, faces: its number, from 0, the largest first, and how many there were.
        points: [68, 2] or [5, 2] in the photo.
        quad: [4, 2], FFHQ's square in the photo.
        size: side of the crop in pixels.
        exif: the camera's main notes.
        crop_sha256: of the crop's file.
    """

    source: str
    sha256: str
    photo_size: list[int]
    landmarks: str
    face: int
    faces: int
    points: list[list[float]]
    quad: list[list[float]]
    size: int
    exif: dict[str, Any]
    crop_sha256: str

    def aligned(self, photo: Photo) -> Aligned:
        """The crop once more, before any edit."""
        face = Face(checked_points(self.points, self.source))
        return photo.align(face, self.size)


def save(
    crop: Path,
    photo: Photo,
    aligned: Aligned,
    landmarks: str,
    face: int,
    faces: int,
    path: Path | None = None,
) -> Path:
    """Writes the record of a crop that is written already; at `path`, or beside it."""
    from hyperstyle_jax.images import originals

    record = Record(
        source=_relative(photo.name, crop.parent),
        sha256=photo.sha256,
        photo_size=[photo.image.shape[1], photo.image.shape[0]],
        landmarks=landmarks,
        face=face,
        faces=faces,
        points=aligned.face.points.tolist(),
        quad=face_quad(aligned.face.anchors).tolist(),
        size=len(aligned.image),
        exif=originals.notes(photo.original),
        crop_sha256=atomic_files.sha256(crop),
    )
    lines = (f"{json.dumps(k)}: {json.dumps(v)}" for k, v in record._asdict().items())
    text = "{\n " + ",\n ".join(lines) + "\n}\n"
    return atomic_files.write_whole(path or path_of(crop), text.encode())


def path_of(crop: Path) -> Path:
    """Of the record of a crop."""
    return crop.with_name(crop.stem + ENDING)


def load(path: Path) -> Record:
    """Reads one record.

    Raises:
        ValueError: no such file, or damaged.
    """
    try:
        record = Record(**json.loads(path.read_text()))
        checked_points(record.points, str(path))
        if not isinstance(record.size, int) or not isinstance(record.source, str):
            raise ValueError("size or source is missing")
    except OSError as error:
        raise ValueError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path} is no record of a crop ({error}): expected what `hyperstyle "
            "align` wrote; align the photo again"
        ) from error
    return record


def source_of(record: Record, path: Path) -> Path:
    """Where the photo of a record at `path` is."""
    return Path(os.path.normpath(path.parent / record.source))


def _relative(source: str, folder: Path) -> str:
    source = os.path.abspath(source)
    try:
        return os.path.relpath(source, folder)
    except ValueError:  # on another drive
        return source
