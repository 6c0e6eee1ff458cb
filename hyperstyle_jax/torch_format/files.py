"""Files of weights: reads PyTorch's, NumPy's and NVIDIA's, writes PyTorch's.

Works without PyTorch and runs no code of the file. Arrays are read-only views of the
mapped file: a checkpoint of 1.3 GB takes no memory until its numbers are used.
"""

import io
import math
import mmap
import os
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from hyperstyle_jax.torch_format import pickles
from hyperstyle_jax.torch_format.pickle_values import Storage, resolve
from hyperstyle_jax.torch_format.pickle_writer import Writer

_MAX_PICKLE = 2**26
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # PyTorch's magic number, pickled
_NPY = b"\x93NUMPY"
_NPY_HEADER = (
    rb"\{'descr': '(\|O|[<>|][fiub][1248])', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,12}, ?)*\d{0,12})\), ?\}\s*"
)
_NOT_WEIGHTS = (
    (rb"\s*(<!doctype|<html|<\?xml|<head)", "an HTML page (of a refused download?)"),
    (rb"version https://git-lfs", "a git-lfs pointer; fetch the file itself"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf", "a packed file; unpack it first"),
    (rb"(\x89PNG|\xff\xd8\xff)", "an image"),
    (rb"\s*[\[{\"]", "a text file"),
)


def read(path: str | os.PathLike) -> Any:
    """Everything in a file of weights as plain values.

    Args:
        path: a zip or legacy file of PyTorch, an .npy array, or a pickle (NVIDIA's
            networks, lists of arrays). The content decides, not the name.

    Returns:
        dicts, lists, scalars, read-only arrays and `pickle_values.Module`s. Equal views
        of one storage are the same array object.

    Raises:
        ValueError: the file, and why it is refused.
    """
    try:
        if os.path.getsize(path) == 0:
            raise ValueError("it is empty")
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _read(data)
    except (OSError, zipfile.BadZipFile, *pickles.DAMAGE) as error:
        if isinstance(error, OSError):
            why = error.strerror or str(error)
        else:
            why = f"it is damaged ({type(error).__name__}: {str(error):.80})"
        raise ValueError(f"cannot read {path}: {why}") from None
    except (ValueError, struct.error, zlib.error, NotImplementedError) as error:
        raise ValueError(f"cannot read {path}: {error}") from None


def _read(data):
    head = data[:512]
    for pattern, what in _NOT_WEIGHTS:
        if re.match(pattern, head, re.IGNORECASE):
            raise ValueError(f"it is {what}, not weights")
    if head.startswith(b"PK"):
        return resolve(_read_zip(data))
    if head.startswith(_NPY):
        return _read_npy(data)
    if head.startswith(_LEGACY):
        return resolve(_read_legacy(data))
    if head[:1] == b"\x80":
        return resolve(pickles.load(data, nested=_read_nested))
    raise ValueError("it is no file of PyTorch, NumPy or NVIDIA's networks")


def _read_zip(data):
    """The format since PyTorch 1.6: data.pkl, and one stored entry per storage."""
    try:
        with zipfile.ZipFile(data) as archive:
            entries = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError) as error:
        raise ValueError(f"it is a damaged or cut off zip file ({error})") from None
    _check_entries(entries, len(data))
    roots = [n[: -len("data.pkl")] for n in entries if n.endswith("/data.pkl")]
    if len(roots) != 1:
        raise ValueError("a zip file without data.pkl: not written by PyTorch")
    root = roots[0]
    order = "little"
    if f"{root}byteorder" in entries:
        order = _entry(data, entries[f"{root}byteorder"]).tobytes().decode("ascii")
    stores: dict[str, Storage] = {}

    def persistent(pid):
        _, kind, key, _, size = pid
        if key not in stores:
            dtype = pickles.storage_type(kind)
            name = f"{root}data/{key}"
            if not re.fullmatch(r"\d{1,20}", str(key)) or name not in entries:
                raise ValueError(f"no storage {key!r:.40} in the file")
            numbers = _numbers(_entry(data, entries[name]), dtype, order)
            if numbers.size < size:
                raise ValueError(f"storage {key} has {numbers.size} of {size} numbers")
            stores[key] = Storage(dtype, numbers.size, numbers)
        return stores[key]

    program = entries[f"{root}data.pkl"]
    if program.file_size > _MAX_PICKLE:
        raise ValueError(f"data.pkl of {program.file_size:,} bytes is too large")
    stream = io.BytesIO(_entry(data, program).tobytes())
    return pickles.load(stream, persistent)


