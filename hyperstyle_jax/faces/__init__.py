"""Procedural faces: (seed, index) → image, attributes and identity, at any size.

Everything in an image is a deterministic function of one Gaussian vector per
index, so the domain has known labels, an exact mirror image and no files.
"""

from typing import Any

import numpy as np

from hyperstyle_jax.faces import accessories as _accessories
from hyperstyle_jax.faces import portrait
from hyperstyle_jax.faces.noise import gaussians

# The shape of a person's face; separate from everything that can change in a photo.
IDENTITY_NAMES = (
    "face_width",
    "face_height",
    "jaw_width",
    "chin_width",
    "cheekbones",
    "eye_spacing",
    "eye_size",
    "eye_height",
    "eye_slant",
    "brow_height",
    "brow_thickness",
    "brow_arch",
    "nose_width",
    "nose_length",
    "mouth_width",
    "mouth_height",
    "lip_fullness",
    "ear_size",
)
# What an edit may change: (name, meaning of the value that `attributes` returns).
ATTRIBUTES = {
    "yaw": "degrees, positive turns towards the right of the image",
    "pitch": "degrees, positive looks up",
    "roll": "degrees, positive tilts clockwise",
    "smile": "-1 (frown) to 1 (smile)",
    "mouth_open": "0 closed to 1 open",
    "eye_open": "0 nearly closed to 1 wide open",
    "brow_raise": "-1 lowered to 1 raised",
    "gaze": "-1 left to 1 right",
    "age": "years, 15 to 85",
    "glasses": "0 none to 1 worn",
    "beard": "0 none to 1 full",
    "skin_tone": "0 light to 1 dark",
    "skin_hue": "-1 yellowish to 1 rosy",
    "eye_colour": "0 dark brown, hazel, green, blue to 1 grey",
    "hair_lightness": "0 black to 1 blond",
    "hair_redness": "-1 ashen to 1 red",
    "hair_length": "0 shaved to 1 below the shoulders",
    "hair_volume": "0 flat to 1 full",
    "hair_fringe": "0 none to 1 down to the brows",
    "hair_parting": "-1 parted left to 1 parted right",
    "makeup": "0 natural lips to 1 red lips",
    "light_x": "-1 light from the left to 1 from the right",
    "light_y": "-1 light from below to 1 from above",
    "light_contrast": "0 soft to 1 hard light",
    "background_lightness": "0 dark to 1 light",
    "background_warmth": "-1 blue to 1 orange",
    "background_green": "-1 magenta to 1 green",
    "clothes_lightness": "0 dark to 1 light",
    "clothes_warmth": "-1 blue to 1 orange",
    "clothes_green": "-1 magenta to 1 green",
}
LATENT_NAMES = IDENTITY_NAMES + tuple(ATTRIBUTES)
LATENT_DIM = len(LATENT_NAMES)
IDENTITY_DIM = len(IDENTITY_NAMES)
TRAINING_INDICES = 1_000_000  # indices below this one may be trained on
# Mirroring the image negates exactly these latents.
MIRRORED = ("yaw", "roll", "gaze", "hair_parting", "light_x")

_IDENTITY_STREAM, _ATTRIBUTE_STREAM = 1, 2


def latents(indices, seed: int = 0, identities=None) -> np.ndarray:
    """The Gaussian vector of every index.

    Args:
        indices: [B] non-negative integers, one per image.
        seed: another seed is another world of faces.
        identities: [B] integers naming the person in each image; by default every
            index is a person of their own (person i is the one of index i).

    Returns:
        [B, LATENT_DIM] float32, exactly standard normal; entry j is LATENT_NAMES[j].
    """
    indices = _integers(indices, "indices")
    people = indices if identities is None else _integers(identities, "identities")
    if people.shape != indices.shape:
        raise ValueError(
            f"identities: got {people.shape[0]}, expected one per index "
            f"({indices.shape[0]})"
        )
    shape = gaussians(seed, _IDENTITY_STREAM, people, IDENTITY_DIM)
    rest = gaussians(seed, _ATTRIBUTE_STREAM, indices, LATENT_DIM - IDENTITY_DIM)
    return np.concatenate([shape, rest], axis=1).astype(np.float32)


def attributes(latents: np.ndarray) -> dict[str, np.ndarray]:
    """Readable values of the attributes: name → [B] float32, units as in ATTRIBUTES."""
    p = _parameters(_checked(latents))
    return {name: p[name] for name in ATTRIBUTES}


def identity(latents: np.ndarray) -> np.ndarray:
    """The identity part of the latents: [B, IDENTITY_DIM], named by IDENTITY_NAMES."""
    return _checked(latents)[:, :IDENTITY_DIM]


def mirror(latents: np.ndarray) -> np.ndarray:
    """Latents of the left-right mirrored images."""
    return _checked(latents) * _signs(LATENT_NAMES)


