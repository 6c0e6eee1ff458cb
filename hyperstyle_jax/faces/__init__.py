"""Procedural faces: draws an image with known labels for any seed and index.

All of an image is a deterministic function of one Gaussian vector for each index. The
domain therefore has exact labels, exact mirror images, any image size and no files.
"""

from typing import Any

import numpy as np

from hyperstyle_jax.faces import accessories as _accessories
from hyperstyle_jax.faces import portrait
from hyperstyle_jax.faces.noise import gaussians
from hyperstyle_jax.faces.parameters import (
    ATTRIBUTES,
    IDENTITY_DIM,
    IDENTITY_NAMES,
    LATENT_DIM,
    LATENT_NAMES,
    MIRRORED,
    mirror_signs,
    to_parameters,
)

TRAINING_INDICES = 1_000_000  # indices below this one may be trained on
STYLES = portrait.STYLES  # two drawings of the same faces
__all__ = [
    "ATTRIBUTES",
    "IDENTITY_DIM",
    "IDENTITY_NAMES",
    "LATENT_DIM",
    "LATENT_NAMES",
    "MIRRORED",
    "STYLES",
    "TRAINING_INDICES",
    "attributes",
    "draw",
    "identity",
    "latents",
    "mirror",
    "mirror_attributes",
    "render",
    "to_labels",
]

_IDENTITY_STREAM, _ATTRIBUTE_STREAM = 1, 2


def latents(indices, seed: int = 0, identities=None) -> np.ndarray:
    """Draws the Gaussian vector of each index.

    Args:
        indices: [B] integers, not negative, one for each image.
        seed: another seed gives other faces.
        identities: [B] integers that number the person in each image; by default each
            index is a person of its own (person i is the one of index i).

    Returns:
        [B, LATENT_DIM] float32, standard normal; entry j is LATENT_NAMES[j].

    Raises:
        ValueError: no whole numbers from 0 to 2³¹ − 1, or fewer people than indices.
    """
    indices = _integers(indices, "indices")
    people = indices if identities is None else _integers(identities, "identities")
    if people.shape != indices.shape:
        raise ValueError(
            f"identities: got {people.shape[0]}, expected one per index "
            f"({indices.shape[0]})"
        )
    identity = gaussians(seed, _IDENTITY_STREAM, people, IDENTITY_DIM)
    attributes = gaussians(seed, _ATTRIBUTE_STREAM, indices, LATENT_DIM - IDENTITY_DIM)
    return np.concatenate([identity, attributes], axis=1).astype(np.float32)


def attributes(latents: np.ndarray) -> dict[str, np.ndarray]:
    """The values of the attributes of latents [B, LATENT_DIM].

    Returns:
        {name: [B] float32}, in units as in ATTRIBUTES.
    """
    values = to_parameters(_checked(latents))
    return {name: values[name] for name in ATTRIBUTES}


def identity(latents: np.ndarray) -> np.ndarray:
    """The part of the latents that is the person: [B, IDENTITY_DIM], IDENTITY_NAMES."""
    return _checked(latents)[:, :IDENTITY_DIM]


def mirror(latents: np.ndarray) -> np.ndarray:
    """The latents [B, LATENT_DIM] of the images mirrored left to right."""
    return _checked(latents) * mirror_signs(LATENT_NAMES)


def mirror_attributes(values: np.ndarray) -> np.ndarray:
    """The attributes [B, A], in the order of ATTRIBUTES, of the mirrored images."""
    return values * mirror_signs(tuple(ATTRIBUTES))


def render(
    latents: np.ndarray, size: int = 64, accessories=None, style: str = "portrait"
) -> np.ndarray:
    """Draws the faces of latents.

    Args:
        latents: [B, LATENT_DIM].
        size: side of the image in pixels, 8 to 8192; the content does not depend on it.
        accessories: [B], what `accessories.choose` returns, or None for plain faces.
        style: one of STYLES.

    Returns:
        [B, size, size, 3] uint8.

    Raises:
        ValueError: latents of another shape, another size, or an unknown style.
    """
    latents = _checked(latents)
    if style not in STYLES:
        raise ValueError(f"style: got {style!r}, expected one of {', '.join(STYLES)}")
    if not 8 <= size <= 8192:
        raise ValueError(f"size: got {size}, expected 8 to 8192 pixels")
    # A few small images share each call of NumPy; more would not fit into the cache.
    chunk = max(1, 16 * 64 * 64 // size**2)
    images = np.empty((len(latents), size, size, 3), np.uint8)
    for i in range(0, len(latents), chunk):
        part = slice(i, i + chunk)
        worn = None if accessories is None else accessories[part]
        images[part] = portrait.paint(to_parameters(latents[part]), size, worn, style)
    return images


def draw(
    indices,
    seed: int = 0,
    size: int = 64,
    accessories: bool = False,
    identities=None,
    style: str = "portrait",
) -> dict[str, Any]:
    """Draws images with their labels; a pure function of its arguments.

    Args:
        indices: [B] integers. Training uses only those below 1,000,000.
        seed, identities: as in `latents`.
        size: side of the image in pixels.
        accessories: draw things that no training image shows.
        style: one of STYLES; all but the image is the same in each.

    Returns:
        `image` [B, size, size, 3] uint8, `index` and `identity` [B] int32, `latent`
        [B, LATENT_DIM], `attributes` [B, A] in the order of ATTRIBUTES, and with
        accessories their names as `accessories` (list of lists).

    Raises:
        ValueError: as in `latents` and `render`.
    """
    indices = _integers(indices, "indices")
    vectors = latents(indices, seed, identities)
    worn = _accessories.choose(indices, seed) if accessories else None
    people = indices if identities is None else _integers(identities, "identities")
    drawn: dict[str, Any] = {
        "image": render(vectors, size, worn, style),
        "index": indices.astype(np.int32),
        "identity": people.astype(np.int32),
        "latent": vectors,
        "attributes": np.stack(list(attributes(vectors).values()), axis=1),
    }
    if worn is not None:
        drawn["accessories"] = [list(w.names) for w in worn]
    return drawn


def to_labels(drawn: dict[str, Any]) -> list[dict[str, Any]]:
    """Turns the result of `draw` into one record for each image, ready for JSON."""
    records = []
    for i, index in enumerate(drawn["index"]):
        values = zip(ATTRIBUTES, drawn["attributes"][i], strict=True)
        record = {
            "index": int(index),
            "identity": int(drawn["identity"][i]),
            "attributes": {name: round(float(value), 4) for name, value in values},
            "latent": [round(float(value), 6) for value in drawn["latent"][i]],
        }
        if "accessories" in drawn:
            record["accessories"] = drawn["accessories"][i]
        records.append(record)
    return records


def _integers(values, name: str) -> np.ndarray:
    values = np.atleast_1d(np.asarray(values))
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{name}: got {values.dtype} of shape {values.shape}, expected a list of "
            "whole numbers"
        )
    if values.size and (values.min() < 0 or values.max() >= 2**31):
        raise ValueError(f"{name}: expected numbers from 0 to 2147483647")
    return values.astype(np.int64)


def _checked(latents: np.ndarray) -> np.ndarray:
    latents = np.asarray(latents, np.float32)
    if latents.ndim != 2 or latents.shape[1] != LATENT_DIM:
        raise ValueError(f"latents: got {latents.shape}, expected (B, {LATENT_DIM})")
    return latents
