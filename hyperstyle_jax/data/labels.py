"""Reads what a table beside the images says of each: attributes and identity.

A table is a CSV file with a header, or a JSONL file with an object in each line. One
column names the image, each other one is a number or a category. What is absent in a
row is the category "none", or an unknown number.
"""

import csv
import io
import json
import math
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hyperstyle_jax.data import archives

NAME = "labels.jsonl"  # in the folder of a prepared data set
NONE = "none"
_FILE_COLUMNS = ("file", "image", "filename", "file_name", "name", "path")
_MOST_CATEGORIES = 64  # of a column; one with more is no attribute

Row = dict[str, Any]


class Labels(NamedTuple):
    """The labels of images.

    Attributes:
        attributes: names [A], "rotate" of a number, "hair=bun" of a category.
        values: [N, A] float32; of a category 0 or 1, NaN where a number is unknown.
        identities: [N] int32, numbered from 0 in the order of their names; None where
            no column says who is in an image.
        files: [N], the name of each image in the table.
        left_out: {column: why}, columns that are no attributes.
    """

    attributes: tuple[str, ...]
    values: np.ndarray
    identities: np.ndarray | None
    files: list[str]
    left_out: dict[str, str]

    @property
    def num_identities(self) -> int:
        """The number of people, 0 where they are unknown."""
        return 0 if self.identities is None else int(self.identities.max()) + 1

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation [A] of every attribute."""
        std = np.nanstd(self.values, axis=0)
        return np.nanmean(self.values, axis=0), np.maximum(std, 1e-6)

    def rows_of(self, names: Sequence[str]) -> np.ndarray:
        """The row of each image, [len(names)] integers; −1 where the table has none.

        The table may call an image by fewer folders than the data set, or by more.

        Args:
            names: of images in a data set, as "sub/1.png".

        Raises:
            ValueError: no image has a row.
        """
        places: dict[str, int] = {}
        for i, file in enumerate(self.files):
            for tail in _tails(file):
                places[tail] = -1 if places.get(tail, i) != i else i
        rows = [
            next((places[t] for t in _tails(name) if places.get(t, -1) >= 0), -1)
            for name in names
        ]
        if max(rows, default=-1) < 0:
            raise ValueError(
                f"the labels name no image of the data set: they have {self.files[0]}, "
                f"the data set {names[0] if names else 'nothing'}"
            )
        return np.array(rows)


def read(path: str | Path, columns: Sequence[str] = (), identity: str = "") -> Labels:
    """Reads a table.

    Args:
        path: of a .csv or .jsonl file, also within a zip file: "set.zip/train.jsonl".
        columns: those that are attributes; by default all that can be.
        identity: the column that says who is in an image; "" where none does.

    Raises:
        ValueError: no such file, no table, or no such column.
    """
    rows = rows_of_file(path)
    known = list(dict.fromkeys(name for row in rows for name in row))
    key = next((name for name in _FILE_COLUMNS if name in known), known[0])
    files = [str(row.get(key, "")) for row in rows]
    if missing := [i for i, file in enumerate(files) if not file]:
        raise ValueError(f"{path}: row {missing[0] + 1} has no {key}, the image's name")
    for name in (*columns, *filter(None, [identity])):
        if name not in known:
            raise ValueError(f"{path}: no column {name}; it has {', '.join(known)}")
    names, parts, left_out = [], [], {}
    for column in columns or [c for c in known if c not in (key, identity)]:
        values = [row.get(column) for row in rows]
        if problem := _problem(values):
            if columns:
                raise ValueError(f"{path}: column {column} is {problem}")
            left_out[column] = problem
            continue
        for name, part in _attributes(column, values).items():
            names.append(name)
            parts.append(part)
    table = np.stack(parts, axis=1) if parts else np.zeros((len(rows), 0), np.float32)
    people = None
    if identity:
        who = [str(_present(row.get(identity), NONE)) for row in rows]
        people = np.unique(who, return_inverse=True)[1].astype(np.int32)
    return Labels(tuple(names), table, people, files, left_out)


def rows_of_file(path: str | Path) -> list[Row]:
    """The rows of a table; objects within objects become columns "outer.inner".

    Raises:
        ValueError: no such file, or no table.
    """
    text = _text(str(path))
    try:
        if str(path).lower().endswith(".csv"):
            rows = [_typed(row) for row in csv.DictReader(io.StringIO(text))]
        else:
            rows = [_flat(json.loads(line)) for line in text.splitlines() if line]
    except (ValueError, AttributeError, csv.Error) as error:
        raise ValueError(
            f"{path}: not a table ({error}); expected CSV with a header, or JSONL with "
            "an object in each line"
        ) from None
    if not rows or not any(rows):
        raise ValueError(f"{path}: no row in it")
    return rows


def to_jsonl(rows: Iterable[Row]) -> bytes:
    """Rows as the text of a JSONL file."""
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _text(path: str) -> str:
    try:
        if os.path.isfile(path):
            return Path(path).read_text(encoding="utf-8-sig")
        if place := archives.split_path(path):
            with zipfile.ZipFile(place[0]) as archive:
                return archive.read(place[1]).decode("utf-8-sig")
    except (OSError, KeyError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: cannot be read as a table ({error})") from None
    raise ValueError(f"{path}: got nothing, expected a .csv or .jsonl file of labels")


def _typed(row: Mapping[Any, Any]) -> Row:
    """A row of a CSV file, with numbers where they are."""
    if None in row:
        raise ValueError("a row is longer than the header")
    return {name: _number(value) for name, value in row.items() if value}


def _number(value: str) -> Any:
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) else value


def _flat(row: Any, prefix: str = "") -> Row:
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _present(value: Any, default: Any) -> Any:
    return default if value is None or value == "" else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))  # also True and False


def _problem(values: list[Any]) -> str:
    """Why a column is no attribute; "" for one that is."""
    present = [v for v in values if _present(v, None) is not None]
    if any(isinstance(v, (list, dict)) for v in present):
        return "a list"
    different = len({str(v) for v in present})
    if different + (len(present) < len(values)) < 2:
        return "the same in every row"
    if all(map(_is_number, present)):
        if different < 2:
            return "the same in every row that has it"
        whole = all(float(v).is_integer() for v in present)
        if whole and different == len(values) > _MOST_CATEGORIES:
            return "another whole number in every row"
    elif different > _MOST_CATEGORIES:
        return f"text with {different} values, more than {_MOST_CATEGORIES}"
    return ""


def _attributes(column: str, values: list[Any]) -> dict[str, np.ndarray]:
    """A number as it is, a category as one attribute for each of its values."""
    if all(_is_number(v) for v in values if _present(v, None) is not None):
        numbers = [float(_present(value, math.nan)) for value in values]
        return {column: np.array(numbers, np.float32)}
    words = np.array([str(_present(value, NONE)) for value in values])
    return {
        f"{column}={word}": (words == word).astype(np.float32)
        for word in np.unique(words)
    }


def _tails(name: str) -> list[str]:
    """ "a/b/1.png", "b/1.png", "1.png": a name with fewer and fewer folders."""
    parts = [
        part for part in name.replace("\\", "/").split("/") if part not in ("", ".")
    ]
    return ["/".join(parts[i:]) for i in range(len(parts))]
