"""The drawing of a face: an ellipsoid head turned in space, features on its surface.

Camera coordinates are the picture's; *face coordinates* (u, v) are the point of the
head's surface seen at a pixel, turned back to the frontal pose, in units of half the
face's height. Features are drawn in face coordinates, so they turn with the head.
"""

from dataclasses import dataclass

import numpy as np

from hyperstyle_jax.data import accessories
from hyperstyle_jax.data.canvas import (
    Canvas,
    Window,
    bump,
    edge,
    mix,
    palette,
    smooth_max,
    step,
)

ASPECT = np.float32(0.75)  # half width of an average face, in half heights

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


def paint(parameters: dict[str, np.ndarray], size: int, worn=None) -> np.ndarray:
    """Draws a batch of faces.

    Args:
        parameters: what `faces._parameters` returns, name → [B].
        size: side in pixels.
        worn: the accessories of each picture, or None.

    Returns:
        [B, size, size, 3] uint8.
    """
    p = {name: value[:, None, None] for name, value in parameters.items()}
    canvas = Canvas(len(p["yaw"]), size)
    face = Face.of(p, canvas)
    colours = _colours(p)
    wear = accessories.Painter(worn, canvas, face) if worn is not None else None
    _background(canvas, p, colours)
    if wear:
        wear.background()
    _clothes(canvas, p, colours)
    _ears(canvas, face, p, colours)
    _hair_behind(canvas, face, p, colours)
    if wear:
        wear.earrings()
    _neck(canvas, face, p, colours)
    _head(canvas, face, p, colours)
    _cheeks(canvas, face, p, colours)
    _wrinkles(canvas, face, p)
    _beard(canvas, face, p, colours)
    _mouth(canvas, face, p, colours)
    for side in (-1, 1):
        _eye(canvas, face, p, colours, side)
        _brow(canvas, face, p, colours, side)
    _nose(canvas, face, p)
    if wear:
        wear.paint()
    _hair_front(canvas, face, p, colours)
    _glasses(canvas, face, p)
    if wear:
        wear.hats()
    return canvas.finish()