def mirror_attributes(values: np.ndarray) -> np.ndarray:
    """Attributes [B, A] (in the order of ATTRIBUTES) of the mirrored images."""
    return values * _signs(tuple(ATTRIBUTES))


def render(latents: np.ndarray, size: int = 64, accessories=None) -> np.ndarray:
    """Draws faces.

    Args:
        latents: [B, LATENT_DIM].
        size: side of the image in pixels; the image is the same at any size.
        accessories: what `accessories.choose` returned, or None for plain faces.

    Returns:
        [B, size, size, 3] uint8.
    """
    latents = _checked(latents)
    if not 8 <= size <= 8192:
        raise ValueError(f"size: got {size}, expected 8 to 8192 pixels")
    # A few small images share every NumPy call; larger ones would leave the cache.
    chunk = max(1, 16 * 64 * 64 // size**2)
    out = np.empty((len(latents), size, size, 3), np.uint8)
    for i in range(0, len(latents), chunk):
        part = slice(i, i + chunk)
        worn = None if accessories is None else accessories[part]
        out[part] = portrait.paint(_parameters(latents[part]), size, worn)
    return out


def draw(
    indices, seed: int = 0, size: int = 64, accessories: bool = False, identities=None
) -> dict[str, Any]:
    """Images and labels of indices; a pure function of its arguments.

    Args:
        indices: [B] integers. Training uses those below 1,000,000 only.
        seed, identities: see `latents`.
        size: side of the image in pixels.
        accessories: wear things that no training image shows.

    Returns:
        `image` [B, size, size, 3] uint8, `index` and `identity` [B] int32, `latent`
        [B, LATENT_DIM], `attributes` [B, A] in the order of ATTRIBUTES, and with
        accessories their names as `accessories` (list of lists).
    """
    indices = _integers(indices, "indices")
    vectors = latents(indices, seed, identities)
    worn = _accessories.choose(indices, seed) if accessories else None
    people = indices if identities is None else _integers(identities, "identities")
    out = {
        "image": render(vectors, size, worn),
        "index": indices.astype(np.int32),
        "identity": people.astype(np.int32),
        "latent": vectors,
        "attributes": np.stack(list(attributes(vectors).values()), axis=1),
    }
    if accessories:
        out["accessories"] = [list(w.names) for w in worn]
    return out


def to_labels(drawn: dict[str, Any]) -> list[dict[str, Any]]:
    """One JSON-ready record per image of `draw`'s result."""
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


def _signs(names: tuple[str, ...]) -> np.ndarray:
    return np.array([-1 if name in MIRRORED else 1 for name in names], np.float32)


def _parameters(latents: np.ndarray) -> dict[str, np.ndarray]:
    """Every latent through its own smooth transform: name → [B] float32."""
    g = {name: latents[:, i] for i, name in enumerate(LATENT_NAMES)}
    p = {name: _signed(g[name]) for name in LATENT_NAMES}
    for name in (
        "eye_open skin_tone eye_colour hair_lightness hair_length hair_volume "
        "hair_fringe light_contrast background_lightness clothes_lightness"
    ).split():
        p[name] = _unit(g[name])
    p["yaw"] = 36.0 * np.tanh(0.45 * g["yaw"])
    p["pitch"] = 18.0 * np.tanh(0.5 * g["pitch"])
    p["roll"] = 10.0 * np.tanh(0.4 * g["roll"])
    p["age"] = 15.0 + 70.0 * _unit(g["age"])
    p["mouth_open"] = _ramp(g["mouth_open"], -0.2, 2.2)
    p["glasses"] = _ramp(g["glasses"], 0.45, 0.65)
    p["beard"] = _ramp(g["beard"], 0.3, 1.3)
    p["makeup"] = _ramp(g["makeup"], -0.5, 2.0)
    return {name: value.astype(np.float32) for name, value in p.items()}


def _signed(g: np.ndarray) -> np.ndarray:
    return np.tanh(0.6 * g)


def _unit(g: np.ndarray) -> np.ndarray:
    """Close to the normal distribution function: nearly uniform in 0 to 1."""
    return 0.5 + 0.5 * np.tanh(0.8 * g)


def _ramp(g: np.ndarray, low: float, high: float) -> np.ndarray:
    t = np.clip((g - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _integers(values, what: str) -> np.ndarray:
    values = np.atleast_1d(np.asarray(values))
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{what}: got {values.dtype} of shape {values.shape}, expected a list of "
            "whole numbers"
        )
    if values.size and (values.min() < 0 or values.max() >= 2**31):
        raise ValueError(f"{what}: expected numbers from 0 to 2147483647")
    return values.astype(np.int64)


def _checked(latents: np.ndarray) -> np.ndarray:
    latents = np.asarray(latents, np.float32)
    if latents.ndim != 2 or latents.shape[1] != LATENT_DIM:
        raise ValueError(f"latents: got {latents.shape}, expected (B, {LATENT_DIM})")
    return latents
