"""Draws eyes, brows and glasses in face coordinates."""

import numpy as np

from hyperstyle_jax.faces import materials
from hyperstyle_jax.faces.canvas import bump, edge, lerp


def eye_place(p):
    """The centre (u, v) of the eye on the side of positive u, each [B, 1, 1]."""
    return 0.315 * (1 + 0.10 * p["eye_spacing"]), -0.03 + 0.03 * p["eye_height"]


def eye(canvas, face, p, colours, side: int) -> None:
    """Draws socket, white, iris, pupil, glint, lashes and crease of one eye."""
    cu, cv = eye_place(p)
    size = 1 + 0.15 * p["eye_size"]
    half = 0.165 * size
    window = face.window(side * cu, cv, 0.29, 0.22)
    u, v, on_head = face.at(window)
    outward, downward = side * u - cu, v - cv
    downward = downward + 0.16 * p["eye_slant"] * outward
    opening = lerp(np.float32(0.30), np.float32(1.1), p["eye_open"])
    squint = 1 - 0.22 * np.clip(p["smile"], 0, 1)
    t2 = np.clip((outward / half) ** 2, 0, 2)
    taper = 1 - t2
    upper = 0.098 * size * opening * taper
    lower = 0.058 * size * (0.5 + 0.5 * opening) * squint * taper
    socket = bump((outward / 0.27) ** 2 + ((downward + 0.02) / 0.19) ** 2)
    canvas.shade(-0.24 * socket * on_head, window)
    white = (
        edge(np.maximum(-upper - downward, downward - lower), face.px)
        * (t2 < 1.95)
        * on_head
    )
    bright = 1 + 0.6 * face.lit[:, window[0], window[1]]
    canvas.fill(white, materials.rgb(0.97, 0.965, 0.96) * bright[:, None], window)
    radius = 0.086 * (1 + 0.10 * p["eye_size"])
    iris_u = side * u - cu - side * 0.05 * p["gaze"]
    r2 = iris_u**2 + (downward + 0.012) ** 2
    r = np.sqrt(r2)
    iris = white * edge(r - radius, face.px)
    ring = 0.62 + 0.55 * bump(r2 / radius**2 * 0.7)
    canvas.fill(iris, colours["iris"] * ring[:, None], window)
    canvas.fill(
        white * edge(r - 0.46 * radius, face.px),
        materials.rgb(0.04, 0.03, 0.03),
        window,
    )
    lid_shadow = bump(((downward + upper) / 0.06) ** 2)
    canvas.shade(-0.35 * white * lid_shadow, window)
    lx, _, _ = materials.light(p)
    glint_u = iris_u - side * 0.035 * np.sign(lx) * np.clip(np.abs(lx) * 8, 0, 1)
    glint = edge(np.sqrt(glint_u**2 + (downward + 0.05) ** 2) - 0.026, face.px)
    canvas.fill(0.95 * white * glint, materials.rgb(1, 1, 1), window)
    lash = np.abs(downward + upper + 0.008) - (0.012 + 0.012 * np.clip(taper, 0, 1))
    lashes = edge(lash, face.px) * (t2 < 1.12) * on_head
    canvas.fill(0.85 * lashes, colours["brows"] * np.float32(0.35), window)
    crease = bump(((downward + 1.25 * upper + 0.055) / 0.024) ** 2) * np.clip(
        1.1 - t2, 0, 1
    )
    canvas.shade(-0.26 * crease * on_head, window)


def brow(canvas, face, p, colours, side: int) -> None:
    """Draws the brow on one side, -1 or 1."""
    cu, cv = eye_place(p)
    cv = cv - 0.215 - 0.025 * p["brow_height"] - 0.045 * p["brow_raise"]
    window = face.window(side * cu, cv, 0.30, 0.16)
    u, v, on_head = face.at(window)
    t = (side * u - cu) / 0.23
    arch = cv - (0.035 + 0.03 * p["brow_arch"]) * (1 - (t - 0.2) ** 2)
    arch = arch + 0.025 * p["brow_raise"] * t
    thick = (
        0.034
        * (1 + 0.38 * p["brow_thickness"])
        * np.clip(1.05 - 0.3 * t - 0.75 * t**4, 0, 1)
    )
    mask = edge(np.abs(v - arch) - thick, face.px * 1.2) * (np.abs(t) < 1) * on_head
    canvas.fill(0.88 * mask * np.clip(thick / 0.01, 0, 1), colours["brows"], window)


def glasses(canvas, face, p) -> None:
    """Draws the glasses of the images whose faces wear some."""
    cu, cv = eye_place(p)
    worn = p["glasses"]
    if not np.any(worn > 0):
        return
    frame = materials.rgb(0.10, 0.09, 0.10)
    half_u, half_v, line = np.float32(0.225), np.float32(0.175), np.float32(0.022)
    for side in (-1, 1):
        window = face.window(side * cu, cv + 0.02, 0.33, 0.28)
        u, v, on_head = face.at(window)
        x, y = np.abs(side * u - cu) / half_u, np.abs(v - cv - 0.02) / half_v
        r = np.sqrt(np.sqrt(x**4 + y**4 + 1e-8))
        d = (r - 1) * 0.19
        glass = edge(d, face.px) * on_head * worn
        canvas.fill(0.10 * glass, materials.rgb(0.75, 0.85, 0.95), window)
        glare = bump(((side * u + v * 0.7 - cu + 0.08) / 0.06) ** 2)
        canvas.fill(0.22 * glass * glare, materials.rgb(1, 1, 1), window)
        rim = edge(np.abs(d) - line, face.px) * on_head * worn
        canvas.fill(0.92 * rim, frame, window)
    window = face.window(0.0, cv, 1.2, 0.45)  # the arms reach both sides
    u, v, on_head = face.at(window)
    side = np.abs(u)
    bridge = np.maximum(
        np.abs(v - cv + 0.03 - 0.3 * u * u) - 0.02, side - (cu - half_u)
    )
    arm = np.maximum(np.abs(v - cv + 0.02) - 0.02, cu + half_u - side)
    mask = edge(np.minimum(bridge, arm), face.px) * on_head * worn
    canvas.fill(0.92 * mask, frame, window)