@dataclass
class Face:
    """Geometry of the heads of a batch; planes are [B, H, W], numbers [B, 1, 1]."""

    canvas: Canvas
    half_width: np.ndarray
    half_height: np.ndarray
    centre: tuple[np.ndarray, np.ndarray]
    tilt: tuple[np.ndarray, np.ndarray]  # cosine and sine of the roll
    turn: tuple[np.ndarray, ...]  # cosine and sine of yaw, cosine and sine of pitch
    x: np.ndarray  # upright camera coordinates around the head's centre
    y: np.ndarray
    nx: np.ndarray  # the head's surface normal towards the camera
    ny: np.ndarray
    nz: np.ndarray
    u: np.ndarray
    v: np.ndarray
    depth: np.ndarray  # positive on the front half of the head
    mask: np.ndarray  # coverage by the head
    rim: np.ndarray  # the same with the head two pixels larger
    lit: np.ndarray | None = None  # how the light changes the surface's colour
    hair: np.ndarray | None = None  # coverage by the hair around the head

    @classmethod
    def of(cls, p, canvas: Canvas) -> "Face":
        a = 0.46 * (1 + 0.09 * p["face_width"])
        b = 0.615 * (1 + 0.05 * p["face_height"]) * (1 + 0.02 * p["mouth_open"])
        yaw, pitch, roll = (np.deg2rad(p[k]) for k in ("yaw", "pitch", "roll"))
        turn = (np.cos(yaw), np.sin(yaw), np.cos(pitch), -np.sin(pitch))
        cx, cy = np.zeros_like(a), np.full_like(a, 0.02)
        tilt = (np.cos(roll), np.sin(roll))
        dx, dy = canvas.x - cx, canvas.y - cy - 0.55  # tilts around the chin
        x = dx * tilt[0] + dy * tilt[1]
        y = dy * tilt[0] - dx * tilt[1] + 0.55
        ny = y / b
        # The chin is further forward than the skull's axis: it swings with the yaw.
        x = x - 0.07 * turn[1] * step(0.0, 1.0, ny)
        width = a * _profile(p, ny)
        nx = x / width
        r2 = nx * nx + ny * ny
        nz = np.sqrt(np.clip(1 - r2, 0, None))
        u = nx * turn[0] - nz * turn[1]
        forward = nx * turn[1] + nz * turn[0]
        v = ny * turn[2] - forward * turn[3]
        r = np.sqrt(r2)
        slope = np.sqrt((nx / width) ** 2 + (ny / b) ** 2) + 1e-6
        distance = (r - 1) * r / slope
        mask, rim = edge(distance, canvas.px), edge(distance - 2 * canvas.px, canvas.px)
        depth = ny * turn[3] + forward * turn[2]
        u = u * ASPECT
        return cls(
            canvas, a, b, (cx, cy), tilt, turn, x, y, nx, ny, nz, u, v, depth, mask, rim
        )

    @property
    def px(self) -> np.ndarray:
        """A pixel's width in face coordinates."""
        return self.canvas.px / self.half_height

    def project(self, u, v, out=1.0):
        """Normalised camera position (nx, ny) of a face point, `out` radii out."""
        u = u / ASPECT
        z = np.sqrt(np.clip(1 - u * u - v * v, 0, None))
        cos_yaw, sin_yaw, cos_pitch, sin_pitch = self.turn
        forward = z * cos_pitch - v * sin_pitch
        ny = v * cos_pitch + z * sin_pitch
        return out * (u * cos_yaw + forward * sin_yaw), out * ny

    def place(self, nx, ny):
        """Picture coordinates of a normalised camera position (roughly: no taper)."""
        x, y = nx * self.half_width, ny * self.half_height - 0.55
        cos, sin = self.tilt
        return (
            self.centre[0] + x * cos - y * sin,
            self.centre[1] + 0.55 + y * cos + x * sin,
        )

    def window(self, u, v, ru, rv, out=1.0) -> Window:
        """A window around a feature at (u, v) of radii (ru, rv) in face coordinates."""
        x, y = self.place(*self.project(u, v, out))
        reach = self.half_height * np.float32(1.1)
        margin = np.float32(0.25)  # tilt and taper
        return self.canvas.window(
            x, y, (ru + margin * rv) * reach + 0.04, (rv + margin * ru) * reach + 0.02
        )

    def at(self, window: Window):
        """Face coordinates and head coverage inside a window."""
        rows, columns = window
        cut = (slice(None), rows, columns)
        return (
            self.u[cut],
            self.v[cut],
            self.mask[cut] * step(-0.4, -0.15, self.depth[cut]),
        )


def _profile(p, ny):
    """Half width along the face's height: narrower towards the chin."""
    jaw = 0.20 - 0.09 * p["jaw_width"]
    chin = 0.10 - 0.07 * p["chin_width"]
    cheeks = 0.035 * p["cheekbones"]
    taper = jaw * step(0.0, 0.75, ny) + chin * step(0.45, 1.0, ny)
    return 1 - taper + cheeks * bump(((ny - 0.15) / 0.45) ** 2)


def _colours(p) -> dict[str, np.ndarray]:
    """The materials' colours, [B, 3, 1, 1] each."""
    skin = palette(SKIN, p["skin_tone"])
    hue = np.array([0.02, -0.02, -0.005], np.float32)[None, :, None, None]
    skin = skin * (1 + hue * p["skin_hue"][:, None] * 1.5)
    hair = palette(HAIR, p["hair_lightness"])
    red = np.array([0.16, -0.06, -0.18], np.float32)[None, :, None, None]
    hair = hair * (1 + red * p["hair_redness"][:, None])
    grey = np.array([0.80, 0.80, 0.81], np.float32)[None, :, None, None]
    age = step(45.0, 80.0, p["age"])[:, None]
    hair = mix(hair, grey, 0.9 * age)
    natural = skin * np.array([0.88, 0.62, 0.60], np.float32)[None, :, None, None]
    red_lips = np.array([0.76, 0.12, 0.20], np.float32)[None, :, None, None]
    return {
        "skin": skin,
        "hair": hair,
        "brows": mix(hair * 0.62, skin * 0.5, 0.25),
        "lips": mix(natural, red_lips, 0.8 * p["makeup"][:, None]),
        "iris": palette(EYES, p["eye_colour"]),
        "background": _tint(p, "background", 0.22, 0.88),
        "clothes": _tint(p, "clothes", 0.12, 0.85),
    }


