"""The folder that `hyperstyle invert` fills; what is whole in it is not made again."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperstyle_jax.system import atomic_files, errors

if TYPE_CHECKING:  # it takes long to import
    from hyperstyle_jax.data.entries import File

_ENDINGS = (".npz", ".png", "_iterations.png")


class Inverted:
    """The rows of `metrics.jsonl`, one for each photo whose files are all there.

    Each row has `key`, which names the photo's content and how it was inverted: the
    same command after an interruption keeps those rows and makes the others.
    """

    def __init__(self, out: Path, settings: dict[str, Any]):
        """
        Args:
            out: the folder, which this process holds.
            settings: all that an inversion depends on besides the photo.
        """
        self._path, self._out = out / "metrics.jsonl", out
        self._settings = json.dumps(settings, sort_keys=True).encode()
        self._earlier = {row["name"]: row for row in _rows(self._path)}
        self._now: dict[str, dict] = {}

    def keep(self, files: list["File"], names: list[str]) -> int:
        """Takes over the rows of an earlier run that still hold, and drops the others.

        Returns:
            How many photos need not be inverted again.
        """
        for file, name in zip(files, names, strict=True):
            row = self._earlier.get(name)
            if row and self._is_whole(name) and row["key"] == self._key(file):
                self._now[name] = row
        self._write()
        return len(self._now)

    def __contains__(self, name: str) -> bool:
        """Whether a photo has been inverted."""
        return name in self._now

    def __len__(self) -> int:
        """How many photos have been inverted."""
        return len(self._now)

    def add(self, file: "File", name: str, row: dict[str, Any]) -> None:
        """Notes a photo whose files have been written."""
        row = self._now[name] = {**row, "key": self._key(file)}
        line = json.dumps(row) + "\n"
        with errors.about(self._path), open(self._path, "a", encoding="utf-8") as rows:
            rows.write(line)

    def finish(self, names: list[str]) -> list[dict[str, Any]]:
        """Puts the rows into the order of `names` and returns them."""
        self._now = {name: self._now[name] for name in names if name in self._now}
        self._write()
        return [*self._now.values()]

    def _write(self) -> None:
        lines = "".join(json.dumps(row) + "\n" for row in self._now.values())
        atomic_files.write_whole(self._path, lines.encode())

    def _key(self, file: "File") -> str:
        try:
            content = file.read()
        except (ValueError, MemoryError):
            return ""
        return hashlib.sha256(self._settings + content).hexdigest()[:16]

    def _is_whole(self, name: str) -> bool:
        return all((self._out / f"{name}{end}").is_file() for end in _ENDINGS)


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
