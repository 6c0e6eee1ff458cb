"""Draws cheeks, wrinkles, beard, mouth and nose on the surface of the head."""

import numpy as np

from hyperstyle_jax.faces import materials
from hyperstyle_jax.faces.canvas import bump, edge, lerp, smoothstep
from hyperstyle_jax.faces.eyes import eye_place
from hyperstyle_jax.faces.head import ASPECT


def cheeks(canvas, face, p, colours) -> None:
    """Draws blush and light on the cheeks, which rise with a smile."""
    lift = 0.05 * np.clip(p["smile"], 0, 1)
    blush = colours["skin"] * materials.rgb(1.0, 0.72, 0.68)
    for side in (-1, 1):
        cu, cv = side * np.float32(0.40), 0.26 - lift
        window = face.window(cu, cv, 0.27, 0.22)
        u, v, mask = face.at(window)
        spot = bump(((u - cu) / 0.26) ** 2 + ((v - cv) / 0.2) ** 2)
        strength = 0.20 + 0.14 * p["skin_hue"] + 0.10 * p["smile"]
        canvas.fill(mask * spot * strength * (1 - 0.5 * p["skin_tone"]), blush, window)
        glow = 0.05 + 0.05 * p["cheekbones"] + 0.07 * np.clip(p["smile"], 0, 1)
        _spot(canvas, face, side * 0.37, 0.17 - lift, 0.2, 0.14, glow)


def wrinkles(canvas, face, p) -> None:
    """Draws the lines of age and smile: forehead, nose to mouth, under the eyes."""
    old = smoothstep(38.0, 80.0, p["age"])
    for k in range(3):
        v0 = -0.40 - 0.085 * k - 0.02 * p["brow_raise"]
        window = face.window(0.0, v0, 0.36, 0.05)
        u, v, mask = face.at(window)
        line = bump((u / 0.36) ** 2) * bump(((v - v0 - 0.15 * u * u) / 0.028) ** 2)
        canvas.shade(-0.30 * old * mask * line, window)
    smile = np.clip(p["smile"], 0, 1)
    depth = 0.36 * old + 0.14 * smile
    mouth = _mouth_shape(p)
    for side in (-1, 1):
        for cu, cv, ru, rv, lean, k in (
            (0.25, mouth["v"] - 0.09, 0.05, 0.20, 0.45, 1.0),  # from nose to mouth
            (eye_place(p)[0], eye_place(p)[1] + 0.15, 0.15, 0.05, 0.0, 0.7 * old),
        ):
            window = face.window(side * cu, cv, 0.2, 0.24)
            u, v, mask = face.at(window)
            du, dv = side * u - cu, v - cv
            du = du - lean * dv
            canvas.shade(
                -depth * k * mask * bump((du / ru) ** 2 + (dv / rv) ** 2), window
            )


def beard(canvas, face, p, colours) -> None:
    """Draws beard and moustache."""
    m = _mouth_shape(p)
    window = face.window(0.0, np.float32(0.5), 1.2, 0.9)
    u, v, on_head = face.at(window)
    r = np.sqrt((u / 0.56) ** 2 + ((v - 0.10) / 0.50) ** 2)
    jaw = smoothstep(0.86, 1.12, r) * smoothstep(-0.12, 0.22, v)
    around = 1 - bump(
        0.5 * (u / m["half"]) ** 2 + 0.5 * ((v - m["v"] - 0.05) / 0.2) ** 2
    )
    lip = m["v"] - 0.085 + 0.25 * u * u
    moustache = bump(((v - lip) / 0.062) ** 2) * bump((u / 0.30) ** 2 * 0.8) * 1.5
    hairy = np.clip(np.maximum(jaw * around, moustache), 0, 1)
    colour = lerp(colours["hair"] * 0.72, colours["skin"] * 0.5, 0.15)
    canvas.fill(0.88 * p["beard"] * hairy * on_head, colour, window)
    canvas.shade(
        p["beard"] * hairy * on_head * 0.7 * face.lit[:, window[0], window[1]], window
    )