def _tint(p, what: str, dark: float, light: float) -> np.ndarray:
    level = mix(np.float32(dark), np.float32(light), p[f"{what}_lightness"])[:, None]
    warm, green = p[f"{what}_warmth"][:, None], p[f"{what}_green"][:, None]
    axes = np.array([[0.5, 0.05, -0.5], [-0.28, 0.3, -0.12]], np.float32)
    tint = axes[0][None, :, None, None] * warm + axes[1][None, :, None, None] * green
    return np.clip(level * (1 + 0.6 * tint), 0, 1)


def _light(p):
    """Unit vector from the scene to the light, [B, 1, 1] each."""
    lx, ly = 0.75 * p["light_x"], -0.28 - 0.45 * p["light_y"]
    lz = np.float32(0.85)
    norm = np.sqrt(lx * lx + ly * ly + lz * lz)
    return lx / norm, ly / norm, lz / norm


def _background(canvas, p, colours) -> None:
    canvas.rgb[:] = colours["background"]
    lx, ly, _ = _light(p)
    glow = (canvas.x * lx + canvas.y * ly) * 0.16 * (1 + p["light_contrast"])
    canvas.shade(glow - 0.16 * (canvas.x**2 + canvas.y**2) + 0.08)


def _clothes(canvas, p, colours) -> None:
    window = canvas.window(np.zeros(1), np.float32(0.9), 1.1, 0.32)
    x, y = canvas.x[:, :, window[1]], canvas.y[:, window[0]]
    shoulder = 0.70 + 0.28 * x * x + 0.25 * np.abs(x) ** 3
    mask = edge((shoulder - y) * 0.85, canvas.px) + np.zeros_like(p["yaw"])
    canvas.fill(mask, colours["clothes"], window)
    lx, _, _ = _light(p)
    fold = 0.18 * lx * x - 0.30 * np.abs(x) ** 2 - 0.10 * step(0.72, 1.0, y)
    canvas.shade(mask * fold, window)


def _hair_amount(p):
    return step(0.04, 0.14, p["hair_length"])


def _hair_behind(canvas, face, p, colours) -> None:
    """The hair around the head: a cap that falls as far as it is long."""
    volume, length = p["hair_volume"], p["hair_length"]
    amount = _hair_amount(p)
    a = face.half_width * (0.96 + (0.08 + 0.16 * volume) * amount)
    b = face.half_height * (0.96 + (0.07 + 0.15 * volume) * amount)
    x, y = face.x / a, face.y / b
    r = np.sqrt(x * x + np.minimum(y, 0) ** 2) + 1e-6
    falling = step(0.35, 0.9, length)
    flare = 1 + (0.10 + 0.10 * volume) * falling * step(0.0, 1.0, y)
    flare = flare - 0.10 * (1 - falling) * step(0.0, 0.5, y)
    side = (r - flare) * a
    end = mix(np.float32(-0.05), np.float32(1.0), step(0.05, 1.0, length))
    end = end + 0.10 * falling * bump(((np.abs(x) - 0.95) / 0.6) ** 2)
    mask = edge(smooth_max(side, face.y - end, np.float32(0.18)), canvas.px)
    face.hair = mask * np.clip(amount * 3, 0, 1)
    canvas.fill(face.hair, _hair_colour(face, p, colours, back=True))


