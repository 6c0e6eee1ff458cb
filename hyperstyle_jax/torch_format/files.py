"""Reads weights from files of PyTorch, NumPy and NVIDIA, and writes PyTorch's.

This works without PyTorch and runs no code of the file. Arrays are read-only views of
the mapped file: a checkpoint of 1.3 GB takes no memory until its numbers are used.
"""

import mmap
import os
import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from hyperstyle_jax.system import errors, folder_lock
from hyperstyle_jax.torch_format import (
    foreign_formats,
    legacy_format,
    npy,
    pickles,
    zip_archives,
)
from hyperstyle_jax.torch_format.pickle_writer import Writer
from hyperstyle_jax.torch_format.resolving import resolve

# The first bytes of pickles of protocol 0 or 1, which have no mark of their own.
_OLD_PICKLE = rb"(?s)\((dp?|lp?|[it]|c).|c[\w.]+\n[\w.]+\n|[\]}][q(.]|\]r"


def read(path: str | os.PathLike) -> Any:
    """Reads everything in a file of weights as plain values.

    Args:
        path: of a zip or legacy file of PyTorch, of arrays of NumPy (.npy, .npz), or of
            a pickle (NVIDIA's networks, lists of arrays). The content decides, not the
            name.

    Returns:
        Dicts, lists, scalars, read-only arrays and `pickle_values.Module`s. Equal views
        of one storage are one array object.

    Raises:
        ValueError: names the file and why it is refused.
    """
    try:
        return content(path)
    except ValueError as error:
        raise ValueError(f"cannot read {path}: {error}") from None


def content(path: str | os.PathLike) -> Any:
    """Reads like `read`, for callers that name the file in an error themselves.

    Raises:
        ValueError: says why the file is refused.
    """
    try:
        _check_is_file(path)
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _read(data, os.fspath(path))
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    except (zipfile.BadZipFile, struct.error, zlib.error, *pickles.DAMAGE) as error:
        text = f"it is damaged ({type(error).__name__}: {str(error):.80})"
        raise ValueError(text) from None


def _check_is_file(path):
    if os.path.isdir(path):
        names = os.listdir(path)
        raise ValueError(f"it is {foreign_formats.describe_folder(names)}")
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would never end
        raise ValueError("it is not a file")
    if os.path.getsize(path) == 0:
        raise ValueError("it is empty (an unfinished download?): get it again")


def _read(data, name: str):
    head = data[: foreign_formats.HEAD]
    if head.startswith(b"PK"):
        return resolve(zip_archives.read(data))
    if head.startswith(npy.MAGIC):
        return npy.read(data)
    if head.startswith(legacy_format.MAGIC):
        return resolve(legacy_format.read(data))
    if head[:1] == b"\x80" or re.match(_OLD_PICKLE, head):
        load_storage = legacy_format.read_storage
        return resolve(pickles.load(data, load_storage=load_storage))
    if foreign := foreign_formats.describe(head, data[-foreign_formats.TAIL :]):
        raise ValueError(f"it is {foreign}")
    if re.search(r"\.data-\d{5}-of-\d{5}$", name):
        raise ValueError(f"it is {foreign_formats.TENSORFLOW_DATA}")
    raise ValueError(
        "it is no file of PyTorch, NumPy or NVIDIA's networks (or its beginning is "
        "damaged)"
    )


def write(path: str | os.PathLike, value: Any):
    """Writes a zip file that `torch.load(…, weights_only=True)` reads.

    Args:
        path: of the file, which is replaced only when the new one is complete.
        value: dicts, lists, tuples, scalars and arrays. One array object in several
            places is stored once, as in state dicts with shared parameters.

    Raises:
        ValueError: a value of another type.
    """
    path = Path(path)
    with folder_lock.hold(path, beside=True):
        new = folder_lock.beside_file(path).with_suffix(".new")
        try:
            with errors.about(path):
                _write(new, value)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


def _write(path: Path, value: Any):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        program = Writer()
        program.write(value)
        _add(archive, "archive/data.pkl", program.finish())
        _add(archive, "archive/byteorder", b"little")
        for key, array in enumerate(program.arrays):
            _add(archive, f"archive/data/{key}", _contiguous(array))
        _add(archive, "archive/version", b"3\n")


def _contiguous(array):
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return memoryview(np.ascontiguousarray(little).reshape(-1).view(np.uint8))


def _add(archive, name, content):
    """Adds an entry whose content starts at a multiple of 64 bytes, for mmap."""
    info = zipfile.ZipInfo(name)
    info.file_size = len(content)
    large = len(content) > 2**30
    start = archive.fp.tell() + 30 + len(name) + 4 + (20 if large else 0)
    padding = -start % 64
    info.extra = struct.pack("<HH", 0x4246, padding) + b"Z" * padding
    with archive.open(info, "w", force_zip64=large) as entry:
        entry.write(content)
