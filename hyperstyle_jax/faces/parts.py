"""What is drawn on the surface of the head: eyes, nose, mouth, beard, glasses."""

import numpy as np

from hyperstyle_jax.faces import materials
from hyperstyle_jax.faces.canvas import bump, edge, mix, step
from hyperstyle_jax.faces.head import ASPECT


def cheeks(canvas, face, p, colours) -> None:
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
    old = step(38.0, 80.0, p["age"])
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
            (_eye_place(p)[0], _eye_place(p)[1] + 0.15, 0.15, 0.05, 0.0, 0.7 * old),
        ):
            window = face.window(side * cu, cv, 0.2, 0.24)
            u, v, mask = face.at(window)
            du, dv = side * u - cu, v - cv
            du = du - lean * dv
            canvas.shade(
                -depth * k * mask * bump((du / ru) ** 2 + (dv / rv) ** 2), window
            )


def beard(canvas, face, p, colours) -> None:
    m = _mouth_shape(p)
    window = face.window(0.0, np.float32(0.5), 1.2, 0.9)
    u, v, on_head = face.at(window)
    r = np.sqrt((u / 0.56) ** 2 + ((v - 0.10) / 0.50) ** 2)
    jaw = step(0.86, 1.12, r) * step(-0.12, 0.22, v)
    around = 1 - bump(
        0.5 * (u / m["half"]) ** 2 + 0.5 * ((v - m["v"] - 0.05) / 0.2) ** 2
    )
    lip = m["v"] - 0.085 + 0.25 * u * u
    moustache = bump(((v - lip) / 0.062) ** 2) * bump((u / 0.30) ** 2 * 0.8) * 1.5
    hairy = np.clip(np.maximum(jaw * around, moustache), 0, 1)
    colour = mix(colours["hair"] * 0.72, colours["skin"] * 0.5, 0.15)
    canvas.fill(0.88 * p["beard"] * hairy * on_head, colour, window)
    canvas.shade(
        p["beard"] * hairy * on_head * 0.7 * face.lit[:, window[0], window[1]], window
    )


def mouth(canvas, face, p, colours) -> None:
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


def eye(canvas, face, p, colours, side: int) -> None:
    cu, cv = _eye_place(p)
    size = 1 + 0.15 * p["eye_size"]
    half = 0.165 * size
    window = face.window(side * cu, cv, 0.29, 0.22)
    u, v, on_head = face.at(window)
    out, down = side * u - cu, v - cv
    down = down + 0.16 * p["eye_slant"] * out
    opening = mix(np.float32(0.30), np.float32(1.1), p["eye_open"])
    squint = 1 - 0.22 * np.clip(p["smile"], 0, 1)
    t2 = np.clip((out / half) ** 2, 0, 2)
    taper = 1 - t2
    upper = 0.098 * size * opening * taper
    lower = 0.058 * size * (0.5 + 0.5 * opening) * squint * taper
    socket = bump((out / 0.27) ** 2 + ((down + 0.02) / 0.19) ** 2)
    canvas.shade(-0.24 * socket * on_head, window)
    white = (
        edge(np.maximum(-upper - down, down - lower), face.px) * (t2 < 1.95) * on_head
    )
    bright = 1 + 0.6 * face.lit[:, window[0], window[1]]
    canvas.fill(white, materials.rgb(0.97, 0.965, 0.96) * bright[:, None], window)
    radius = 0.086 * (1 + 0.10 * p["eye_size"])
    iris_u = side * u - cu - side * 0.05 * p["gaze"]
    r2 = iris_u**2 + (down + 0.012) ** 2
    r = np.sqrt(r2)
    iris = white * edge(r - radius, face.px)
    ring = 0.62 + 0.55 * bump(r2 / radius**2 * 0.7)
    canvas.fill(iris, colours["iris"] * ring[:, None], window)
    canvas.fill(
        white * edge(r - 0.46 * radius, face.px),
        materials.rgb(0.04, 0.03, 0.03),
        window,
    )
    lid_shadow = bump(((down + upper) / 0.06) ** 2)
    canvas.shade(-0.35 * white * lid_shadow, window)
    lx, _, _ = materials.light(p)
    glint_u = iris_u - side * 0.035 * np.sign(lx) * np.clip(np.abs(lx) * 8, 0, 1)
    glint = edge(np.sqrt(glint_u**2 + (down + 0.05) ** 2) - 0.026, face.px)
    canvas.fill(0.95 * white * glint, materials.rgb(1, 1, 1), window)
    lash = np.abs(down + upper + 0.008) - (0.012 + 0.012 * np.clip(taper, 0, 1))
    lashes = edge(lash, face.px) * (t2 < 1.12) * on_head
    canvas.fill(0.85 * lashes, colours["brows"] * np.float32(0.35), window)
    crease = bump(((down + 1.25 * upper + 0.055) / 0.024) ** 2) * np.clip(
        1.1 - t2, 0, 1
    )
    canvas.shade(-0.26 * crease * on_head, window)


def _eye_place(p):
    return 0.315 * (1 + 0.10 * p["eye_spacing"]), -0.03 + 0.03 * p["eye_height"]


def brow(canvas, face, p, colours, side: int) -> None:
    cu, cv = _eye_place(p)
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


def nose(canvas, face, p) -> None:
    """Drawn in the image's plane: the tip stands out and swings further."""
    tip_v = 0.235 + 0.05 * p["nose_length"]
    width = 0.105 * (1 + 0.22 * p["nose_width"])
    top = face.project(np.float32(0), np.float32(-0.06))
    tip = face.project(np.float32(0), tip_v, 1.13)
    window = face.window(0.0, tip_v - 0.1, 0.42, 0.42, 1.05)
    cut = (slice(None), *window)
    x, y, mask = face.nx[cut] * ASPECT, face.ny[cut], face.mask[cut]
    x0, y0, x1, y1 = top[0] * ASPECT, top[1], tip[0] * ASPECT, tip[1]
    h = np.clip((y - y0) / (y1 - y0), 0, 1)
    axis = mix(x0, x1, h)
    q = (x - axis) / (0.05 + width * h * h)
    along = step(0.0, 0.25, (y - y0) / (y1 - y0)) * (1 - step(0.0, 0.13, y - y1))
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


def glasses(canvas, face, p) -> None:
    cu, cv = _eye_place(p)
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


def _spot(canvas, face, cu, cv, ru, rv, amount) -> None:
    """A soft shadow (amount < 0) or light on the surface."""
    window = face.window(cu, cv, np.max(ru), np.max(rv))
    u, v, mask = face.at(window)
    canvas.shade(
        mask * amount * bump(((u - cu) / ru) ** 2 + ((v - cv) / rv) ** 2), window
    )
