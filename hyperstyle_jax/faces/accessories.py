"""Things that no training image shows: the out-of-domain test of the faces."""

from dataclasses import dataclass

import numpy as np

from hyperstyle_jax.faces import materials
from hyperstyle_jax.faces.canvas import bump, edge
from hyperstyle_jax.faces.noise import uniforms

KINDS = ("hat", "face_paint", "earrings", "bandana", "pattern")
_STREAM = 3
COLOURS = (
    (214, 40, 57),
    (247, 183, 49),
    (38, 166, 91),
    (45, 120, 210),
    (142, 68, 173),
    (240, 98, 146),
    (245, 245, 245),
    (0, 172, 178),
)


@dataclass(frozen=True)
class Worn:
    """The accessories of one image: their names, a colour and a variant for each."""

    names: tuple[str, ...]
    colours: tuple[tuple[float, float, float], ...]
    variants: tuple[float, ...]


def choose(indices, seed: int = 0) -> list[Worn]:
    """One or two accessories per index, a pure function of (seed, index)."""
    return [_worn(u) for u in uniforms(seed, _STREAM, np.asarray(indices), 8)]


def _worn(u: np.ndarray) -> Worn:
    first = int(u[0] * len(KINDS))
    second = (first + 1 + int(u[1] * (len(KINDS) - 1))) % len(KINDS)
    kinds = (first,) if u[2] < 0.5 else (first, second)
    # Hat and bandana would hide each other: the bandana gives way.
    names = [KINDS[k] for k in kinds]
    if {"hat", "bandana"} <= set(names):
        names.remove("bandana")
    colours = [COLOURS[int(u[3 + k] * len(COLOURS))] for k in range(len(names))]
    scaled = tuple(tuple(c / 255 for c in colour) for colour in colours)
    return Worn(tuple(names), scaled, tuple(float(u[5 + k]) for k in range(len(names))))


class Painter:
    """Paints what each image wears, at the right moments of the drawing."""

    def __init__(self, worn: list[Worn], canvas, face):
        self.worn, self.canvas, self.face = worn, canvas, face

    def background(self) -> None:
        """Stripes or dots."""
        on, colour, variant = self._of("pattern")
        if on is None:
            return
        x, y = self.canvas.x, self.canvas.y
        stripes = 0.09 * np.cos(np.pi * (x + y) / 0.36) + 0.0
        dots = 0.12 - np.hypot((x + 1) % 0.4 - 0.2, (y + 1) % 0.4 - 0.2)
        shape = np.where(variant < 0.5, stripes, dots)
        self.canvas.fill(edge(-shape, self.canvas.px) * on, colour)

    def earrings(self) -> None:
        on, colour, variant = self._of("earrings")
        if on is None:
            return
        face = self.face
        for side in (-1, 1):
            cx = side * face.half_width * 1.03
            cy = face.half_height * 0.08 + 0.26
            r = np.hypot(face.x - cx, face.y - cy)
            ring = np.where(variant < 0.5, np.abs(r - 0.085) - 0.028, r - 0.09)
            self.canvas.fill(edge(ring, self.canvas.px) * on, colour)
            shine = bump(
                ((face.x - cx + 0.03) ** 2 + (face.y - cy + 0.04) ** 2) / 0.002
            )
            self.canvas.fill(0.7 * shine * on, materials.rgb(1, 1, 1))

    def paint(self) -> None:
        """Stripes on the cheeks, or a mask of colour around the eyes."""
        on, colour, variant = self._of("face_paint")
        if on is None:
            return
        face = self.face
        u, v = np.abs(face.u), face.v
        mask = face.mask * (face.depth > 0)
        stripes = np.minimum(
            np.abs(v - 0.18 - 0.25 * (u - 0.42)) - 0.035,
            np.abs(v - 0.32 - 0.25 * (u - 0.42)) - 0.035,
        )
        stripes = np.maximum(stripes, np.abs(u - 0.43) - 0.16)
        star = np.hypot((face.u - 0.40) / 1.0, v - 0.24) - 0.15
        chin = np.hypot(u / 0.9, v - 0.80) - 0.10
        forehead = np.maximum(u - 0.05, np.abs(v + 0.38) - 0.16)
        shape = np.where(
            variant < 0.5, stripes, np.minimum(np.minimum(star, chin), forehead)
        )
        self.canvas.fill(0.9 * edge(shape, face.px) * mask * on, colour)

    def hats(self) -> None:
        self._hat()
        self._bandana()

    def _hat(self) -> None:
        on, colour, variant = self._of("hat")
        if on is None:
            return
        face = self.face
        a, b = face.half_width * 1.22, face.half_height
        x, y = face.x / a, face.y / b
        brim_y = -0.52 - 0.25 * face.turn[3]
        bend = 0.10 * x * x
        crown = np.maximum(
            np.sqrt(x * x + ((y - brim_y) / 0.75) ** 2) - 1, y - brim_y + bend
        )
        brim = np.sqrt((x / 1.28) ** 2 + ((y - brim_y + bend) / 0.13) ** 2) - 1
        px = self.canvas.px
        crown_mask = edge(crown * a, px) * on
        self.canvas.fill(crown_mask, colour)
        band = edge(np.abs(y - brim_y + 0.17 + bend) * b - 0.055, px) * crown_mask
        self.canvas.fill(band * (variant < 0.5), colour * np.float32(0.35))
        self.canvas.shade(crown_mask * (0.10 - 0.35 * x * x))
        brim_mask = edge(brim * 0.13 * b, px) * on
        self.canvas.fill(brim_mask, colour * np.float32(0.82))

    def _bandana(self) -> None:
        """A cloth over nose, mouth and chin."""
        on, colour, variant = self._of("bandana")
        if on is None:
            return
        face = self.face
        u, v = face.u, face.v
        shape = 0.17 + 0.12 * u * u - v
        mask = edge(shape, face.px) * face.mask * (face.depth > -0.2) * on
        self.canvas.fill(mask, colour)
        dots = np.hypot((u + 1.08) % 0.24 - 0.12, v % 0.24 - 0.12) - 0.05
        white = materials.rgb(0.98, 0.98, 0.96)
        self.canvas.fill(mask * edge(dots, face.px) * (variant < 0.6), white)
        self.canvas.shade(mask * (1.1 * face.lit - 0.16 * bump((u / 0.10) ** 2)))

    def _of(self, name: str):
        """Whether each image wears it ([B, 1, 1]), its colour and its variant."""
        wears = [name in w.names for w in self.worn]
        if not any(wears):
            return None, None, None
        found = [(w.names.index(name) if name in w.names else 0) for w in self.worn]
        colours = [w.colours[i] for w, i in zip(self.worn, found, strict=True)]
        variants = [w.variants[i] for w, i in zip(self.worn, found, strict=True)]
        shape = (-1, 1, 1)
        return (
            np.array(wears, np.float32).reshape(shape),
            np.array(colours, np.float32)[:, :, None, None],
            np.array(variants, np.float32).reshape(shape),
        )
