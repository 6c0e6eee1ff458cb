"""The files of a source, and the rules by which images are chosen from them.

The same rules hold in folders, zip files and buckets. Hidden files are passed over. An
image that cannot even be opened, as a dead link, is an entry with a problem: it is
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
    """A file that can be read when it is due, or the reason why it cannot."""

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
    """Chooses among the files that a walk comes upon.

    Args:
        suffixes: the endings of what is wanted, as ".png".
    """

    def __init__(self, suffixes: Sequence[str]):
        self.suffixes = tuple(suffixes)
        self.files: list[File] = []
        self.left_out: Counter[str] = Counter()  # images of kinds that are not read
        self.repeated = 0  # files and folders that were found before

    def wants(self, name: str) -> bool:
        return kinds.suffix(name) in self.suffixes

    def take(self, name: str, path: str, stamp: str, content: Callable[[], bytes]):
        """A file that is wanted."""
        self.files.append(File(name, path, stamp, content))

    def take_odd(self, name: str, path: str, problem: str):
        """A file or folder that is wanted, but can never be read."""
        refuse = partial(_refuse, problem)
        self.files.append(File(shown(name), shown(path), "", refuse, problem))

    def pass_over(self, name: str, head: Callable[[], bytes]):
        """A file that is not wanted; it is counted if it seems to hold an image.

        Args:
            head: gives its first bytes; used where the name tells nothing.
        """
        if kind := kinds.not_read(name):
            self.left_out[kind] += 1
        elif not kinds.suffix(name) and kinds.known(head()):
            self.left_out[kinds.NO_SUFFIX] += 1


def is_hidden(part: str) -> bool:
    """Whether a file or folder is passed over by its name."""
    return part.startswith(".") or part == "__MACOSX"


def name_problem(name: str) -> str:
    """Why a file of this name is skipped; "" for a good name."""
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that Python could only pass through
        return "its name is not UTF-8; rename it"
    return ""


def shown(name: str) -> str:
    """A name for people and files; bytes that are not UTF-8 as "\\xe9"."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def left_out_line(counts: dict[str, int]) -> str:
    """Says how many images of which kinds were not read; "" if there were none."""
    if not counts:
        return ""
    numbers = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{count:,} {kind}" for kind, count in numbers)
    unpack = " (unpack archives)" if kinds.PACKED & counts.keys() else ""
    return f"left out: {listed}: not read; convert them to PNG or JPEG{unpack}"


def _refuse(problem: str) -> bytes:
    raise ValueError(problem)
