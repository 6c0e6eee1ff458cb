"""Draws a face layer by layer, from the background to the hat."""

import numpy as np

from hyperstyle_jax.faces import accessories, cartoon, eyes, hair, materials, parts
from hyperstyle_jax.faces.canvas import Canvas, bump, edge, smooth_max, smoothstep
from hyperstyle_jax.faces.head import Face

STYLES = ("portrait", "cartoon")


def paint(
    parameters: dict[str, np.ndarray], size: int, worn=None, style: str = "portrait"
) -> np.ndarray:
    """Draws a batch of faces.

    Args:
        parameters: what `parameters.to_parameters` returns, {name: [B]}.
        size: side of the images in pixels.
        worn: the accessories of each image, or None.
        style: one of STYLES.

    Returns:
        [B, size, size, 3] uint8.
    """
    drawn_by = Canvas
    if style == "cartoon":
        drawn_by, parameters = cartoon.CartoonCanvas, cartoon.exaggerate(parameters)
    p = {name: value[:, None, None] for name, value in parameters.items()}
    canvas = drawn_by(len(p["yaw"]), size)
    face = Face.of(p, canvas)
    colours = materials.colours(p)
    painter = accessories.Painter(worn, canvas, face) if worn is not None else None
    _background(canvas, p, colours)
    if painter:
        painter.background()
    _clothes(canvas, p, colours)
    _ears(canvas, face, p, colours)
    hair.behind(canvas, face, p, colours)
    if painter:
        painter.earrings()
    _neck(canvas, face, p, colours)
    _head(canvas, face, p, colours)
    parts.cheeks(canvas, face, p, colours)
    parts.wrinkles(canvas, face, p)
    parts.beard(canvas, face, p, colours)
    parts.mouth(canvas, face, p, colours)
    for side in (-1, 1):
        eyes.eye(canvas, face, p, colours, side)
        eyes.brow(canvas, face, p, colours, side)
    parts.nose(canvas, face, p)
    if painter:
        painter.paint()
    hair.front(canvas, face, p, colours)
    eyes.glasses(canvas, face, p)
    if painter:
        painter.hats()
    return canvas.finish()


def _background(canvas, p, colours) -> None:
    canvas.rgb[:] = colours["background"]
    lx, ly, _ = materials.light(p)
    glow = (canvas.x * lx + canvas.y * ly) * 0.16 * (1 + p["light_contrast"])
    canvas.shade(glow - 0.16 * (canvas.x**2 + canvas.y**2) + 0.08)


def _clothes(canvas, p, colours) -> None:
    window = canvas.window(np.zeros(1), np.float32(0.9), 1.1, 0.32)
    x, y = canvas.x[:, :, window[1]], canvas.y[:, window[0]]
    shoulder = 0.70 + 0.28 * x * x + 0.25 * np.abs(x) ** 3
    mask = edge((shoulder - y) * 0.85, canvas.px) + np.zeros_like(p["yaw"])
    canvas.fill(mask, colours["clothes"], window, outlined=True)
    lx, _, _ = materials.light(p)
    fold = 0.18 * lx * x - 0.30 * np.abs(x) ** 2 - 0.10 * smoothstep(0.72, 1.0, y)
    canvas.shade(mask * fold, window)


def _ears(canvas, face, p, colours) -> None:
    lx, _, _ = materials.light(p)
    size = 0.94 + 0.18 * p["ear_size"]
    for side in (-1, 1):
        nearness = np.clip(-side * face.turn[1], -0.5, 0.5)  # the side turned to us
        nx = side * (1.0 + 0.02 * nearness - 0.16 * np.clip(-nearness, 0, 1))
        ny = 0.08 + 0.55 * face.turn[3] * np.abs(face.turn[1]) * np.sign(nearness)
        cx, cy = nx * face.half_width, ny * face.half_height
        rx, ry = 0.082 * size * (1 + 0.5 * nearness), 0.145 * size
        window = canvas.window(*face.place(nx, ny), 0.22 * size, 0.25 * size)
        cut = (slice(None), *window)
        x, y = (face.x[cut] - cx) / rx, (face.y[cut] - cy) / ry
        x = x - 0.25 * side * -y  # wider at the top
        r = np.sqrt(x * x + y * y)
        mask = edge((r - 1) * rx, canvas.px)
        skin = colours["skin"] * (0.86 + 0.14 * side * lx)[:, None]
        canvas.fill(mask, skin, window, outlined=True)
        canvas.shade(-0.32 * bump((x * x + y * y) * 2.2) * mask, window)


def _neck(canvas, face, p, colours) -> None:
    shift = 0.04 * face.turn[1]
    width = face.half_width * (0.52 + 0.08 * p["jaw_width"])
    window = canvas.window(shift, np.float32(0.65), 0.55, 0.40)
    x, y = canvas.x[:, :, window[1]] - shift, canvas.y[:, window[0]]
    half = width + 0.16 * smoothstep(0.62, 0.92, y)
    bottom = y - 0.93 + 1.1 * x * x
    mask = edge(smooth_max(np.abs(x) - half, bottom, np.float32(0.06)), canvas.px)
    lx, _, _ = materials.light(p)
    canvas.fill(mask, colours["skin"] * np.float32(0.93), window, outlined=True)
    round_ = -0.34 * (x / half) ** 2 + 0.22 * lx * x / half
    under_chin = -0.42 * bump((x / 0.5) ** 2 + ((y - 0.58) / 0.26) ** 2)
    canvas.shade(mask * (round_ + under_chin), window)


def _head(canvas, face, p, colours) -> None:
    lx, ly, lz = materials.light(p)
    contrast = 0.22 + 0.38 * p["light_contrast"]
    lambert = np.clip(face.nx * lx + face.ny * ly + face.nz * lz, 0, None)
    canvas.fill(face.mask, colours["skin"], outlined=True)
    face.lit = contrast * (1.10 * lambert - 0.92)
    canvas.shade(face.mask * face.lit)
