"""Draws the hair behind the head and on it."""

import numpy as np

from hyperstyle_jax.faces import materials
from hyperstyle_jax.faces.canvas import bump, edge, lerp, smooth_max, smoothstep


def behind(canvas, face, p, colours) -> None:
    """Draws the hair around the head, a cap that falls as far as the hair is long."""
    volume, length = p["hair_volume"], p["hair_length"]
    amount = _amount(p)
    a = face.half_width * (0.96 + (0.08 + 0.16 * volume) * amount)
    b = face.half_height * (0.96 + (0.07 + 0.15 * volume) * amount)
    x, y = face.x / a, face.y / b
    r = np.sqrt(x * x + np.minimum(y, 0) ** 2) + 1e-6
    falling = smoothstep(0.35, 0.9, length)
    flare = 1 + (0.10 + 0.10 * volume) * falling * smoothstep(0.0, 1.0, y)
    flare = flare - 0.10 * (1 - falling) * smoothstep(0.0, 0.5, y)
    side = (r - flare) * a
    end = lerp(np.float32(-0.05), np.float32(1.0), smoothstep(0.05, 1.0, length))
    end = end + 0.10 * falling * bump(((np.abs(x) - 0.95) / 0.6) ** 2)
    mask = edge(smooth_max(side, face.y - end, np.float32(0.18)), canvas.px)
    face.hair = mask * np.clip(amount * 3, 0, 1)
    canvas.fill(face.hair, _colour(face, p, colours, back=True), outlined=True)


def front(canvas, face, p, colours) -> None:
    """Draws the hair above the hairline and down the temples."""
    amount, length = _amount(p), p["hair_length"]
    window = canvas.window(
        *face.place(0.07 * face.turn[1], 0.0),
        face.half_width + 0.12 + np.abs(0.6 * face.tilt[1]),
        face.half_height + 0.08,
    )
    cut = (slice(None), *window)
    u, v = face.u[cut], face.v[cut]
    mask = np.maximum(face.mask[cut], face.hair[cut] * face.rim[cut])
    old = smoothstep(55.0, 85.0, p["age"])
    fringe = smoothstep(0.25, 1.0, p["hair_fringe"])
    top = -0.62 + 0.30 * fringe - 0.07 * old
    part = 0.30 * p["hair_parting"]
    open_ = (0.05 + 0.16 * fringe) * bump(((u - part) / 0.30) ** 2)
    temples = np.clip(np.abs(u) / 0.72, 0, 1.2)
    drop = (0.42 + 0.75 * smoothstep(0.2, 0.8, length)) * temples**4
    slant = 0.10 * p["hair_parting"] * -u
    line = top - open_ + drop + slant
    coverage = edge((v - line) * 0.8, face.px * 1.3)
    shadow = bump(np.clip((v - line) / 0.14, -0.2, 1) ** 2) * (1 - coverage)
    canvas.shade(-0.22 * amount * mask * shadow, window)
    coverage = coverage * mask * lerp(np.float32(0.16), np.float32(1.0), amount)
    colour = _colour(face, p, colours, window=window)
    canvas.fill(coverage, colour, window)


def _amount(p):
    return smoothstep(0.04, 0.14, p["hair_length"])


def _colour(face, p, colours, back: bool = False, window=None):
    """The colour of hair with a band of light and a few broad strands, [B, 3, h, w]."""
    cut = (slice(None),) + (window or (slice(None), slice(None)))
    nx, ny = face.nx[cut], face.ny[cut]
    lx, ly, _ = materials.light(p)
    facing = nx * lx + ny * ly
    strand_angle = nx / (0.55 + 0.45 * np.clip(-ny, 0, 1))
    strands = np.cos(17.0 * strand_angle + 5.0 * p["hair_parting"]) * 0.04
    band = 0.32 * bump(((facing - 0.62) / 0.42) ** 2)
    level = 0.86 + 0.22 * facing + band + strands
    if back:
        level = level * (1 - 0.35 * smoothstep(0.0, 0.9, ny))
    return colours["hair"] * np.clip(level, 0.3, 1.6)[:, None]
