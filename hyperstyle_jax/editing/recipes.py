"""A recipe says how a picture was made of an inversion, and makes it again.

It is JSON that holds the inversion itself, so it needs the bundle and no other file. A
PNG can carry it as a note.
"""

import base64
import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.editing import looks
from hyperstyle_jax.editing.looks import Look, Mix
from hyperstyle_jax.images import png_chunks
from hyperstyle_jax.inversion import storage
from hyperstyle_jax.inversion.hyperstyle import Refinement
from hyperstyle_jax.offsets import Inversion, synthesize
from hyperstyle_jax.weights.bundle import Bundle

KEYWORD = "hyperstyle_jax recipe"
_FORMAT = f"{KEYWORD} 1"
_MOST_BYTES = 256 << 20  # most of it may be weights of its own


class Recipe(NamedTuple):
    """What a picture was made of.

    Attributes:
        inversion: the content of the `.npz` file before any change.
        look: what was done to it.
        notes: further facts for people, as JSON values: method, photo, drags.
    """

    inversion: bytes
    look: Look
    notes: Mapping[str, Any] = {}


def to_json(recipe: Recipe) -> str:
    """The recipe as JSON of plain Latin letters."""
    look = recipe.look
    content = {
        "format": _FORMAT,
        "edits": list(look.edits),
        "keep": list(look.keep),
        "mix": look.mix and look.mix._asdict(),
        "notes": dict(recipe.notes),
        "moved": _packed(look.moved),
        "mask": _packed(look.mask),
        "inversion": base64.b64encode(recipe.inversion).decode(),
    }
    return json.dumps(content, indent=1)


def encode_png(recipe: Recipe, image: np.ndarray) -> bytes:
    """A picture [H, W, 3] as the bytes of a PNG that carries its recipe."""
    return images.encode_png(image, {KEYWORD: to_json(recipe)})


def read(file: str | Path | bytes, name: str = "recipe") -> Recipe | None:
    """Reads a recipe from JSON, or from the note in a PNG.

    Args:
        file: a path, or the bytes of a file with its `name`.

    Returns:
        None for a PNG without a recipe.

    Raises:
        ValueError: neither of them, or a damaged recipe.
    """
    file, name = images.named_bytes(file, name)
    try:
        if len(file) > _MOST_BYTES:
            raise ValueError(f"{len(file)} bytes are too many")
        if not file.startswith(png_chunks.SIGNATURE):
            return _from_json(file.decode("utf-8-sig"))
        text = png_chunks.text(file, KEYWORD)
        return None if text is None else _from_json(text)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        why = "" if isinstance(error, UnicodeDecodeError) else f" ({error})"
        raise ValueError(
            f"{name} is no recipe that can be read{why}: expected the JSON or PNG that "
            "`hyperstyle app` saved"
        ) from error


def restore(model: Bundle, recipe: Recipe) -> Inversion:
    """The inversion before any change; the look is checked too.

    Raises:
        ValueError: damaged, or made with another bundle.
    """
    looks.check(model, recipe.look)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.npz"
        path.write_bytes(recipe.inversion)
        try:
            return storage.restore(model, [storage.load(path)])
        except ValueError as error:
            raise ValueError(str(error).replace(f"{path}", "the recipe")) from None


def draw(model: Bundle, recipe: Recipe) -> np.ndarray:
    """Makes the picture again, [R, R, 3] uint8.

    Raises:
        ValueError: as of `restore`.
    """
    (generator,) = model.require("generator")
    inversion = restore(model, recipe)
    after = looks.apply(model, inversion, recipe.look)
    pair = [_drawn(generator, inversion), _drawn(generator, after)]
    return looks.within(recipe.look.mask, *pair)


def npz(inverted: Inversion | Refinement, bundle: Bundle) -> bytes:
    """The content of the file that `storage.save` writes of an inversion's image 0."""
    with tempfile.TemporaryDirectory() as folder:
        return storage.save(Path(folder) / "one.npz", inverted, 0, bundle).read_bytes()


def _drawn(generator, inversion) -> np.ndarray:
    return images.to_uint8(np.asarray(_render(generator, inversion)[0]))


_render = jax.jit(synthesize)


def _from_json(text: str) -> Recipe:
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f"it does not begin with the format {_FORMAT!r}")
    names = [content[key] for key in ("edits", "keep")]
    if not all(isinstance(n, list) and all(isinstance(t, str) for t in n)
               for n in names):  # fmt: skip
        raise ValueError("its edits are no list of texts")
    if not isinstance(content["notes"], dict):
        raise ValueError("its notes have no names")
    mix = content["mix"]
    look = Look(
        tuple(names[0]),
        tuple(names[1]),
        mix and Mix(_whole(mix["seed"]), _whole(mix["above"])),
        _unpacked(content["moved"], "floats"),
        _unpacked(content["mask"], "bits"),
    )
    inversion = base64.b64decode(content["inversion"], validate=True)
    return Recipe(inversion, look, content["notes"])


def _whole(value) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no whole number")
    return value


def _packed(array: np.ndarray | None) -> dict[str, Any] | None:
    """An array of bool or float32 as its shape and its bytes; bools as bits."""
    if array is None:
        return None
    flat = np.packbits(array) if array.dtype == bool else np.float32(array)
    values = base64.b64encode(flat.astype(flat.dtype.newbyteorder("<")).tobytes())
    return {"shape": list(array.shape), "values": values.decode()}


def _unpacked(content: Mapping[str, Any] | None, dtype: str) -> np.ndarray | None:
    if content is None:
        return None
    shape = tuple(_whole(side) for side in content["shape"])
    data = base64.b64decode(content["values"], validate=True)
    if dtype == "bits":
        array = np.unpackbits(np.frombuffer(data, np.uint8), count=math.prod(shape))
        return array.reshape(shape).astype(bool)
    array = np.frombuffer(data, "<f4").astype(np.float32).reshape(shape)
    if not np.isfinite(array).all():
        raise ValueError("an array of it holds no finite numbers")
    return array
