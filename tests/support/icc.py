"""Small ICC profiles for tests, as cameras, printers and scanners attach them."""

import itertools
import struct

_DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189),
               (0.15710, 0.06657, 0.78407))  # fmt: skip
_SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708),
         (0.14307, 0.06061, 0.71410))  # fmt: skip
_D50 = (0.9642, 1.0, 0.8249)


def display_p3() -> bytes:
    return _rgb(_DISPLAY_P3)


def srgb() -> bytes:
    """Like sRGB, but not the bytes of lcms's own profile."""
    return _rgb(_SRGB)


def grey(gamma: float) -> bytes:
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    return _profile(b"scnr", b"GRAY", b"XYZ ", {b"wtpt": _xyz(_D50), b"kTRC": curve})


def cmyk() -> bytes:
    """A printer whose every ink makes paper darker, and cyan red."""
    table = b""
    for c, m, y, k in itertools.product((0, 1), repeat=4):
        light = 100 - 20 * (c + m + y) - 35 * k
        table += bytes([round(light * 2.55), 128 + 60 * c - 20 * m, 128 + 30 * y])
    identity = bytes(range(256))
    matrix = b"".join(map(_fixed, (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix
    lut += identity * 4 + table + identity * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": _xyz(_D50), b"A2B0": lut})


def _rgb(primaries) -> bytes:
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    curve = b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + b"".join(map(_fixed, numbers))
    tags = {b"wtpt": _xyz(_D50)}
    for channel, primary in zip(b"rgb", primaries, strict=True):
        tags |= {bytes([channel]) + b"XYZ": _xyz(primary)}
        tags |= {bytes([channel]) + b"TRC": curve}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def _profile(kind: bytes, space: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    start = 128 + 4 + 12 * len(tags)
    index, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        index += name + struct.pack(">II", start + len(body), len(data))
        body += data.ljust(-(-len(data) // 4) * 4, b"\0")
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x04200000, kind, space,
                         pcs)  # fmt: skip
    header = header.ljust(36, b"\0") + b"acsp"
    header = header.ljust(68, b"\0") + b"".join(map(_fixed, _D50))
    return header.ljust(128, b"\0") + index + body


def _xyz(values) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))
