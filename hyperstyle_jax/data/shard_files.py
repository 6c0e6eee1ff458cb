"""The files in the folder of a sharded data set, and what they say about it.

`plan.json` says what the data set is made of, `parts/` has one JSON file for each
finished shard, and `report.json` is written last.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_PARTS = "parts"
PLAN, REPORT = "plan.json", "report.json"


class ImageSums(NamedTuple):
    """The name and the checksums of a stored image, known without reading it."""

    name: str
    file_sum: str  # sha256 of the file it came from
    pixel_sum: str  # sha256 of the image as it is stored


def is_finished(path: str | Path) -> bool:
    """Whether a folder holds a finished data set of `shards.write`."""
    return (Path(path) / REPORT).is_file()


def report(path: str | Path) -> dict[str, Any]:
    """The content of `report.json` of a finished folder.

    Raises:
        ValueError: it is damaged.
    """
    return _read(Path(path) / REPORT)


def plan(path: str | Path) -> dict[str, Any]:
    """The content of `plan.json`: what the data set is made of.

    Raises:
        ValueError: it is damaged.
    """
    return _read(Path(path) / PLAN)


def image_sums(path: str | Path, split: str) -> list[ImageSums]:
    """The names and checksums of a split's images, in the order of the records.

    Raises:
        ValueError: a file that should have them is damaged.
    """
    sums = []
    for file in sorted((Path(path) / _PARTS).glob(f"{split}-*.json")):
        with _damaged(file):
            images = _read(file)["images"]
            sums += [ImageSums(*map(_text, of_image)) for of_image in images]
    return sums


def skipped(path: str | Path) -> dict[str, str]:
    """{name: reason} of the images that could not be stored."""
    return dict(report(path)["skipped"])


def check_files(path: str | Path) -> None:
    """Checks that every shard exists and has the length that it was written with.

    Raises:
        ValueError: names the first one that is missing or shorter.
    """
    with _damaged(Path(path) / REPORT):
        shards = report(path)["shards"].items()
        lengths = {name: shard["bytes"] for name, shard in shards}
    for name, length in lengths.items():
        file = Path(path) / name
        size = file.stat().st_size if file.is_file() else 0
        if size != length:
            raise ValueError(
                f"{file}: got {size} bytes, expected {length}; copy the data set "
                "again, or delete this file and make it with the same command"
            )


def shard_name(name: str, split: str, i: int, count: int) -> str:
    """The file name of shard `i` of `count`, as TFDS expects it."""
    return f"{name}-{split}.array_record-{i:05d}-of-{count:05d}"


def part_file(path: Path, split: str, i: int) -> Path:
    """The JSON file of shard `i`: its checksum and length, and its images."""
    return path / _PARTS / f"{split}-{i:05d}.json"


def checksum(data: bytes) -> str:
    """The sha256 of some bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _read(file: Path) -> dict[str, Any]:
    """A JSON object."""
    with _damaged(file):
        return dict(json.loads(file.read_text(encoding="utf-8")))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"got {value!r:.40}, expected a text")
    return value


@contextlib.contextmanager
def _damaged(file: Path) -> Iterator[None]:
    """Errors of content that is not as it was written name the file."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if str(error).startswith(str(file)):
            raise
        raise ValueError(
            f"{file} is damaged ({' '.join(str(error).split())[:200]}); copy the data "
            "set again, or delete its folder and make it again"
        ) from error