def mouth(canvas, face, p, colours) -> None:
    """Draws lips, the open mouth with tongue and teeth, and the line between lips."""
    m = _mouth_shape(p)
    window = face.window(0.0, m["v"] + 0.06, 0.36, 0.30)
    u, v, on_head = face.at(window)
    t2 = np.clip((u / m["half"]) ** 2, 0, 1.5)
    taper = 1 - t2
    line = m["v"] + m["curve"] * (0.55 - 1.5 * t2)
    bow = 1 - 0.30 * bump((u / 0.05) ** 2)
    top = line - m["upper"] * taper * bow
    bottom = line + (m["open"] + m["lower"]) * taper
    lower = line + m["open"] * taper
    lips = edge(np.maximum(top - v, v - bottom), face.px) * on_head * (t2 < 1)
    canvas.fill(lips, colours["lips"], window)
    canvas.shade(lips * face.lit[:, window[0], window[1]], window)
    gloss = bump((u / 0.12) ** 2 + ((v - lower - 0.55 * m["lower"]) / 0.035) ** 2)
    canvas.shade(lips * (0.20 * gloss - 0.12 * (v < line)), window)
    inside = edge(np.maximum(line - v, v - lower), face.px) * on_head * (t2 < 1)
    inside = inside * np.clip(m["open"] * taper / face.px, 0, 1)
    canvas.fill(inside, materials.rgb(0.28, 0.07, 0.09), window)
    tongue = bump((u / 0.14) ** 2 + ((v - lower) / 0.09) ** 2)
    canvas.fill(inside * tongue, materials.rgb(0.78, 0.36, 0.36), window)
    show = np.clip(0.35 + 0.5 * p["smile"], 0, 1)
    teeth = inside * edge(v - line - 0.42 * m["open"] * taper, face.px) * show
    canvas.fill(teeth, materials.rgb(0.96, 0.95, 0.92), window)
    closed = np.abs(v - line) - 0.014 * np.sqrt(np.clip(taper, 0, 1))
    seam = edge(closed, face.px) * on_head * (t2 < 1.0) * 0.65
    canvas.fill(seam * (1 - inside), colours["lips"] * np.float32(0.42), window)
    _spot(canvas, face, 0.0, m["v"] + m["open"] + 0.15, 0.16, 0.05, np.float32(-0.16))


def _mouth_shape(p) -> dict[str, np.ndarray]:
    return {
        "half": 0.235 * (1 + 0.16 * p["mouth_width"]) * (1 + 0.16 * p["smile"]),
        "v": 0.495 + 0.035 * p["mouth_height"] + 0.01 * p["nose_length"],
        "curve": 0.095 * p["smile"] + 0.012,
        "open": 0.19 * p["mouth_open"],
        "upper": 0.052 * (1 + 0.38 * p["lip_fullness"]),
        "lower": 0.070 * (1 + 0.38 * p["lip_fullness"]),
    }


def nose(canvas, face, p) -> None:
    """Draws the nose in the image's plane, since its tip stands out from the head."""
    tip_v = 0.235 + 0.05 * p["nose_length"]
    width = 0.105 * (1 + 0.22 * p["nose_width"])
    top = face.project(np.float32(0), np.float32(-0.06))
    tip = face.project(np.float32(0), tip_v, 1.13)
    window = face.window(0.0, tip_v - 0.1, 0.42, 0.42, 1.05)
    cut = (slice(None), *window)
    x, y, mask = face.nx[cut] * ASPECT, face.ny[cut], face.mask[cut]
    x0, y0, x1, y1 = top[0] * ASPECT, top[1], tip[0] * ASPECT, tip[1]
    h = np.clip((y - y0) / (y1 - y0), 0, 1)
    axis = lerp(x0, x1, h)
    q = (x - axis) / (0.05 + width * h * h)
    along = smoothstep(0.0, 0.25, (y - y0) / (y1 - y0)) * (
        1 - smoothstep(0.0, 0.13, y - y1)
    )
    lx, ly, _ = materials.light(p)
    strength = 0.6 + 0.5 * p["light_contrast"]
    ridge = bump((q / 1.9) ** 2)
    canvas.shade(
        mask * along * strength * (0.62 * lx * q * ridge - 0.05 * np.abs(q) * ridge),
        window,
    )
    canvas.shade(mask * along * 0.13 * bump(q * q / 0.4) * h, window)
    dx, dy = x - x1, y - y1
    wings = bump(
        ((np.abs(dx) - 0.92 * width) / 0.045) ** 2 + ((dy - 0.02) / 0.075) ** 2
    )
    under = bump((dx / (1.15 * width)) ** 2 + ((dy - 0.085) / 0.06) ** 2)
    holes = bump(
        ((np.abs(dx) - 0.48 * width) / 0.05) ** 2 + ((dy - 0.062) / 0.036) ** 2
    )
    canvas.shade(
        mask * -np.clip(0.22 * wings + 0.26 * under + 0.50 * holes, 0, 0.8), window
    )
    shine = bump(((dx - 0.03 * lx) / 0.06) ** 2 + ((dy + 0.03) / 0.055) ** 2)
    canvas.shade(mask * 0.20 * shine, window)


def _spot(canvas, face, cu, cv, ru, rv, amount) -> None:
    """Draws a soft shadow (amount < 0) or light on the surface."""
    window = face.window(cu, cv, np.max(ru), np.max(rv))
    u, v, mask = face.at(window)
    canvas.shade(
        mask * amount * bump(((u - cu) / ru) ** 2 + ((v - cv) / rv) ** 2), window
    )
