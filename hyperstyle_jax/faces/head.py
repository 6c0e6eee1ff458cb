"""The geometry of a head, which is an ellipsoid turned in space.

Camera coordinates are those of the image. *Face coordinates* (u, v) name the point of
the head's surface at a pixel, turned back to the frontal pose, in units of half the
face's height. What is drawn in face coordinates, as the eyes, turns with the head.
"""

from dataclasses import dataclass

import numpy as np

from hyperstyle_jax.faces.canvas import Canvas, Window, bump, edge, smoothstep

ASPECT = np.float32(0.75)  # half width of an average face, in half heights


@dataclass
class Face:
    """The heads of a batch; maps are [B, H, W], numbers [B, 1, 1]."""

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
        """The heads of faces with the parameters `p`, {name: [B, 1, 1]}."""
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
        x = x - 0.07 * turn[1] * smoothstep(0.0, 1.0, ny)
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
        """The camera position (nx, ny) of a face point, in half widths and heights.

        With `out` the point is so many radii from the head's centre.
        """
        u = u / ASPECT
        z = np.sqrt(np.clip(1 - u * u - v * v, 0, None))
        cos_yaw, sin_yaw, cos_pitch, sin_pitch = self.turn
        forward = z * cos_pitch - v * sin_pitch
        ny = v * cos_pitch + z * sin_pitch
        return out * (u * cos_yaw + forward * sin_yaw), out * ny

    def place(self, nx, ny):
        """Image coordinates of a camera position; the chin's taper is left out."""
        x, y = nx * self.half_width, ny * self.half_height - 0.55
        cos, sin = self.tilt
        return (
            self.centre[0] + x * cos - y * sin,
            self.centre[1] + 0.55 + y * cos + x * sin,
        )

    def window(self, u, v, ru, rv, out=1.0) -> Window:
        """A window around a shape at (u, v) of radii (ru, rv) in face coordinates."""
        x, y = self.place(*self.project(u, v, out))
        reach = self.half_height * np.float32(1.1)
        margin = np.float32(0.25)  # tilt and taper
        return self.canvas.window(
            x, y, (ru + margin * rv) * reach + 0.04, (rv + margin * ru) * reach + 0.02
        )

    def at(self, window: Window):
        """Face coordinates u and v and the head's coverage inside a window."""
        rows, columns = window
        cut = (slice(None), rows, columns)
        return (
            self.u[cut],
            self.v[cut],
            self.mask[cut] * smoothstep(-0.4, -0.15, self.depth[cut]),
        )


def _profile(p, ny):
    """The half width along the face's height, which shrinks towards the chin."""
    jaw = 0.20 - 0.09 * p["jaw_width"]
    chin = 0.10 - 0.07 * p["chin_width"]
    cheeks = 0.035 * p["cheekbones"]
    taper = jaw * smoothstep(0.0, 0.75, ny) + chin * smoothstep(0.45, 1.0, ny)
    return 1 - taper + cheeks * bump(((ny - 0.15) / 0.45) ** 2)
