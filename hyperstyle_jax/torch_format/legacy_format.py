"""Reads PyTorch's format before 1.6: five pickles, then the storages one by one."""

import io
import mmap
import struct
from typing import Any

import numpy as np

from hyperstyle_jax.torch_format import pickles, zip_archives
from hyperstyle_jax.torch_format.pickle_calls import storage_dtype
from hyperstyle_jax.torch_format.pickle_values import Storage

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # PyTorch's number, pickled


def read(data) -> Any:
    """Reads the raw objects of a file, to be given to `resolving.resolve`.

    Args:
        data: the file, mapped or as bytes; arrays will be views of it.

    Raises:
        ValueError: a damaged file.
    """
    stream = data if isinstance(data, mmap.mmap) else io.BytesIO(data)
    stream.seek(len(MAGIC))
    pickles.load(stream)  # the protocol's version
    little = pickles.load(stream).get("little_endian", True)
    storages: dict[str, Storage] = {}
    views: list[tuple[Storage, Storage, int]] = []

    def persistent_load(pid):
        if pid[0] == "module":  # the class of a whole network, with its source code
            return pid[1]
        _, storage_class, key, _, size, view = pid
        dtype = storage_dtype(storage_class)
        base = storages.setdefault(str(key), Storage(dtype, size))
        if view is None:
            return base
        _, offset, length = view
        part = Storage(dtype, length)
        views.append((part, base, offset))
        return part

    root = pickles.load(stream, persistent_load)
    for key in pickles.load(stream):
        _fill(storages[str(key)], data, stream, "little" if little else "big")
    for part, base, offset in views:
        if offset < 0 or part.size < 0 or offset + part.size > base.data.size:
            raise ValueError("a storage reaches outside another")
        part.data = base.data[offset : offset + part.size]
    return root


def _fill(storage, data, stream, order):
    """Reads the numbers of the storage at which `stream` stands."""
    size, = struct.unpack("<q", stream.read(8))  # fmt: skip
    start, length = stream.tell(), size * storage.dtype.itemsize
    if size != storage.size or size < 0:
        raise ValueError(f"a storage of {storage.size} numbers has {size}")
    if start + length > len(data):
        raise ValueError("it is cut off (an unfinished download?)")
    content = np.frombuffer(data, np.uint8, length, start)
    storage.data = zip_archives.as_numbers(content, storage.dtype, order)
    stream.seek(start + length)


def read_storage(data: bytes) -> Storage:
    """Reads a file that holds one storage, as NVIDIA's pickles contain them.

    Raises:
        ValueError: another format, or another content.
    """
    if not data.startswith(MAGIC):
        raise ValueError("a storage in an unknown format")
    storage = read(data)
    if not isinstance(storage, Storage):
        raise ValueError("no storage where one should be")
    return storage
