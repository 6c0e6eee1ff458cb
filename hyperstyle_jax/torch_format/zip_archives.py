"""Reads zip archives with arrays: PyTorch's files since 1.6, and NumPy's .npz.

Nothing is unpacked to the disk, and entries may have any name, as
`2024-01-02 10:30/data.pkl`. Names that lead out of the archive are refused still.
"""

import io
import re
import struct
import zipfile
import zlib

import numpy as np

from hyperstyle_jax.torch_format import foreign_formats, npy, pickles
from hyperstyle_jax.torch_format.pickle_calls import storage_dtype
from hyperstyle_jax.torch_format.pickle_values import Storage

_MAX_PICKLE = 2**26
# Bytes of all arrays of an .npz, however small the file, and in times of its size.
_MAX_UNPACKED, _MAX_RATIO = 2**26, 32


def read(data):
    """Reads the raw content of an archive.

    Args:
        data: the mapped file.

    Returns:
        What `pickles.load` returns, or {name: array} of an .npz.

    Raises:
        ValueError: another kind of archive, or one that is damaged or hostile.
    """
    try:
        with zipfile.ZipFile(data) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OverflowError) as error:
        raise ValueError(
            f"it is a damaged or cut off zip file ({error}); an unfinished download?"
        ) from None
    entries = {info.filename: info for info in infos}
    _check_names(infos)
    roots = [n[: -len("data.pkl")] for n in entries if re.fullmatch(_PROGRAM, n)]
    if entries and all(name.endswith(".npy") for name in entries):
        return _read_npz(data, infos)
    if len(roots) > 1:
        raise ValueError(f"it has {len(roots)} data.pkl: not written by PyTorch")
    if not roots:
        raise ValueError(f"it is {foreign_formats.describe_zip(entries)}")
    if foreign_formats.is_torchscript(entries):
        # Its code is packed and stays unread: only the weights of the program count.
        infos = [i for i in infos if re.fullmatch(_WEIGHTS, i.filename)]
    _check_stored(infos, len(data))
    return _read_torch(data, entries, roots[0])


_PROGRAM = r"(?s)(.*/)?data\.pkl"
_WEIGHTS = r"(?s)(.*/)?(data\.pkl|data/\d+|byteorder|version)"


def _check_names(infos):
    """Refuses names that no writer makes: outside of the archive, or twice."""
    names = set()
    for info in infos:
        name = info.filename
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name):
            raise ValueError(f"the entry name {name!r:.80} leads out of the archive")
        if name in names:
            raise ValueError(f"the entry name {name!r:.80} occurs twice")
        names.add(name)


def _read_torch(data, entries, root):
    """Reads a file of PyTorch: data.pkl, and one stored entry for each storage."""
    order = "little"
    if f"{root}byteorder" in entries:
        order = _entry(data, entries[f"{root}byteorder"]).tobytes().decode("ascii")
    storages: dict[str, Storage] = {}

    def persistent_load(pid):
        _, storage_class, key, _, size = pid
        if key not in storages:
            dtype = storage_dtype(storage_class)
            name = f"{root}data/{key}"
            if not re.fullmatch(r"\d{1,20}", str(key)) or name not in entries:
                raise ValueError(f"no storage {key!r:.40} in the file")
            values = as_numbers(_entry(data, entries[name]), dtype, order)
            if values.size < size:
                raise ValueError(f"storage {key} has {values.size} of {size} numbers")
            storages[key] = Storage(dtype, values.size, values)
        return storages[key]

    program = entries[f"{root}data.pkl"]
    if program.file_size > _MAX_PICKLE:
        raise ValueError(f"data.pkl of {program.file_size:,} bytes is too large")
    stream = io.BytesIO(_entry(data, program).tobytes())
    return pickles.load(stream, persistent_load)


def _check_stored(infos, file_size):
    """Refuses packed entries, and sizes that the file cannot have."""
    for info in infos:
        # PyTorch never packs entries; a packed one could unfold to any size.
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise ValueError(
                f"the entry {info.filename!r:.80} is packed or encrypted, which "
                "PyTorch never does: pack the folder again without compression (zip -0)"
            )
    if sum(info.file_size for info in infos) > file_size:
        raise ValueError("its entries claim more bytes than the file has")


def _entry(data, info) -> np.ndarray:
    """The unpacked bytes of an entry, which its own header locates."""
    header = data[info.header_offset : info.header_offset + 30]
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise ValueError(f"no entry {info.filename!r:.80} where it should be")
    name, extra = struct.unpack("<HH", header[26:30])
    start = info.header_offset + 30 + name + extra
    if start + info.compress_size > len(data):
        raise ValueError(f"the entry {info.filename!r:.80} is cut off")
    content = np.frombuffer(data, np.uint8, info.compress_size, start)
    if info.compress_type == zipfile.ZIP_DEFLATED:
        unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, _limit(info))
        content = np.frombuffer(unpacked, np.uint8)
    if content.size != info.file_size or zlib.crc32(content) != info.CRC:
        raise ValueError(f"the checksum of {info.filename!r:.80} is wrong")
    return content


def _limit(info) -> int:
    """Bytes that unpacking may give; 0 would mean any number."""
    return max(info.file_size, 1)


def _read_npz(data, infos):
    """Reads {name: array}; entries may be packed, within limits."""
    size = sum(info.file_size for info in infos)
    if size > max(_MAX_UNPACKED, _MAX_RATIO * len(data)):
        raise ValueError(f"its {len(data):,} bytes would unpack to {size:,}")
    packings = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    for info in infos:
        if info.flag_bits & 1 or info.compress_type not in packings:
            raise ValueError(
                f"the entry {info.filename!r:.80} is encrypted, or packed in another "
                "way than NumPy does"
            )
    return {
        info.filename.removesuffix(".npy"): npy.read(_entry(data, info).tobytes())
        for info in infos
    }


def as_numbers(content: np.ndarray, dtype: np.dtype, order: str) -> np.ndarray:
    """Views bytes [N] uint8 as numbers of a dtype.

    Args:
        order: of the bytes, "little" or "big".

    Raises:
        ValueError: another order.
    """
    if order not in ("little", "big"):
        raise ValueError(f"the byte order {order!r:.20}")
    numbers = content[: content.size // dtype.itemsize * dtype.itemsize].view(dtype)
    return numbers if order == "little" else numbers.byteswap()
