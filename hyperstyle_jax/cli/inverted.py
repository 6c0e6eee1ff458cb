"""The folder that `hyperstyle invert` fills; what is whole in it is not made again."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hyperstyle_jax.cli import shards
from hyperstyle_jax.cli.shards import Shard
from hyperstyle_jax.system import atomic_files, errors

ENDINGS = (".npz", ".png", "_iterations.png")
ALIGNED_ENDINGS = (*ENDINGS, "_crop.png", ".align.json")


class Inverted:
    """The rows of `metrics.jsonl`, one for each picture whose files are all there.

    Each row has `key`, which names the photo's content and how it was inverted: the
    same command after an interruption keeps those rows and makes the others. Several
    pictures may be cut out of one photo; each of their rows says how many (`crops`).
    """

    def __init__(
        self,
        out: Path,
        settings: dict[str, Any],
        endings: Sequence[str] = ENDINGS,
        shard: Shard = shards.ONE,
    ):
        """
        Args:
            out: the folder, which this process holds, or a part of it.
            settings: all that an inversion depends on besides the photo.
            endings: of the files that each picture has.
            shard: whose rows these are.
        """
        self._path, self._out = out / shard.file(shards.ROWS), out
        self._settings = json.dumps(settings, sort_keys=True).encode()
        self._endings = endings
        self._earlier: dict[str, list[dict]] = defaultdict(list)
        for row in read(out):
            self._earlier[row.get("photo", row["name"])].append(row)
        self._now: dict[str, dict] = {}

    def key(self, content: bytes) -> str:
        """Names a photo's content and how it is inverted."""
        return hashlib.sha256(self._settings + content).hexdigest()[:16]

    def kept(self, photo: str, key: str) -> list[dict[str, Any]]:
        """The rows of a photo from an earlier run; [] unless all of them still hold."""
        rows = [row for row in self._earlier.get(photo, []) if row["key"] == key]
        whole = rows and len(rows) == rows[0].get("crops", 1)
        return rows if whole and all(self._is_whole(r["name"]) for r in rows) else []

    def __len__(self) -> int:
        """How many pictures have been inverted."""
        return len(self._now)

    def take_over(self, rows: Iterable[dict[str, Any]]) -> None:
        """Notes pictures of an earlier run, whose rows stand in a file already."""
        self._now |= {row["name"]: row for row in rows}

    def add(self, row: dict[str, Any]) -> None:
        """Notes a picture whose files have been written."""
        self._now[row["name"]] = row
        line = json.dumps(row) + "\n"
        with errors.about(self._path), open(self._path, "a", encoding="utf-8") as rows:
            rows.write(line)

    def finish(self) -> list[dict[str, Any]]:
        """Leaves only the rows of this run, sorted by their photos; returns them."""
        rows = sorted(self._now.values(), key=lambda row: row["position"])
        _write(self._path, rows)
        return rows

    def _is_whole(self, name: str) -> bool:
        return all((self._out / f"{name}{end}").is_file() for end in self._endings)


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    if path.name == shards.ROWS:  # only shards, which are merged, need the positions
        rows = [{k: v for k, v in row.items() if k != "position"} for row in rows]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    atomic_files.write_whole(path, lines.encode())


def merge(out: Path, count: int) -> list[dict[str, Any]]:
    """Writes `metrics.jsonl` of the rows of all shards, and returns them."""
    files = [out / Shard(i + 1, count).file(shards.ROWS) for i in range(count)]
    rows = [row for file in files for row in _rows(file)]
    rows.sort(key=lambda row: row.get("position", 0))
    _write(out / shards.ROWS, rows)
    return rows


def read(out: Path) -> list[dict[str, Any]]:
    """The rows of all earlier runs, shards too; of each picture the newest."""
    rows = [row for file in shards.row_files(out) for row in _rows(file)]
    return [*{row["name"]: row for row in rows}.values()]


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows of an earlier run; a line cut short is left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
            row["name"], row["key"] = str(row["name"]), str(row["key"])
            rows.append(row)
        except (ValueError, TypeError, KeyError):
            continue
    return rows
