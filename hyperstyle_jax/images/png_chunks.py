"""Finds damaged chunks of PNG files, and removes unneeded ones before decoding.

PNG: http://www.w3.org/TR/png-3/. A program may drop a chunk that is not critical, so a
damaged or very long text costs no image.
"""

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_TEXT = 1 << 20
_MOST_PROFILE = 1 << 24
# The keywords under which programs store the orientation of the camera.
_ORIENTATION = (
    b"Raw profile type exif",
    b"Raw profile type APP1",
    b"XML:com.adobe.xmp",
)


def split(data: bytes) -> tuple[bytes, bytes | None]:
    """Splits a PNG file into what a decoder needs of it, and its colour profile.

    Args:
        data: a PNG file; the decoder gets what follows a damaged chunk unchanged.

    Returns:
        The file without the chunks that cannot change its pixels or its orientation,
        and its ICC profile.

    Raises:
        ValueError: the checksum of a critical chunk is wrong.
    """
    kept, profile, whole, end = [SIGNATURE], None, True, len(SIGNATURE)
    for kind, start, end in _chunks(data):
        body = memoryview(data)[start + 8 : end - 4]
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        valid = zlib.crc32(body, zlib.crc32(kind)) == checksum
        critical = not kind[0] & 32
        if critical and not valid and kind != b"IEND":  # its checksum protects no data
            raise ValueError(
                f"damaged (wrong checksum of {kind.decode()}); fetch or save it again"
            )
        if kind == b"iCCP" and valid:
            profile = _profile(bytes(body))
        if critical or (valid and _is_needed(kind, body)):
            kept.append(data[start:end])
        else:
            whole = False
    return (data if whole else b"".join([*kept, data[end:]])), profile


def text(data: bytes, keyword: str) -> str | None:
    """The note of a PNG file under a keyword, as `images.encode_png` writes it.

    Returns:
        None where there is none, where its checksum is wrong, or in other files.
    """
    if not data.startswith(SIGNATURE):
        return None
    for kind, start, end in _chunks(data):
        body = data[start + 8 : end - 4]
        name, _, value = body.partition(b"\0")
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if kind == b"tEXt" and name == keyword.encode("latin-1"):
            if zlib.crc32(body, zlib.crc32(kind)) == checksum:
                return value.decode("latin-1")
    return None


def hidden_color(data: bytes, color: int | tuple | bytes) -> int | tuple | bytes:
    """The transparent colour of a PNG file in the 8 bits of its decoded pixels.

    Pillow decodes 4-bit grey and 16-bit RGB to 8 bits, but not the colour of `tRNS`.
    """
    depth, kind = data[24], data[25]
    if kind == 0 and 1 < depth < 8:
        return color * 255 // (2**depth - 1)
    if kind == 2 and depth == 16:
        return tuple(level >> 8 for level in color)
    return color


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, first byte, byte after the last) of every complete chunk up to IEND."""
    start, kind = len(SIGNATURE), b""
    while start + 12 <= len(data) and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, start)
        if start + 12 + length > len(data) or not kind.isalpha():
            return
        yield kind, start, start + 12 + length
        start += 12 + length


def _is_needed(kind: bytes, body: memoryview) -> bool:
    if kind in (b"tEXt", b"zTXt", b"iTXt"):
        keyword, _, text = bytes(body[:_MOST_TEXT]).partition(b"\0")
        if keyword not in _ORIENTATION or len(body) > _MOST_TEXT:
            return False
        packed = {b"tEXt": None, b"zTXt": text[1:], b"iTXt": _packed(text)}[kind]
        return packed is None or _inflated(packed, _MOST_TEXT) is not None
    return kind in (b"tRNS", b"eXIf")  # transparency, orientation


def _packed(text: bytes) -> bytes | None:
    """The compressed part of an iTXt chunk after its keyword, if it has one."""
    if text[:1] != b"\1":
        return None
    return text[2:].partition(b"\0")[2].partition(b"\0")[2]


def _profile(body: bytes) -> bytes | None:
    return _inflated(body.partition(b"\0")[2][1:], _MOST_PROFILE)


def _inflated(packed: bytes, most: int) -> bytes | None:
    """The uncompressed data; None if it is damaged or longer than `most` bytes."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(packed, most)
    except zlib.error:
        return None
    return None if inflater.unconsumed_tail or not inflater.eof else plain
