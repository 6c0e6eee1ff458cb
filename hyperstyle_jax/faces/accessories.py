"""Draws things that no training image shows, to test methods out of their domain."""

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
class Accessories:
    """The accessories of one image.

    Attributes:
        names: of KINDS.
        colours: of each, red, green and blue from 0 to 1.
        variants: of each, a number from 0 to 1 that decides about its form.
    """

    names: tuple[str, ...]
    colours: tuple[tuple[float, ...], ...]
    variants: tuple[float, ...]


def choose(indices, seed: int = 0) -> list[Accessories]:
    """Chooses one or two accessories for each index, by seed and index alone."""
    return [_choose(u) for u in uniforms(seed, _STREAM, np.asarray(indices), 8)]


def _choose(u: np.ndarray) -> Accessories:
    """The accessories for 8 uniform numbers."""
    first = int(u[0] * len(KINDS))
    second = (first + 1 + int(u[1] * (len(KINDS) - 1))) % len(KINDS)
    kinds = (first,) if u[2] < 0.5 else (first, second)
    # Hat and bandana would hide each other: the bandana gives way.
    names = [KINDS[k] for k in kinds]
    if {"hat", "bandana"} <= set(names):
        names.remove("bandana")
    colours = [COLOURS[int(u[3 + k] * len(COLOURS))] for k in range(len(names))]
    scaled = tuple(tuple(c / 255 for c in colour) for colour in colours)
    return Accessories(
        tuple(names), scaled, tuple(float(u[5 + k]) for k in range(len(names)))
    )


class Painter:
    """Draws the accessories of a batch; each method is called when its layer is due."""

    def __init__(self, worn: list[Accessories], canvas, face):
        self.worn, self.canvas, self.face = worn, canvas, face

    def background(self) -> None:
        """Draws stripes or dots on the background."""
        is_worn, colour, variant = self._worn("pattern")
        if is_worn is None:
            return
        x, y = self.canvas.x, self.canvas.y
        stripes = 0.09 * np.cos(np.pi * (x + y) / 0.36) + 0.0
        dots = 0.12 - np.hypot((x + 1) % 0.4 - 0.2, (y + 1) % 0.4 - 0.2)
        shape = np.where(variant < 0.5, stripes, dots)
        self.canvas.fill(edge(-shape, self.canvas.px) * is_worn, colour)

    def earrings(self) -> None:
        """Draws rings or discs below the ears."""
        is_worn, colour, variant = self._worn("earrings")
        if is_worn is None:
            return
        face = self.face
        for side in (-1, 1):
            cx = side * face.half_width * 1.03
            cy = face.half_height * 0.08 + 0.26
            r = np.hypot(face.x - cx, face.y - cy)
            ring = np.where(variant < 0.5, np.abs(r - 0.085) - 0.028, r - 0.09)
            self.canvas.fill(edge(ring, self.canvas.px) * is_worn, colour)
            shine = bump(
                ((face.x - cx + 0.03) ** 2 + (face.y - cy + 0.04) ** 2) / 0.002
            )
            self.canvas.fill(0.7 * shine * is_worn, materials.rgb(1, 1, 1))

    def paint(self) -> None:
        """Draws stripes on the cheeks, or spots on cheeks, chin and forehead."""
        is_worn, colour, variant = self._worn("face_paint")
        if is_worn is None:
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
        self.canvas.fill(0.9 * edge(shape, face.px) * mask * is_worn, colour)

    def hats(self) -> None:
        """Draws hats and bandanas, which cover everything else."""
        self._hat()
        self._bandana()

    def _hat(self) -> None:
        is_worn, colour, variant = self._worn("hat")
        if is_worn is None:
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
        crown_mask = edge(crown * a, px) * is_worn
        self.canvas.fill(crown_mask, colour)
        band = edge(np.abs(y - brim_y + 0.17 + bend) * b - 0.055, px) * crown_mask
        self.canvas.fill(band * (variant < 0.5), colour * np.float32(0.35))
        self.canvas.shade(crown_mask * (0.10 - 0.35 * x * x))
        brim_mask = edge(brim * 0.13 * b, px) * is_worn
        self.canvas.fill(brim_mask, colour * np.float32(0.82))

    def _bandana(self) -> None:
        """Draws a cloth over nose, mouth and chin."""
        is_worn, colour, variant = self._worn("bandana")
        if is_worn is None:
            return
        face = self.face
        u, v = face.u, face.v
        shape = 0.17 + 0.12 * u * u - v
        mask = edge(shape, face.px) * face.mask * (face.depth > -0.2) * is_worn
        self.canvas.fill(mask, colour)
        dots = np.hypot((u + 1.08) % 0.24 - 0.12, v % 0.24 - 0.12) - 0.05
        white = materials.rgb(0.98, 0.98, 0.96)
        self.canvas.fill(mask * edge(dots, face.px) * (variant < 0.6), white)
        self.canvas.shade(mask * (1.1 * face.lit - 0.16 * bump((u / 0.10) ** 2)))

    def _worn(self, name: str):
        """Which images show an accessory, in which colour and variant.

        Returns:
            0 or 1 [B, 1, 1], colours [B, 3, 1, 1] and variants [B, 1, 1]; None for each
            if no image shows it.
        """
        is_worn = [name in w.names for w in self.worn]
        if not any(is_worn):
            return None, None, None
        places = [w.names.index(name) if name in w.names else 0 for w in self.worn]
        colours = [w.colours[i] for w, i in zip(self.worn, places, strict=True)]
        variants = [w.variants[i] for w, i in zip(self.worn, places, strict=True)]
        shape = (-1, 1, 1)
        return (
            np.array(is_worn, np.float32).reshape(shape),
            np.array(colours, np.float32)[:, :, None, None],
            np.array(variants, np.float32).reshape(shape),
        )
