"""Chooses images among the files of a source, by rules that hold for every source.

The same rules hold in folders, zip files and buckets. Hidden files are ignored. An
image that cannot even be opened, as a dead link, becomes a file with a problem: it is
listed and skipped later, as damaged ones are. Images of kinds that are not read are
counted.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from hyperstyle_jax.images import kinds

ZIP = ".zip"


class File(NamedTuple):
    """A file to be read later, or the reason why it cannot be read."""

    name: str  # with folders, as "train/wild/1.png"; the same on every machine
    path: str  # where it is, for people: "photos/a.png", "set.zip/train/a.png"
    stamp: str  # changes with the content
    content: Callable[[], bytes]
    problem: str = ""

    def read(self) -> bytes:
        """The bytes of the file.

        Raises:
            ValueError: "PATH: why"; the file cannot be read.
            MemoryError: names the file.
        """
        try:
            return self.content()
        except (ValueError, OSError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ValueError(f"{self.path}: {why}") from error
        except MemoryError:
            raise MemoryError(f"{self.path}: not enough memory to read it") from None


class Collector:
    """Collects the files of a source that are wanted, and counts unreadable images.

    Args:
        suffixes: the endings of wanted files, as ".png".
    """

    def __init__(self, suffixes: Sequence[str]):
        self.suffixes = tuple(suffixes)
        self.files: list[File] = []
        self.left_out: Counter[str] = Counter()  # images of kinds that are not read
        self.repeated = 0  # files and folders collected before

    def wants(self, name: str) -> bool:
        """Whether a file of this name is wanted."""
        return kinds.suffix(name) in self.suffixes

    def take(self, name: str, path: str, stamp: str, content: Callable[[], bytes]):
        """Collects a file that is wanted."""
        self.files.append(File(name, path, stamp, content))

    def take_unreadable(self, name: str, path: str, problem: str):
        """Collects a file or folder that is wanted, but can never be read."""
        refuse = partial(_refuse, problem)
        self.files.append(File(printable(name), printable(path), "", refuse, problem))

    def count_unwanted(self, name: str, head: Callable[[], bytes]):
        """Counts a file that is not wanted, if it seems to hold an image.

        Args:
            head: returns its first bytes; called where the name tells nothing.
        """
        if kind := kinds.not_read(name):
            self.left_out[kind] += 1
        elif not kinds.suffix(name) and kinds.known(head()):
            self.left_out[kinds.NO_SUFFIX] += 1


def is_hidden(part: str) -> bool:
    """Whether a file or folder of this name is ignored."""
    return part.startswith(".") or part == "__MACOSX"


def name_problem(name: str) -> str:
    """The reason why a file of this name is skipped; "" for a good name."""
    try:
        name.encode()
    except UnicodeEncodeError:  # it has bytes that Python could not decode
        return "its name is not UTF-8; rename it"
    return ""


def printable(name: str) -> str:
    """A printable name; bytes that are not UTF-8 are shown as "\\xe9"."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def left_out_line(counts: dict[str, int]) -> str:
    """A line with the numbers of images that were not read; "" if there were none."""
    if not counts:
        return ""
    numbers = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{count:,} {kind}" for kind, count in numbers)
    unpack = " (unpack archives)" if kinds.PACKED & counts.keys() else ""
    return f"left out: {listed}: not read; convert them to PNG or JPEG{unpack}"


def _refuse(problem: str) -> bytes:
    raise ValueError(problem)
