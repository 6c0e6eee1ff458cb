"""Reads saved inversions for commands that render them; what fails is listed."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hyperstyle_jax.cli.names import unique_names

if TYPE_CHECKING:  # they take long to import
    from hyperstyle_jax.offsets import Inversion
    from hyperstyle_jax.weights.bundle import Bundle


def add_inputs(parser, optional: bool = False) -> None:
    """Adds the saved inversions that a command takes."""
    parser.add_argument(
        "inputs",
        nargs="*" if optional else "+",
        type=Path,
        metavar="DIR_OR_FILE",
        help=".npz files of `hyperstyle invert`, or folders of them",
    )


class Inversions:
    """The inversions of some files, one after another.

    Attributes:
        failed: a line for each file that could not be read.
    """

    def __init__(self, model: "Bundle", files: list[Path]):
        self.failed: list[str] = []
        self._model, self._files = model, files

    def __iter__(self) -> "Iterator[tuple[Path, str, Inversion]]":
        """Yields file, unique name and the inversion of one image."""
        from tqdm import tqdm

        from hyperstyle_jax.inversion import storage

        pairs = zip(self._files, unique_names(self._files), strict=True)
        for file, name in tqdm(list(pairs), unit="photo", disable=None):
            try:
                inversion = storage.restore(self._model, [storage.load(file)])
            except (ValueError, OSError) as error:
                self.failed.append(f"{file}: {error}")
                continue
            yield file, name, inversion

    def finish(self, done: int) -> int:
        """Prints what failed; returns the exit code.

        Raises:
            ValueError: none of the files could be read.
        """
        if not done:
            raise ValueError("; ".join(self.failed))
        for line in self.failed:
            print(f"failed: {line}", file=sys.stderr)
        return 1 if self.failed else 0
