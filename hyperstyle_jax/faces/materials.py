"""The colours of a portrait's skin, hair, eyes and clothes, and its light."""

import numpy as np

from hyperstyle_jax.faces.canvas import lerp, palette, smoothstep

SKIN = (
    (255, 226, 204),
    (246, 205, 175),
    (229, 178, 142),
    (198, 140, 102),
    (150, 96, 66),
    (96, 60, 44),
)
HAIR = ((28, 24, 26), (62, 42, 32), (110, 74, 46), (166, 122, 72), (226, 190, 128))
EYES = ((66, 40, 24), (112, 72, 36), (92, 116, 64), (70, 120, 176), (140, 156, 170))


def colours(p) -> dict[str, np.ndarray]:
    """The colour of each material.

    Args:
        p: {name of a latent: value [B, 1, 1]}.

    Returns:
        {material: [B, 3, 1, 1]}, from 0 to 1.
    """
    skin = palette(SKIN, p["skin_tone"])
    hue = rgb(0.02, -0.02, -0.005)
    skin = skin * (1 + hue * p["skin_hue"][:, None] * 1.5)
    hair = palette(HAIR, p["hair_lightness"])
    red = rgb(0.16, -0.06, -0.18)
    hair = hair * (1 + red * p["hair_redness"][:, None])
    grey = rgb(0.80, 0.80, 0.81)
    age = smoothstep(45.0, 80.0, p["age"])[:, None]
    hair = lerp(hair, grey, 0.9 * age)
    natural = skin * rgb(0.88, 0.62, 0.60)
    red_lips = rgb(0.76, 0.12, 0.20)
    return {
        "skin": skin,
        "hair": hair,
        "brows": lerp(hair * 0.62, skin * 0.5, 0.25),
        "lips": lerp(natural, red_lips, 0.8 * p["makeup"][:, None]),
        "iris": palette(EYES, p["eye_colour"]),
        "background": _tint(p, "background", 0.22, 0.88),
        "clothes": _tint(p, "clothes", 0.12, 0.85),
    }


def light(p):
    """The unit vector towards the light: x, y and z, each [B, 1, 1]."""
    lx, ly = 0.75 * p["light_x"], -0.28 - 0.45 * p["light_y"]
    lz = np.float32(0.85)
    norm = np.sqrt(lx * lx + ly * ly + lz * lz)
    return lx / norm, ly / norm, lz / norm


def rgb(r: float, g: float, b: float) -> np.ndarray:
    """One colour for all images, [1, 3, 1, 1]."""
    return np.array([r, g, b], np.float32)[None, :, None, None]


def _tint(p, material: str, dark: float, light: float) -> np.ndarray:
    level = lerp(np.float32(dark), np.float32(light), p[f"{material}_lightness"])[
        :, None
    ]
    warm, green = p[f"{material}_warmth"][:, None], p[f"{material}_green"][:, None]
    axes = np.array([[0.5, 0.05, -0.5], [-0.28, 0.3, -0.12]], np.float32)
    tint = axes[0][None, :, None, None] * warm + axes[1][None, :, None, None] * green
    return np.clip(level * (1 + 0.6 * tint), 0, 1)
