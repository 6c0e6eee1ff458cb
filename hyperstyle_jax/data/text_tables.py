"""Tables in text files that come with a data set, as CelebA's list of splits."""

import json
from collections.abc import Sequence
from pathlib import PurePosixPath

from etils import epath

from hyperstyle_jax.data import walking
from hyperstyle_jax.data.entries import File


def find(sources: Sequence[str], names: Sequence[str]) -> dict[str, File]:
    """The text files in and among the sources, and those called `names` beside them.

    Args:
        sources: folders, zip files, text files, bucket addresses.

    Returns:
        {file name: file}; of several files with one name the first.

    Raises:
        ValueError: a source is missing or damaged.
    """
    tables = {}
    for source in sources:
        parent = epath.Path(walking.real_path(source)).parent
        siblings = [parent / name for name in names]
        for place in (source, *(str(path) for path in siblings if path.exists())):
            for file in walking.find([place], (".txt",)).files:
                tables.setdefault(PurePosixPath(file.name).name, file)
    return tables


def rows(file: File, columns: int) -> list[list[str]]:
    """The rows of a table whose columns stand between spaces, with the header.

    Args:
        columns: how many columns to return, from the left.

    Raises:
        ValueError: a row has fewer columns, or the file is not a text.
    """
    rows = [line.split() for line in _text(file).splitlines()]
    rows = [row for row in rows if row]
    if short := [row for row in rows if len(row) < columns]:
        raise ValueError(
            f"{file.name}: got the line {' '.join(short[0])!r}, expected {columns} or "
            "more columns; fetch it again"
        )
    return [row[:columns] for row in rows]


def _text(file: File) -> str:
    """A text in UTF-8, or as editors of Windows save it: with a mark, or in UTF-16."""
    data = file.read()
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file.path}: not a text in {encoding.upper()} ({error.reason}); save it "
            "as UTF-8"
        ) from None