def _check_entries(entries, file_size):
    for name, info in entries.items():
        if name.startswith(("/", "\\")) or ".." in name or ":" in name:
            raise ValueError(f"the entry name {name!r:.80}")
        # PyTorch stores; packed entries could unfold to any size.
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise ValueError(f"the entry {name!r:.80} is packed or encrypted")
    if sum(info.file_size for info in entries.values()) > file_size:
        raise ValueError("its entries claim more bytes than the file has")


def _entry(data, info) -> np.ndarray:
    """The bytes of a stored entry, by its own header."""
    header = data[info.header_offset : info.header_offset + 30]
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise ValueError(f"no entry {info.filename!r:.80} where it should be")
    name, extra = struct.unpack("<HH", header[26:30])
    start = info.header_offset + 30 + name + extra
    if start + info.file_size > len(data):
        raise ValueError(f"the entry {info.filename!r:.80} is cut off")
    content = np.frombuffer(data, np.uint8, info.file_size, start)
    if zlib.crc32(content) != info.CRC:
        raise ValueError(f"the checksum of {info.filename!r:.80} is wrong")
    return content


def _read_legacy(data):
    """The format before PyTorch 1.6: five pickles, then the storages one by one."""
    stream = data if isinstance(data, mmap.mmap) else io.BytesIO(data)
    stream.seek(len(_LEGACY))
    pickles.load(stream)  # the protocol's version
    little = pickles.load(stream).get("little_endian", True)
    stores: dict[str, Storage] = {}
    views: list[tuple[Storage, Storage, int]] = []

    def persistent(pid):
        _, kind, key, _, size, view = pid
        dtype = pickles.storage_type(kind)
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
        raise ValueError("it is cut off")
    content = np.frombuffer(data, np.uint8, length, start)
    storage.data = _numbers(content, storage.dtype, order)
    stream.seek(start + length)


def _read_nested(data: bytes) -> Storage:
    if not data.startswith(_LEGACY):
        raise ValueError("a storage in an unknown format")
    storage = _read_legacy(data)
    if not isinstance(storage, Storage):
        raise ValueError("no storage where one should be")
    return storage


def _numbers(content, dtype, order):
    if order not in ("little", "big"):
        raise ValueError(f"the byte order {order!r:.20}")
    numbers = content[: content.size // dtype.itemsize * dtype.itemsize].view(dtype)
    return numbers if order == "little" else numbers.byteswap()


def _read_npy(data):
    """The header is matched, not evaluated."""
    width, start = ("<H", 10) if data[6] == 1 else ("<I", 12)
    length, = struct.unpack(width, data[8:start])  # fmt: skip
    header = re.fullmatch(_NPY_HEADER, data[start : start + min(length, 4096)])
    if header is None:
        raise ValueError("its .npy header is not of a plain array")
    kind, fortran, sizes = (group.decode() for group in header.groups())
    data.seek(start + length)
    if kind == "|O":
        return resolve(pickles.load(data))
    shape, dtype = tuple(map(int, re.findall(r"\d+", sizes))), np.dtype(kind)
    count = math.prod(shape)
    if data.tell() + count * dtype.itemsize > len(data):
        raise ValueError(f"it is cut off: the shape {shape} needs more numbers")
    numbers = np.frombuffer(data, dtype, count, data.tell())
    return numbers.reshape(shape, order="F" if fortran == "True" else "C")


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            program = Writer()
            program.write(value)
            _add(archive, "archive/data.pkl", program.finish())
            _add(archive, "archive/byteorder", b"little")
            for key, array in enumerate(program.arrays):
                _add(archive, f"archive/data/{key}", _contiguous(array))
            _add(archive, "archive/version", b"3\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