def _hair_colour(face, p, colours, back: bool = False, window=None):
    """Hair with a light band and a few broad strands, [B, 3, h, w]."""
    cut = (slice(None),) + (window or (slice(None), slice(None)))
    nx, ny = face.nx[cut], face.ny[cut]
    lx, ly, _ = _light(p)
    toward = nx * lx + ny * ly
    spread = nx / (0.55 + 0.45 * np.clip(-ny, 0, 1))
    strands = np.cos(17.0 * spread + 5.0 * p["hair_parting"]) * 0.04
    band = 0.32 * bump(((toward - 0.62) / 0.42) ** 2)
    level = 0.86 + 0.22 * toward + band + strands
    if back:
        level = level * (1 - 0.35 * step(0.0, 0.9, ny) * (np.abs(nx) < 3))
    return colours["hair"] * np.clip(level, 0.3, 1.6)[:, None]


def _ears(canvas, face, p, colours) -> None:
    lx, _, _ = _light(p)
    size = 0.94 + 0.18 * p["ear_size"]
    for side in (-1, 1):
        near = np.clip(-side * face.turn[1], -0.5, 0.5)  # the side turned to us
        nx = side * (1.0 + 0.02 * near - 0.16 * np.clip(-near, 0, 1))
        ny = 0.08 + 0.55 * face.turn[3] * np.abs(face.turn[1]) * np.sign(near)
        cx, cy = nx * face.half_width, ny * face.half_height
        rx, ry = 0.082 * size * (1 + 0.5 * near), 0.145 * size
        window = canvas.window(*face.place(nx, ny), 0.22 * size, 0.25 * size)
        cut = (slice(None), *window)
        x, y = (face.x[cut] - cx) / rx, (face.y[cut] - cy) / ry
        x = x - 0.25 * side * -y  # wider at the top
        r = np.sqrt(x * x + y * y)
        mask = edge((r - 1) * rx, canvas.px)
        canvas.fill(mask, colours["skin"] * (0.86 + 0.14 * side * lx)[:, None], window)
        canvas.shade(-0.32 * bump((x * x + y * y) * 2.2) * mask, window)


def _neck(canvas, face, p, colours) -> None:
    shift = 0.04 * face.turn[1]
    width = face.half_width * (0.52 + 0.08 * p["jaw_width"])
    window = canvas.window(shift, np.float32(0.65), 0.55, 0.40)
    x, y = canvas.x[:, :, window[1]] - shift, canvas.y[:, window[0]]
    half = width + 0.16 * step(0.62, 0.92, y)
    bottom = y - 0.93 + 1.1 * x * x
    mask = edge(smooth_max(np.abs(x) - half, bottom, np.float32(0.06)), canvas.px)
    lx, _, _ = _light(p)
    canvas.fill(mask, colours["skin"] * np.float32(0.93), window)
    round_ = -0.34 * (x / half) ** 2 + 0.22 * lx * x / half
    under_chin = -0.42 * bump((x / 0.5) ** 2 + ((y - 0.58) / 0.26) ** 2)
    canvas.shade(mask * (round_ + under_chin), window)


def _head(canvas, face, p, colours) -> None:
    lx, ly, lz = _light(p)
    contrast = 0.22 + 0.38 * p["light_contrast"]
    lambert = np.clip(face.nx * lx + face.ny * ly + face.nz * lz, 0, None)
    canvas.fill(face.mask, colours["skin"])
    face.lit = contrast * (1.10 * lambert - 0.92)
    canvas.shade(face.mask * face.lit)


def _spot(canvas, face, cu, cv, ru, rv, amount) -> None:
    """A soft shadow (amount < 0) or light on the surface."""
    window = face.window(cu, cv, np.max(ru), np.max(rv))
    u, v, mask = face.at(window)
    canvas.shade(
        mask * amount * bump(((u - cu) / ru) ** 2 + ((v - cv) / rv) ** 2), window
    )


def _cheeks(canvas, face, p, colours) -> None:
    lift = 0.05 * np.clip(p["smile"], 0, 1)
    blush = (
        colours["skin"] * np.array([1.0, 0.72, 0.68], np.float32)[None, :, None, None]
    )
    for side in (-1, 1):
        cu, cv = side * np.float32(0.40), 0.26 - lift
        window = face.window(cu, cv, 0.27, 0.22)
        u, v, mask = face.at(window)
        spot = bump(((u - cu) / 0.26) ** 2 + ((v - cv) / 0.2) ** 2)
        strength = 0.20 + 0.14 * p["skin_hue"] + 0.10 * p["smile"]
        canvas.fill(mask * spot * strength * (1 - 0.5 * p["skin_tone"]), blush, window)
        glow = 0.05 + 0.05 * p["cheekbones"] + 0.07 * np.clip(p["smile"], 0, 1)
        _spot(canvas, face, side * 0.37, 0.17 - lift, 0.2, 0.14, glow)


