"""The files in the folder of a sharded data set, and what they say about it.

`plan.json` says what the data set is made of, `parts/` has one JSON file for each
finished shard, and `report.json` is written last.
"""

import hashlib
import json
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
    """The content of `report.json` of a finished folder."""
    return json.loads((Path(path) / REPORT).read_text())


def plan(path: str | Path) -> dict[str, Any]:
    """The content of `plan.json`: what the data set is made of."""
    return json.loads((Path(path) / PLAN).read_text())


def image_sums(path: str | Path, split: str) -> list[ImageSums]:
    """The names and checksums of a split's images, in the order of the records."""
    files = sorted((Path(path) / _PARTS).glob(f"{split}-*.json"))
    parts = [json.loads(file.read_text()) for file in files]
    return [ImageSums(*sums) for part in parts for sums in part["images"]]


def skipped(path: str | Path) -> dict[str, str]:
    """{name: reason} of the images that could not be stored."""
    return dict(report(path)["skipped"])


def check_files(path: str | Path) -> None:
    """Checks that every shard exists and has the length that it was written with.

    Raises:
        ValueError: names the first one that is missing or shorter.
    """
    for name, shard in report(path)["shards"].items():
        file = Path(path) / name
        size = file.stat().st_size if file.is_file() else 0
        if size != shard["bytes"]:
            raise ValueError(
                f"{file}: got {size} bytes, expected {shard['bytes']}; copy the data "
                "set again, or delete this file and make it with the same command"
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
