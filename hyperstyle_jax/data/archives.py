"""Reads zip files in place; those inside others are unpacked to temporary files.

Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import errno
import lzma
import os
import posixpath
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from hyperstyle_jax.data.entries import ZIP, Collector, is_hidden
from hyperstyle_jax.images import kinds

_MOST_BYTES = 1 << 30  # of one unpacked file: a zip bomb is larger, an image is not
_MOST_INNER_BYTES = 1 << 36
_MOST_ZIPS = 5  # one inside the other; some zip files contain themselves
# Python raises these for damaged, encrypted or unknown content (bzip2: OSError).
_ERRORS = (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, OSError, zlib.error,
           lzma.LZMAError, struct.error, OverflowError)  # fmt: skip
_MACHINE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def collect_file(path: str, prefix: str, collector: Collector) -> None:
    """Collects the entries of a zip file on disk; see `collect`.

    Raises:
        ValueError: not a zip file, or damaged.
        OSError: it cannot be opened.
    """
    collect(open(path, "rb"), path, prefix, collector)


def collect(
    file: BinaryIO, path: str, prefix: str, collector: Collector, depth: int = 1
) -> None:
    """Collects the entries of an open zip file, which stays open to read them later.

    Args:
        path: the name of the zip file in messages.
        prefix: put before the name of every entry.
        depth: 1, or more for a zip file inside others.

    Raises:
        ValueError: not a zip file, or damaged.
    """
    if depth > _MOST_ZIPS:
        raise ValueError(f"more than {_MOST_ZIPS} zip files inside each other")
    try:
        archive = zipfile.ZipFile(file)
    except _ERRORS as error:
        check_machine(error, path)
        raise ValueError(
            f"not a zip file that can be read ({error}); fetch it again, or give a "
            "folder"
        ) from None
    _Walk(archive, path, prefix, collector, depth).collect()


def split_path(path: str) -> tuple[str, str] | None:
    """A path that leads into a zip file as (the zip file, the name inside), else None.

    "set.zip/train" is ("set.zip", "train") where set.zip is a file.
    """
    outer, inner = path, ""
    while outer and not os.path.exists(outer):
        outer, name = os.path.split(outer.rstrip("/"))
        inner = posixpath.join(name, inner) if inner else name
    return (outer, inner) if inner and os.path.isfile(outer) else None


def collect_folder(path: str, folder: str, prefix: str, collector: Collector) -> None:
    """Collects the entries of a folder in a zip file, under their names in it.

    Raises:
        ValueError: not a zip file, or it has no such folder.
    """
    whole = Collector(collector.suffixes)
    collect_file(path, "", whole)
    start = f"{folder.rstrip('/')}/"
    for file in whole.files:
        if file.name.startswith(start):
            name = prefix + file.name.removeprefix(start)
            collector.files.append(file._replace(name=name))
    if not collector.files:
        tops = sorted({file.name.partition("/")[0] for file in whole.files})
        raise ValueError(
            f"no image in a folder {folder} of this zip file; it has "
            f"{', '.join(tops[:8]) or 'no image'}"
        )


def check_machine(error: Exception, path: str) -> None:
    """Raises an error that the machine caused and not the file, as a full disk.

    Raises:
        OSError: `error`, with the file that was being read.
    """
    if isinstance(error, OSError) and error.errno in _MACHINE_ERRORS:
        folder = tempfile.gettempdir()
        why = f"{error.strerror} (zip files in it are unpacked to {folder})"
        raise OSError(error.errno, why, path) from error


class _Walk:
    """Collects the entries of one zip file."""

    def __init__(self, archive, path, prefix, collector, depth):
        self._archive, self._path, self._prefix = archive, path, prefix
        self._collector, self._depth = collector, depth
        self._entries = self._visible()
        self._folders = {p for name in self._entries for p in _parents(name)}

    def collect(self):
        for folder in sorted(filter(self._is_image, self._folders)):
            self._take_unreadable(folder, "a folder, not an image")
        for name, entry in self._entries.items():
            if any(map(self._is_image, _parents(name))):
                continue
            if stat.S_ISLNK(entry.external_attr >> 16):
                self._link(name, entry)
            elif kinds.suffix(name) == ZIP:
                self._inner(name, entry)
            elif self._is_image(name):
                stamp = f"{entry.file_size} {entry.CRC:08x}"
                content = partial(_content, self._archive, entry)
                self._collector.take(*self._place(name), stamp, content)
            else:
                self._collector.count_unwanted(
                    name, partial(_head, self._archive, entry)
                )

    def _visible(self) -> dict[str, zipfile.ZipInfo]:
        """The files that are not hidden, by name without "./" and "../"."""
        entries = {}
        for entry in self._archive.infolist():
            # Some programs of Windows write "\"; Python reads it as a letter.
            raw = entry.filename.replace("\\", "/")
            parts = [part for part in raw.split("/") if part not in ("", ".", "..")]
            if raw.endswith("/") or not parts or any(map(is_hidden, parts)):
                continue
            name = "/".join(parts)
            if name in entries and self._is_image(name):
                self._take_unreadable(
                    name, "twice in this zip file; only the last is taken"
                )
            entries[name] = entry
        return entries

    def _link(self, name, entry):
        """Collects a link as a problem, unless its target is in the zip file too."""
        try:
            target = self._archive.read(entry).decode()
        except _ERRORS as error:
            check_machine(error, self._path)
            target = ""
        target = posixpath.join(posixpath.dirname(name), target)
        if posixpath.normpath(target) not in self._entries.keys() | self._folders:
            self._take_unreadable(name, "a link to something outside the zip file")

    def _inner(self, name, entry):
        """Collects a zip file inside this one; a damaged one becomes a problem."""
        stem = name[: -len(ZIP)]
        prefix = f"{self._prefix}{name if stem in self._folders else stem}/"
        path = f"{self._path}/{name}"
        try:
            inner = _unpacked(self._archive, entry, path)
            collect(inner, path, prefix, self._collector, self._depth + 1)
        except ValueError as error:
            self._take_unreadable(name, str(error))

    def _is_image(self, name: str) -> bool:
        return self._collector.wants(name)

    def _take_unreadable(self, name: str, problem: str):
        self._collector.take_unreadable(*self._place(name), problem)

    def _place(self, name: str) -> tuple[str, str]:
        return self._prefix + name, f"{self._path}/{name}"


def _parents(name: str) -> Iterator[str]:
    """The folders of a name: of "a/b/c.png" these are "a/b" and "a"."""
    while name := posixpath.dirname(name):
        yield name


def _unpacked(archive, entry, path) -> BinaryIO:
    """Unpacks an entry to a temporary file, in which a zip reader can seek."""
    if entry.file_size > _MOST_INNER_BYTES:
        raise ValueError(f"{entry.file_size} bytes are too many to unpack")
    out = tempfile.TemporaryFile()
    try:
        with archive.open(entry) as inner:
            shutil.copyfileobj(inner, out, 1 << 20)
    except _ERRORS as error:
        out.close()
        check_machine(error, path)
        raise ValueError(f"cannot be unpacked ({error})") from None
    return out


def _content(archive, entry) -> bytes:
    if entry.file_size > _MOST_BYTES:
        raise ValueError(f"{entry.file_size} bytes are too many for an image")
    try:
        return archive.read(entry)
    except _ERRORS as error:
        raise ValueError(f"cannot be unpacked ({error})") from None


def _head(archive, entry) -> bytes:
    try:
        with archive.open(entry) as file:
            return file.read(16)
    except _ERRORS:
        return b""
