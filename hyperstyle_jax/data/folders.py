"""Visits local folders, and what the links in them lead to."""

import errno
import os
import stat
from collections import deque
from functools import partial
from typing import NamedTuple

from hyperstyle_jax import images
from hyperstyle_jax.data import archives
from hyperstyle_jax.data.entries import ZIP, Collector, is_hidden, name_problem
from hyperstyle_jax.images import kinds

_DEAD = {errno.ENOENT: "a link to nothing", errno.ELOOP: "a link that leads to itself"}


class _Entry(NamedTuple):
    path: str
    real: str  # the path without links: equal for all ways to one file
    name: str  # from the source on, "." for the source
    inner: str  # prefix of the names of what a folder or zip file contains


class Folders:
    """Visits folders and files, each of them once, however many links lead to it."""

    def __init__(self):
        self._visited: set[str] = set()
        self._waiting: list[tuple[_Entry, Collector]] = []  # folders
        self._links: deque[tuple[_Entry, Collector]] = deque()

    def visit(self, path: str, prefix: str, collector: Collector) -> None:
        """Collects the files below a folder; links are kept for `follow_links`."""
        root = _Entry(path, os.path.realpath(path), ".", prefix)
        self._waiting.append((root, collector))
        self._visit_waiting()

    def _visit_waiting(self) -> None:
        while self._waiting:  # no recursion, because folders may be nested very deeply
            self._scan(*self._waiting.pop())

    def _scan(self, folder: _Entry, collector: Collector) -> None:
        if not self._is_new(folder.real, collector):
            return
        try:
            with os.scandir(folder.path) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            collector.take_unreadable(folder.name, folder.path, _why(error))
            return
        names = {entry.name for entry in entries}
        for scanned in entries:
            if is_hidden(scanned.name):
                continue
            entry = _entry(scanned, folder, names)
            if scanned.is_symlink():
                self._links.append((entry, collector))
            else:
                self._enter(entry, scanned.is_dir(), collector)

    def visit_file(self, path: str, prefix: str, collector: Collector) -> None:
        """Collects a file that is a source itself, with any ending, or a zip file.

        Raises:
            ValueError: it is a pipe, a device or a damaged zip file.
        """
        base = os.path.basename(path)
        entry = _Entry(path, os.path.realpath(path), prefix + base, prefix)
        if not self._is_new(entry.real, collector):
            return
        if special := images.special(os.stat(path).st_mode):
            raise ValueError(f"got {special}, expected an image or a zip file")
        if problem := name_problem(base):
            raise ValueError(problem)
        is_image = collector.wants(base)
        if not is_image and (kinds.suffix(base) == ZIP or _head(path)[:2] == b"PK"):
            archives.collect_file(path, prefix, collector)
        else:
            _take_image(entry, collector)

    def follow_links(self) -> None:
        """Visits what the links lead to, unless it was visited before."""
        while self._links:
            entry, collector = self._links.popleft()
            try:
                mode = os.stat(entry.path).st_mode
            except OSError as error:
                why = _DEAD.get(error.errno) or _why(error)
                collector.take_unreadable(entry.name, entry.path, why)
            else:
                self._enter(entry, stat.S_ISDIR(mode), collector)
                self._visit_waiting()

    def _is_new(self, real: str, collector: Collector) -> bool:
        if real in self._visited:
            collector.repeated += 1
            return False
        self._visited.add(real)
        return True

    def _enter(self, entry: _Entry, is_folder: bool, collector: Collector) -> None:
        wanted = collector.wants(entry.name)
        if is_folder and wanted:
            collector.take_unreadable(entry.name, entry.path, "a folder, not an image")
        elif is_folder and (problem := name_problem(entry.name)):
            collector.take_unreadable(entry.name, entry.path, problem)
        elif is_folder:
            self._waiting.append((entry, collector))
        elif self._is_new(entry.real, collector):
            if wanted or kinds.suffix(entry.name) == ZIP:
                _take(entry, collector)
            else:
                collector.count_unwanted(entry.name, partial(_head, entry.path))


def _entry(scanned: os.DirEntry, folder: _Entry, siblings: set[str]) -> _Entry:
    """An entry of a folder; `siblings` are the names of all its entries."""
    path, name, prefix = scanned.path, scanned.name, folder.inner
    link = scanned.is_symlink()
    real = os.path.realpath(path) if link else os.path.join(folder.real, name)
    # "set.zip" is called "set", unless the folder "set" stands beside it.
    stem = name[: -len(ZIP)]
    is_zip = kinds.suffix(name) == ZIP and stem not in siblings and not scanned.is_dir()
    return _Entry(path, real, prefix + name, f"{prefix}{stem if is_zip else name}/")


def _take(entry: _Entry, collector: Collector) -> None:
    """Collects a file whose name is that of an image or a zip file."""
    try:
        special = images.special(os.stat(entry.path).st_mode)
        problem = name_problem(entry.name) or (special and f"{special}, not an image")
        if problem:
            collector.take_unreadable(entry.name, entry.path, problem)
        elif collector.wants(entry.name):
            _take_image(entry, collector)
        else:
            archives.collect_file(entry.path, entry.inner, collector)
    except OSError as error:
        archives.check_machine(error, entry.path)
        collector.take_unreadable(entry.name, entry.path, _why(error))
    except ValueError as error:
        collector.take_unreadable(entry.name, entry.path, str(error))


def _take_image(entry: _Entry, collector: Collector) -> None:
    status = os.stat(entry.path)
    stamp = f"{status.st_size} {int(status.st_mtime)}"
    content = partial(images.read_bytes, entry.path)
    collector.take(entry.name, entry.path, stamp, content)


def _head(path: str) -> bytes:
    """The first bytes of a regular file; b"" for a pipe, which might block."""
    try:
        if images.special(os.stat(path).st_mode):
            return b""
        with open(path, "rb") as file:
            return file.read(16)
    except OSError:
        return b""


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
