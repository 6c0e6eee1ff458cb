"""PNG files built chunk by chunk, for what no library writes."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes, damage: int = 0) -> bytes:
    """A chunk; `damage` is added to its checksum."""
    checksum = (zlib.crc32(kind + data) + damage) % 2**32
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def file(width: int, rows: list[bytes], depth: int, kind: int, hidden: bytes) -> bytes:
    """A file of packed rows.

    Args:
        depth: bits of a number. kind: 0 for grey, 2 for RGB. hidden: the chunk `tRNS`.
    """
    header = struct.pack(">IIBBBBB", width, len(rows), depth, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = chunk(b"IHDR", header) + chunk(b"tRNS", hidden) + chunk(b"IDAT", pixels)
    return SIGNATURE + chunks + chunk(b"IEND", b"")


def insert(data: bytes, *chunks: bytes) -> bytes:
    """Puts chunks behind the header of a file."""
    return data[:33] + b"".join(chunks) + data[33:]
