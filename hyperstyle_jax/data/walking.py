"""Finds the images of folders, zip files (also inside each other) and cloud buckets.

Links to folders are followed. A file that several ways lead to is taken once, under the
name that needs no link. Buckets (`gs://`, `s3://`) are read
through etils and need the package of their kind, such as gcsfs.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from etils import epath

from hyperstyle_jax import images
from hyperstyle_jax.data import archives
from hyperstyle_jax.data.entries import (
    ZIP,
    Collector,
    File,
    is_hidden,
    left_out_line,
    printable,
)
from hyperstyle_jax.data.folders import Folders
from hyperstyle_jax.images import kinds


class Listing(NamedTuple):
    """The files of some sources, and what was left out."""

    files: list[File]  # by source, and by name within each
    left_out: dict[str, int]  # {".heic": 6}: images of kinds that are not read
    empty: list[str]  # sources without any image


class Walk:
    """Visits sources one after the other, and at the end what their links lead to.

    Args:
        suffixes: the endings of wanted files, as ".png".
    """

    def __init__(self, suffixes: Sequence[str] = images.SUFFIXES):
        self._suffixes = suffixes
        self._folders = Folders()
        self._sources: list[tuple[str, Collector]] = []

    def add(self, source: str | Path, prefix: str = "") -> None:
        """Visits a folder, a zip file, a single file or an address.

        Args:
            source: a path, also of a folder in a zip file ("set.zip/train"), or an
                address as gs://bucket/folder.
            prefix: put before the names of its files.

        Raises:
            ValueError: the source does not exist, is damaged, or is of another kind.
        """
        source, collector = str(source), Collector(self._suffixes)
        visit = _visit_address if _is_address(source) else self._visit_path
        try:
            visit(source, prefix, collector)
        except ValueError as error:
            raise ValueError(f"{printable(source)}: {error}") from error
        self._sources.append((source, collector))

    def finish(self) -> Listing:
        """Follows the links, and returns the files of all sources."""
        self._folders.follow_links()
        files, left_out, empty = [], Counter(), []
        for source, collector in self._sources:
            files += sorted(collector.files, key=lambda file: file.name)
            left_out.update(collector.left_out)
            if not collector.files and not collector.repeated:
                empty.append(source)
        return Listing(files, dict(left_out), empty)

    def _visit_path(self, source: str, prefix: str, collector: Collector) -> None:
        suffix = kinds.suffix(source)
        if os.path.isdir(source):
            self._folders.visit(source, prefix, collector)
        elif place := archives.split_path(source):
            archives.collect_folder(*place, prefix, collector)
        elif not os.path.exists(source):
            what = "a dead link" if os.path.islink(source) else "nothing"
            raise ValueError(f"got {what}, expected a folder or a zip file")
        elif suffix in kinds.PACKED:
            raise ValueError(
                f"got {suffix}, expected a folder or a zip file; unpack it"
            )
        else:
            self._folders.visit_file(source, prefix, collector)


def find(
    sources: Sequence[str],
    suffixes: Sequence[str] = images.SUFFIXES,
    prefixes: Sequence[str] = (),
) -> Listing:
    """Finds the files of some sources with certain endings; see `Walk`.

    Args:
        prefixes: one for each source, put before the names of its files.

    Raises:
        ValueError: a source that does not exist, or is damaged.
    """
    walk = Walk(suffixes)
    for source, prefix in zip(sources, prefixes or [""] * len(sources), strict=True):
        walk.add(source, prefix)
    return walk.finish()


def find_images(source: str) -> Listing:
    """Finds the images of one source.

    Raises:
        ValueError: as `find`, or the source has no image.
    """
    listing = find([source])
    if listing.empty:
        raise ValueError(no_image(source, listing.left_out))
    return listing


def no_image(source: str, left_out: dict[str, int]) -> str:
    """The error for a source without any image."""
    line = f"{source}: no image in it, expected {', '.join(images.SUFFIXES)}"
    return "; ".join(filter(None, [line, left_out_line(left_out)]))


def source_name(source: str) -> str:
    """The name of a source: its last part, without `.zip`, as "afhq_v2"."""
    name = printable(real_path(source).rstrip("/").rpartition("/")[2])
    return re.sub(r"\.zip$", "", name, flags=re.IGNORECASE)


def real_path(source: str) -> str:
    """A path without links, even where they lead back to themselves; or an address."""
    return source if _is_address(source) else os.path.realpath(source)


def _is_address(source: str) -> bool:
    return "://" in source


def _visit_address(source: str, prefix: str, collector: Collector) -> None:
    path = epath.Path(source)
    if path.is_dir():
        _visit_bucket(path, prefix, collector)
    elif not path.exists():
        raise ValueError("got nothing, expected a folder or a zip file")
    elif collector.wants(path.name):
        _take_object(path, prefix + path.name, collector)
    else:
        archives.collect(path.open("rb"), source, prefix, collector)


def _visit_bucket(folder, prefix: str, collector: Collector) -> None:
    """Visits a folder of a bucket, which has no links, pipes or devices."""
    for path in folder.iterdir():
        name = f"{prefix}{path.name}"
        if is_hidden(path.name):
            continue
        # The name is checked first, because other checks send requests to the bucket.
        if collector.wants(path.name):
            _take_object(path, name, collector)
        elif kinds.suffix(path.name) == ZIP and path.is_file():
            try:
                inner = f"{name[: -len(ZIP)]}/"
                archives.collect(path.open("rb"), str(path), inner, collector)
            except ValueError as error:
                collector.take_unreadable(name, str(path), str(error))
        elif kinds.not_read(path.name) or not path.is_dir():
            collector.count_unwanted(path.name, bytes)
        else:
            _visit_bucket(path, f"{name}/", collector)


def _take_object(path, name: str, collector: Collector) -> None:
    status = path.stat()
    stamp = f"{status.length} {status.mtime}"
    collector.take(name, str(path), stamp, partial(path.read_bytes))