def _wrinkles(canvas, face, p) -> None:
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


def _mouth_shape(p) -> dict[str, np.ndarray]:
    return {
        "half": 0.235 * (1 + 0.16 * p["mouth_width"]) * (1 + 0.16 * p["smile"]),
        "v": 0.495 + 0.035 * p["mouth_height"] + 0.01 * p["nose_length"],
        "curve": 0.095 * p["smile"] + 0.012,
        "open": 0.19 * p["mouth_open"],
        "upper": 0.052 * (1 + 0.38 * p["lip_fullness"]),
        "lower": 0.070 * (1 + 0.38 * p["lip_fullness"]),
    }


def _mouth(canvas, face, p, colours) -> None:
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
    canvas.fill(inside, _rgb(0.28, 0.07, 0.09), window)
    tongue = bump((u / 0.14) ** 2 + ((v - lower) / (0.09 + 0 * v)) ** 2)
    canvas.fill(inside * tongue, _rgb(0.78, 0.36, 0.36), window)
    show = np.clip(0.35 + 0.5 * p["smile"], 0, 1)
    teeth = inside * edge(v - line - 0.42 * m["open"] * taper, face.px) * show
    canvas.fill(teeth, _rgb(0.96, 0.95, 0.92), window)
    closed = np.abs(v - line) - 0.014 * np.sqrt(np.clip(taper, 0, 1))
    seam = edge(closed, face.px) * on_head * (t2 < 1.0) * 0.65
    canvas.fill(seam * (1 - inside), colours["lips"] * np.float32(0.42), window)
    _spot(canvas, face, 0.0, m["v"] + m["open"] + 0.15, 0.16, 0.05, np.float32(-0.16))


def _rgb(r: float, g: float, b: float) -> np.ndarray:
    return np.array([r, g, b], np.float32)[None, :, None, None]


def _eye_place(p):
    return 0.315 * (1 + 0.10 * p["eye_spacing"]), -0.03 + 0.03 * p["eye_height"]


def _eye(canvas, face, p, colours, side: int) -> None:
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
    canvas.fill(white, _rgb(0.97, 0.965, 0.96) * bright[:, None], window)
    radius = 0.086 * (1 + 0.10 * p["eye_size"])
    iris_u = side * u - cu - side * 0.05 * p["gaze"]
    r2 = iris_u**2 + (down + 0.012) ** 2
    r = np.sqrt(r2)
    iris = white * edge(r - radius, face.px)
    ring = 0.62 + 0.55 * bump(r2 / radius**2 * 0.7)
    canvas.fill(iris, colours["iris"] * ring[:, None], window)
    canvas.fill(
        white * edge(r - 0.46 * radius, face.px), _rgb(0.04, 0.03, 0.03), window
    )
    lid_shadow = bump(((down + upper) / 0.06) ** 2)
    canvas.shade(-0.35 * white * lid_shadow, window)
    lx, _, _ = _light(p)
    glint_u = iris_u - side * 0.035 * np.sign(lx) * np.clip(np.abs(lx) * 8, 0, 1)
    glint = edge(np.sqrt(glint_u**2 + (down + 0.05) ** 2) - 0.026, face.px)
    canvas.fill(0.95 * white * glint, _rgb(1, 1, 1), window)
    lash = np.abs(down + upper + 0.008) - (0.012 + 0.012 * np.clip(taper, 0, 1))
    lashes = edge(lash, face.px) * (t2 < 1.12) * on_head
    canvas.fill(0.85 * lashes, colours["brows"] * np.float32(0.35), window)
    crease = bump(((down + 1.25 * upper + 0.055) / 0.024) ** 2) * np.clip(
        1.1 - t2, 0, 1
    )
    canvas.shade(-0.26 * crease * on_head, window)


