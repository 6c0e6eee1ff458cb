"""Files of weights: reads PyTorch's, NumPy's and NVIDIA's, writes PyTorch's.

Works without PyTorch and runs no code of the file. Arrays are read-only views of the
mapped file: a checkpoint of 1.3 GB takes no memory until its numbers are used.
"""

import io
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
from hyperstyle_jax.torch_format import foreign_formats, npy, pickles, zip_archives
from hyperstyle_jax.torch_format.pickle_calls import storage_type
from hyperstyle_jax.torch_format.pickle_values import Storage, resolve
from hyperstyle_jax.torch_format.pickle_writer import Writer

_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # PyTorch's magic number, pickled
_OLD_PICKLE = rb"(?s)\((dp?|lp?|[it]|c).|c[\w.]+\n[\w.]+\n|[\]}][q(.]|\]r"


def read(path: str | os.PathLike) -> Any:
    """Everything in a file of weights as plain values.

    Args:
        path: a zip or legacy file of PyTorch, arrays of NumPy (.npy, .npz), or a pickle
            (NVIDIA's networks, lists of arrays). The content decides, not the name.

    Returns:
        dicts, lists, scalars, read-only arrays and `pickle_values.Module`s. Equal views
        of one storage are the same array object.

    Raises:
        ValueError: the file, and why it is refused.
    """
    try:
        return content(path)
    except ValueError as error:
        raise ValueError(f"cannot read {path}: {error}") from None


def content(path: str | os.PathLike) -> Any:
    """As `read`, for callers that name the file themselves.

    Raises:
        ValueError: why the file is refused.
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
    if head.startswith(_LEGACY):
        return resolve(_read_legacy(data))
    if head[:1] == b"\x80":
        return resolve(pickles.load(data, nested=_read_nested))
    if re.match(_OLD_PICKLE, head):
        return resolve(pickles.load(data, nested=_read_nested))
    if foreign := foreign_formats.describe(head, data[-foreign_formats.TAIL :]):
        raise ValueError(f"it is {foreign}")
    if re.search(r"\.data-\d{5}-of-\d{5}$", name):
        raise ValueError(f"it is {foreign_formats.TENSORFLOW_DATA}")
    raise ValueError(
        "it is no file of PyTorch, NumPy or NVIDIA's networks (or its beginning is "
        "damaged)"
    )


def _read_legacy(data):
    """The format before PyTorch 1.6: five pickles, then the storages one by one."""
    stream = data if isinstance(data, mmap.mmap) else io.BytesIO(data)
    stream.seek(len(_LEGACY))
    pickles.load(stream)  # the protocol's version
    little = pickles.load(stream).get("little_endian", True)
    stores: dict[str, Storage] = {}
    views: list[tuple[Storage, Storage, int]] = []

    def persistent(pid):
        if pid[0] == "module":  # the class of a whole network, with its source code
            return pid[1]
        _, kind, key, _, size, view = pid
        dtype = storage_type(kind)
        base = stores.setdefault(str(key), Storage(dtype, size))
        if view is None:
            return base
        _, offset, length = view
        part = Storage(dtype, length)
        views.append((part, base, offset))
        return part

    root = pickles.load(stream, persistent)
    for key in pickles.load(stream):
        _fill(stores[str(key)], data, stream, "little" if little else "big")
    for part, base, offset in views:
        if offset < 0 or part.size < 0 or offset + part.size > base.data.size:
            raise ValueError("a storage reaches outside another")
        part.data = base.data[offset : offset + part.size]
    return root


def _fill(storage, data, stream, order):
    size, = struct.unpack("<q", stream.read(8))  # fmt: skip
    start, length = stream.tell(), size * storage.dtype.itemsize
    if size != storage.size or size < 0:
        raise ValueError(f"a storage of {storage.size} numbers has {size}")
    if start + length > len(data):
        raise ValueError("it is cut off (an unfinished download?)")
    content = np.frombuffer(data, np.uint8, length, start)
    storage.data = zip_archives.as_numbers(content, storage.dtype, order)
    stream.seek(start + length)


def _read_nested(data: bytes) -> Storage:
    if not data.startswith(_LEGACY):
        raise ValueError("a storage in an unknown format")
    storage = _read_legacy(data)
    if not isinstance(storage, Storage):
        raise ValueError("no storage where one should be")
    return storage


def write(path: str | os.PathLike, value: Any):
    """Writes a zip file that `torch.load(…, weights_only=True)` reads.

    Args:
        path: replaced only when the new file is whole.
        value: dicts, lists, tuples, scalars and arrays; what is the same array object
            shares its storage, as state dicts with aliases do.

    Raises:
        ValueError: a value that has no place in such a file.
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
    """One stored entry whose content starts at a multiple of 64 bytes, for mmap."""
    info = zipfile.ZipInfo(name)
    info.file_size = len(content)
    large = len(content) > 2**30
    start = archive.fp.tell() + 30 + len(name) + 4 + (20 if large else 0)
    padding = -start % 64
    info.extra = struct.pack("<HH", 0x4246, padding) + b"Z" * padding
    with archive.open(info, "w", force_zip64=large) as entry:
        entry.write(content)
