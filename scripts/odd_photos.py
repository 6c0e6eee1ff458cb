"""Makes odd photos: no face, many, cut, turned, tiny, grey, CMYK, huge, broken."""

import io
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

_Rng = np.random.Generator


def odd_photos(
    portraits: Sequence[Image.Image], count: int, seed: int
) -> Iterator[tuple[str, bytes]]:
    """(name, bytes of a file) of each; the kinds take turns.

    Args:
        portraits: RGB, one face each.
    """
    rng = np.random.default_rng(seed)
    kinds = list(_KINDS.items())
    for i in range(count):
        kind, make = kinds[i % len(kinds)]
        portrait = portraits[int(rng.integers(len(portraits)))]
        ending, data = make(portrait, portraits, rng)
        yield f"{i:03}_{kind}.{ending}", data


def _encoded(image: Image.Image, kind: str = "JPEG", **options) -> tuple[str, bytes]:
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return {"JPEG": "jpg", "PNG": "png"}[kind], out.getvalue()


def _none(_, __, rng: _Rng):
    height, width = rng.integers(20, 600, 2)
    blocks = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    image = Image.fromarray(blocks).resize((int(width), int(height)))
    return _encoded(image, rng.choice(["JPEG", "PNG"]))


def _many(_, portraits, rng: _Rng):
    columns, rows, side = *rng.integers(2, 6, 2), int(rng.integers(60, 200))
    sheet = Image.new("RGB", (int(columns) * side, int(rows) * side))
    for i in range(columns * rows):
        portrait = portraits[int(rng.integers(len(portraits)))]
        place = (i % int(columns) * side, i // int(columns) * side)
        sheet.paste(portrait.resize((side, side)), place)
    return _encoded(sheet)


def _cut(portrait, _, rng: _Rng):
    width, height = portrait.size
    x, y = rng.uniform(-0.5, 0.5, 2)
    box = (max(0, x) * width, max(0, y) * height,
           (1 + min(0, x)) * width, (1 + min(0, y)) * height)  # fmt: skip
    return _encoded(portrait.crop([int(v) for v in box]))


def _turned(portrait, _, rng: _Rng):
    angle = float(rng.choice([90, 180, 270, rng.uniform(-180, 180)]))
    return _encoded(portrait.rotate(angle, expand=True))


def _tiny(portrait, _, rng: _Rng):
    side = int(rng.integers(8, 80))
    return _encoded(portrait.resize((side, side)), "PNG")


def _grey(portrait, _, rng: _Rng):
    mode = rng.choice(["L", "LA", "1"])
    return _encoded(portrait.convert("L").convert(mode), "PNG")


def _cmyk(portrait, _, __):
    return _encoded(portrait.convert("CMYK"))


def _deep(portrait, _, rng: _Rng):
    grey = np.asarray(portrait.convert("L"), np.uint16)
    noise = rng.integers(0, 256, grey.shape, np.uint16)
    return _encoded(Image.fromarray(grey * 256 + noise), "PNG")


def _huge(portrait, _, rng: _Rng):
    width, height = (int(v) for v in rng.integers(3000, 6500, 2))
    return _encoded(portrait.resize((width, height)), quality=80)


def _broken(portrait, _, rng: _Rng):
    kind = rng.choice(["JPEG", "PNG"])
    ending, data = _encoded(portrait, kind)
    how = int(rng.integers(4))
    if how == 0:
        return ending, data[: int(rng.integers(len(data)))]
    if how == 1:
        return ending, b""
    if how == 2:
        return ending, rng.bytes(5000)
    changed = bytearray(data)
    for place in rng.integers(0, len(data), 30):
        changed[place] ^= 255
    return ending, bytes(changed)


_KINDS: dict[str, Callable] = {
    "none": _none, "many": _many, "cut": _cut, "turned": _turned, "tiny": _tiny,
    "grey": _grey, "cmyk": _cmyk, "16bit": _deep, "huge": _huge, "broken": _broken,
}  # fmt: skip
