"""The latents of a procedural face by name, and the values that they are drawn with."""

import numpy as np

# Latents of the shape of a person's face, apart from all that can change in a photo.
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
# Latents of all that can change: {name: meaning and unit of its value}.
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
# The latents that mirroring the image negates.
MIRRORED = ("yaw", "roll", "gaze", "hair_parting", "light_x")


def to_parameters(latents: np.ndarray) -> dict[str, np.ndarray]:
    """Maps each Gaussian latent to a value by a smooth function of its own.

    Args:
        latents: [B, LATENT_DIM], standard normal.

    Returns:
        {name of LATENT_NAMES: [B] float32}, in units as in ATTRIBUTES.
    """
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
    """A number from -1 to 1."""
    return np.tanh(0.6 * g)


def _unit(g: np.ndarray) -> np.ndarray:
    """A number from 0 to 1, nearly uniform: almost the normal distribution function."""
    return 0.5 + 0.5 * np.tanh(0.8 * g)


def _ramp(g: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 for g below `low`, 1 above `high`, smooth between."""
    t = np.clip((g - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def mirror_signs(names: tuple[str, ...]) -> np.ndarray:
    """The factors ±1 by which mirroring the image changes these latents, [N]."""
    return np.array([-1 if name in MIRRORED else 1 for name in names], np.float32)
