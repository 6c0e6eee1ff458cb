"""What the commands that go through photos share: inputs, progress, failures, notes."""

import glob
import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hyperstyle_jax.cli import photo_files
from hyperstyle_jax.cli.names import unique_names
from hyperstyle_jax.system import errors, folder_lock, program

if TYPE_CHECKING:  # they take long to import
    from hyperstyle_jax.data.entries import File
    from hyperstyle_jax.photos.face import Face, Finder


class Result(NamedTuple):
    """Of one photo: how many results, whether they stood there before, and remarks."""

    made: int
    before: bool = False
    remarks: tuple[str, ...] = ()


class Run:
    """One command's way through its photos.

    Args:
        inputs: files, folders, zip files and patterns as "*.jpg".
        out: the folder of results.
    """

    def __init__(self, inputs: Iterable[Path], out: Path):
        self.out = out
        photos = photo_files.collect(list(expanded(inputs)), out)
        self.files, self.failed, self.left_out = photos
        self.results: dict[str, Result] = {}

    def go(self, work: Callable[["File", str], Result]) -> None:
        """Does each photo, whatever happens to the others.

        Args:
            work: takes a file and the name, unique here, of what is made of it.

        Raises:
            ValueError, OSError: the disk is full, for all photos that follow too.
        """
        from tqdm import tqdm

        names = unique_names([Path(file.path) for file in self.files])
        files = list(zip(self.files, names, strict=True))
        total = f"{len(files)} photos are done"
        with (
            folder_lock.hold(self.out),
            program.telling(lambda: f"{len(self.results)} of {total}"),
        ):
            for file, name in tqdm(files, unit="photo", disable=None):
                try:
                    self.results[file.path] = work(file, name)
                except (ValueError, OSError, MemoryError) as error:
                    if errors.is_disk_full(error):
                        raise
                    self.failed[file.path] = errors.one_line(error)

    def report(self, what: str) -> int:
        """Prints remarks, failures and where the results are.

        Returns:
            The command's exit code: 1 if anything failed.
        """
        from hyperstyle_jax.data.entries import left_out_line

        for path, result in self.results.items():
            for remark in result.remarks:
                print(f"note: {path}: {remark}", file=sys.stderr)
        for path, why in self.failed.items():
            line = f"failed: {path}: {why.removeprefix(f'{path}: ')}"
            print(" ".join(line.split()), file=sys.stderr)
        if self.left_out:
            print(left_out_line(self.left_out), file=sys.stderr)
        count = sum(result.made for result in self.results.values())
        before = sum(result.before for result in self.results.values())
        line = f"{count} {what} of {len(self.results)} photos in {self.out}"
        line += f", {before} photos were done before" if before else ""
        line += f", {len(self.failed)} failed" if self.failed else ""
        print(line)
        return 1 if self.failed else 0

    def check_output(self, path: Path) -> Path:
        """Refuses to write over a photo that was given.

        Raises:
            ValueError: names it.
        """
        if os.path.realpath(path) in {os.path.realpath(f.path) for f in self.files}:
            raise ValueError(
                f"the result would overwrite the photo {path}; choose another --out"
            )
        return path


def expanded(inputs: Iterable[Path]) -> Iterator[Path]:
    """The inputs, with patterns replaced by what they match.

    Shells do this too, but not all of them, and not within quotes.
    """
    for path in inputs:
        matches = [] if path.exists() else sorted(glob.glob(str(path), recursive=True))
        yield from [Path(match) for match in matches] or [path]


def add_photo_options(parser):
    """Adds the photos that a command takes, and its folder of results."""
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="PHOTO",
        help="photos, folders, zip files or patterns",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder")


def add_face_options(parser: ArgumentParser) -> None:
    """`--face`, `--landmarks` and `--landmark-model`."""
    parser.add_argument(
        "--face",
        default="largest",
        metavar="N|all|largest",
        help="which face: largest (default), all, or a number; 0 is the largest",
    )
    parser.add_argument(
        "--landmarks",
        default="dlib",
        metavar="dlib|mediapipe|mtcnn|FILE.json",
        help="what finds faces (default dlib, for non-commercial use; see "
        "docs/photos.md), or a file of points",
    )
    parser.add_argument(
        "--landmark-model",
        type=Path,
        metavar="PATH",
        help="mediapipe's .task file; for mtcnn a bundle or the folder of pnet.npy, "
        "rnet.npy and onet.npy",
    )


def load_finder(args) -> tuple["Finder", str]:
    """The finder that the options name, and a label that changes with its points."""
    from hyperstyle_jax.photos import landmarks
    from hyperstyle_jax.system import atomic_files

    _check_choice(args.face)
    find = landmarks.load(args.landmarks, args.landmark_model)
    if args.landmarks in landmarks.NAMES:
        model = f" ({args.landmark_model.name})" if args.landmark_model else ""
        return find, args.landmarks + model
    digits = atomic_files.sha256(Path(args.landmarks))[:12]
    return find, f"{Path(args.landmarks).name} {digits}"


def choose(faces: list["Face"], choice: str, finder: str) -> dict[int, "Face"]:
    """The faces of a photo that `--face` asks for, by their numbers.

    Raises:
        ValueError: there is no such face.
    """
    if not faces:
        raise ValueError(
            f"no face found by {finder}; one that is seen from the side, hidden or "
            "smaller than about 40 pixels may need another finder (--landmarks)"
        )
    if choice == "all":
        return dict(enumerate(faces))
    number = 0 if choice == "largest" else int(choice)
    if number >= len(faces):
        raise ValueError(
            f"no face {number}, only {len(faces)} faces, numbered from 0; choose "
            "another --face"
        )
    return {number: faces[number]}


def is_done(note: Path, key: dict) -> bool:
    """Whether `mark_done` wrote this key, and the results are still what they were."""
    from hyperstyle_jax.system import atomic_files

    try:
        stored = json.loads(note.read_text())
        return stored["key"] == json.loads(json.dumps(key)) and all(
            atomic_files.sha256(note.parent / name) == digits
            for name, digits in stored["results"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def mark_done(note: Path, key: dict, results: Iterable[Path]) -> None:
    """Notes what was made of what, for `is_done`."""
    from hyperstyle_jax.system import atomic_files

    sums = {path.name: atomic_files.sha256(path) for path in results}
    atomic_files.write_json(note, {"key": key, "results": sums})


def _check_choice(choice: str):
    if choice not in ("all", "largest") and not choice.isdecimal():
        raise ValueError(f"--face {choice}: expected a number from 0, all or largest")