def _brow(canvas, face, p, colours, side: int) -> None:
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


def _nose(canvas, face, p) -> None:
    """Drawn in the picture's plane: the tip stands out and swings further."""
    tip_v = 0.235 + 0.05 * p["nose_length"]
    width = 0.105 * (1 + 0.22 * p["nose_width"])
    top = face.project(np.zeros_like(tip_v), np.float32(-0.06) + 0 * tip_v)
    tip = face.project(np.zeros_like(tip_v), tip_v, 1.13)
    window = face.window(0.0, tip_v - 0.1, 0.42, 0.42, 1.05)
    cut = (slice(None), *window)
    x, y, mask = face.nx[cut] * ASPECT, face.ny[cut], face.mask[cut]
    x0, y0, x1, y1 = top[0] * ASPECT, top[1], tip[0] * ASPECT, tip[1]
    h = np.clip((y - y0) / (y1 - y0), 0, 1)
    axis = mix(x0, x1, h)
    q = (x - axis) / (0.05 + width * h * h)
    along = step(0.0, 0.25, (y - y0) / (y1 - y0)) * (1 - step(0.0, 0.13, y - y1))
    lx, ly, _ = _light(p)
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


def _beard(canvas, face, p, colours) -> None:
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


def _hair_front(canvas, face, p, colours) -> None:
    """The hair on the front of the head, from the hairline up and down the temples."""
    amount, length = _hair_amount(p), p["hair_length"]
    window = canvas.window(
        *face.place(0.07 * face.turn[1], 0.0),
        face.half_width + 0.12 + np.abs(0.6 * face.tilt[1]),
        face.half_height + 0.08,
    )
    cut = (slice(None), *window)
    u, v = face.u[cut], face.v[cut]
    mask = np.maximum(face.mask[cut], face.hair[cut] * face.rim[cut])
    old = step(55.0, 85.0, p["age"])
    fringe = step(0.25, 1.0, p["hair_fringe"])
    top = -0.62 + 0.30 * fringe - 0.07 * old
    part = 0.30 * p["hair_parting"]
    open_ = (0.05 + 0.16 * fringe) * bump(((u - part) / 0.30) ** 2)
    temples = np.clip(np.abs(u) / 0.72, 0, 1.2)
    drop = (0.42 + 0.75 * step(0.2, 0.8, length)) * temples**4
    slant = 0.10 * p["hair_parting"] * -u
    line = top - open_ + drop + slant
    coverage = edge((v - line) * 0.8, face.px * 1.3)
    shadow = bump(np.clip((v - line) / 0.14, -0.2, 1) ** 2) * (1 - coverage)
    canvas.shade(-0.22 * amount * mask * shadow, window)
    coverage = coverage * mask * mix(np.float32(0.16), np.float32(1.0), amount)
    canvas.fill(coverage, _hair_colour(face, p, colours, window=window), window)


def _glasses(canvas, face, p) -> None:
    cu, cv = _eye_place(p)
    worn = p["glasses"]
    if not np.any(worn > 0):
        return
    frame = _rgb(0.10, 0.09, 0.10)
    half_u, half_v, line = np.float32(0.225), np.float32(0.175), np.float32(0.022)
    for side in (-1, 1):
        window = face.window(side * cu, cv + 0.02, 0.33, 0.28)
        u, v, on_head = face.at(window)
        x, y = np.abs(side * u - cu) / half_u, np.abs(v - cv - 0.02) / half_v
        r = np.sqrt(np.sqrt(x**4 + y**4 + 1e-8))
        d = (r - 1) * 0.19
        glass = edge(d, face.px) * on_head * worn
        canvas.fill(0.10 * glass, _rgb(0.75, 0.85, 0.95), window)
        glare = bump(((side * u + v * 0.7 - cu + 0.08) / 0.06) ** 2)
        canvas.fill(0.22 * glass * glare, _rgb(1, 1, 1), window)
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
