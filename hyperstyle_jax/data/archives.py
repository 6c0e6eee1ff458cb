"""Files in folders, zip files (zip files within them too) and cloud buckets, by name.

Buckets (`gs://`, `s3://`) are read through etils and need the package of their kind,
such as gcsfs. Zip files are read in place; nothing is unpacked to disk but zip files
that lie inside others.
"""

import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from etils import epath

from hyperstyle_jax import images

_MOST_BYTES = 1 << 30  # of one file: no image is that large, but a bomb may be
_PACKED = (".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")


class File(NamedTuple):
    """A file that can be read when it is due."""

    name: str  # with folders, as "train/wild/1.png"; the same on every machine
    stamp: str  # changes with the content
    read: Callable[[], bytes]  # raises ValueError or OSError


def find(
    source: str, suffixes: Sequence[str] = images.SUFFIXES, prefix: str = ""
) -> list[File]:
    """The files of a source with certain endings, sorted by name; hidden ones left out.

    Args:
        source: a folder, a zip file or a single file; a path or an address as
            gs://bucket/folder.
        prefix: put before every name.

    Raises:
        ValueError: nothing there, neither a folder nor a zip file, or a damaged one.
    """
    path = epath.Path(source)
    if path.is_dir():
        found = _in_folder(path, suffixes, prefix)
    elif not path.exists():
        raise ValueError(f"{source}: got nothing, expected a folder or a zip file")
    elif path.suffix.lower() in suffixes:
        found = [_file(path, prefix + path.name)]
    elif path.suffix.lower() in _PACKED:
        raise ValueError(
            f"{source}: got {path.suffix}, expected a folder or a zip file; unpack it"
        )
    else:
        found = _in_zip(path.open("rb"), str(source), suffixes, prefix)
    return sorted(found, key=lambda file: file.name)


def image_files(source: str) -> list[File]:
    """Like `find`; a source without any image is refused."""
    found = find(source)
    if not found:
        endings = ", ".join(images.SUFFIXES)
        raise ValueError(f"{source}: no image in it, expected {endings}")
    return found


def stem(source: str) -> str:
    """What to call a source: its last part, without `.zip`, as "afhq_v2"."""
    name = epath.Path(source).resolve().name
    return re.sub(r"\.zip$", "", name, flags=re.IGNORECASE)


def _in_folder(folder, suffixes, prefix) -> Iterator[File]:
    for path in folder.iterdir():
        name = f"{prefix}{path.name}"
        if path.name.startswith("."):
            continue
        # By the name first: in a bucket every other question is a request.
        if path.suffix.lower() in suffixes:
            yield _file(path, name)
        elif path.suffix.lower() == ".zip" and path.is_file():
            yield from _in_zip(path.open("rb"), str(path), suffixes, f"{name[:-4]}/")
        elif path.is_dir():
            yield from _in_folder(path, suffixes, f"{name}/")


def _file(path, name: str) -> File:
    stat = path.stat()
    return File(name, f"{stat.length} {stat.mtime}", partial(_read, path))


def _read(path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {(error.strerror or str(error)).lower()}") from error


def _in_zip(file, where: str, suffixes, prefix) -> Iterator[File]:
    """The entries of an open zip file, which stays open as long as they live."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(
            f"{where}: not a zip file that can be read ({error}); fetch it again, or "
            "give a folder"
        ) from None
    for entry in archive.infolist():
        parts = [p for p in entry.filename.split("/") if p]
        hidden = any(p.startswith(".") or p == "__MACOSX" for p in parts)
        if entry.is_dir() or hidden or not parts:
            continue
        name, suffix = prefix + "/".join(parts), parts[-1][parts[-1].rfind(".") :]
        if suffix.lower() == ".zip":
            inner = _unpacked(archive, entry, where)
            yield from _in_zip(inner, f"{where}/{name}", suffixes, f"{name[:-4]}/")
        elif suffix.lower() in suffixes:
            read = partial(_read_entry, archive, entry, f"{where}/{entry.filename}")
            yield File(name, f"{entry.file_size} {entry.CRC:08x}", read)


def _unpacked(archive, entry, where):
    """A zip file inside another one, as a temporary file: it must be searched."""
    out = tempfile.TemporaryFile()
    try:
        with archive.open(entry) as inner:
            shutil.copyfileobj(inner, out, 1 << 20)
    except (zipfile.BadZipFile, RuntimeError) as error:
        raise ValueError(f"{where}/{entry.filename}: {error}") from None
    return out


def _read_entry(archive, entry, name: str) -> bytes:
    if entry.file_size > _MOST_BYTES:
        raise ValueError(f"{name}: {entry.file_size} bytes are too many for an image")
    try:
        return archive.read(entry)
    except (zipfile.BadZipFile, RuntimeError, EOFError, zlib.error) as error:
        # Damaged, encrypted, or packed in a way that Python does not know.
        raise ValueError(f"{name}: cannot be unpacked ({error})") from None
