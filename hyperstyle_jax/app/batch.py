"""Edits all photos of a zip file alike; the results are a zip file."""

import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hyperstyle_jax import images
from hyperstyle_jax.app.engine import Engine
from hyperstyle_jax.data import walking
from hyperstyle_jax.data.entries import File, left_out_line
from hyperstyle_jax.editing import recipes
from hyperstyle_jax.editing.looks import Look
from hyperstyle_jax.system import errors

_MOST_PHOTOS = 2000
_MOST_BYTES = 128 << 20  # of one unpacked photo
_MOST_NAME = 80


class Progress(NamedTuple):
    """How far a batch is.

    Attributes:
        done, total: photos.
        seconds_left: by the photos so far; None before the first.
        failed: {photo: why}.
    """

    done: int
    total: int
    seconds_left: float | None
    failed: dict[str, str]

    def __str__(self) -> str:
        text = f"{self.done} of {self.total} photos"
        if self.done < self.total and self.seconds_left is not None:
            text += f", {self.seconds_left:.0f} s left"
        return text + (f", {len(self.failed)} failed" if self.failed else "")


def run(
    engine: Engine, archive: Path, look: Look, out: Path, whole: bool = False
) -> Iterator[Progress]:
    """Does one photo after another, whatever happens to the others.

    Args:
        engine: of the model.
        archive: a zip file of photos.
        look: what is done to the largest face of each.
        out: the zip file to write: of each photo the crop and the edit, the inversion,
            and the whole photo; and of those that failed a list, failed.txt.
        whole: takes the middle of each photo as the face.

    Yields:
        Progress before the first photo and after each.

    Raises:
        ValueError: no zip file, no photos in it, or too many.
    """
    files, failed = _files(archive)
    start, made = time.perf_counter(), 0
    yield Progress(0, len(files), None, dict(failed))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as results:
        for number, file in enumerate(files, 1):
            name = _name(file.name, number)
            try:
                for ending, data in _edited(engine, file, name, look, whole).items():
                    results.writestr(f"{name}{ending}", data)
                made += 1
            except (ValueError, OSError, MemoryError) as error:
                failed[file.name] = _why(error, file)
            left = (time.perf_counter() - start) / number * (len(files) - number)
            if number == len(files) and failed:
                lines = (f"{name}: {why}\n" for name, why in failed.items())
                results.writestr("failed.txt", "".join(lines))
            yield Progress(number, len(files), left, dict(failed))


def _files(archive: Path) -> tuple[list[File], dict[str, str]]:
    _check_sizes(archive)
    listing = walking.find([str(archive)])
    if not listing.files:
        why = left_out_line(listing.left_out) or "there is no image in it"
        raise ValueError(f"nothing to do in this zip file: {why}")
    if len(listing.files) > _MOST_PHOTOS:
        raise ValueError(
            f"{len(listing.files)} photos, expected at most {_MOST_PHOTOS}: use "
            "`hyperstyle edit-photo`, which goes on where it was stopped"
        )
    failed = {f.name: f.problem for f in listing.files if f.problem}
    return [f for f in listing.files if not f.problem], failed


def _check_sizes(archive: Path) -> None:
    """Refuses what would fill the disk or the memory; Python keeps to these sizes."""
    try:
        with zipfile.ZipFile(archive) as content:
            entries = content.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise ValueError("this is no zip file: put the photos into one") from None
    for entry in entries:
        if entry.filename.lower().endswith(".zip"):
            raise ValueError("a zip file in the zip file: unpack it first")
        if entry.file_size > _MOST_BYTES:
            raise ValueError(
                f"a file of {entry.file_size} bytes in the zip file, expected at most "
                f"{_MOST_BYTES}: leave it out"
            )


def _edited(engine: Engine, file: File, name, look, whole) -> dict[str, bytes]:
    """{ending: bytes} of one photo's results."""
    *_, last = engine.invert(engine.open(file.read(), file.name, whole))
    session = last.session._replace(look=look)
    recipe, picture = engine.recipe(session), engine.draw(session)
    files = {
        ".png": images.encode_png(session.inverted.target),
        "_edit.png": recipes.encode_png(recipe, picture),
        ".npz": engine.npz(session),
    }
    ending, photo = engine.photo_file(session)
    return files | {f"_photo{ending}": photo}


def _name(path: str, number: int) -> str:
    """A plain name for results: a number, and letters of the photo's own."""
    stem = re.sub(r"[^\w.-]+", "_", Path(path).stem).strip("._")
    return f"{number:04d}_{stem[:_MOST_NAME]}" if stem else f"{number:04d}"


def _why(error: Exception, file: File) -> str:
    line = errors.one_line(error)
    for start in (file.path, file.name):
        line = line.removeprefix(f"{start}: ")
    return line
