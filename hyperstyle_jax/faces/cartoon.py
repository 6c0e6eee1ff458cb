"""Draws the same faces as cartoons: large eyes, flat colours, outlines of ink.

A second domain, each of whose images has a twin in the first: same person, pose and
expression. It shows what a generator fine-tuned to another style makes of inversions.
"""

import numpy as np

from hyperstyle_jax.faces.canvas import Canvas, Window, smoothstep

_INK = np.array([0.16, 0.09, 0.14], np.float32)[None, :, None, None]
# What is added to some parameters, in their units; most go from -1 to 1.
_PROPORTIONS = {
    "eye_size": 3.0,
    "eye_height": 0.6,
    "brow_height": 1.6,
    "brow_thickness": 0.7,
    "nose_width": -1.6,
    "nose_length": -0.6,
    "lip_fullness": -0.6,
    "chin_width": -0.9,
    "cheekbones": 1.0,
    "face_width": 0.8,
    "hair_volume": 0.3,
}


def exaggerate(parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The proportions of a cartoon: those of the person, all shifted one way.

    Args:
        parameters: {name: [B]} as `parameters.to_parameters` returns them.
    """
    shifted = {k: parameters[k] + np.float32(by) for k, by in _PROPORTIONS.items()}
    return parameters | shifted


class CartoonCanvas(Canvas):
    """A canvas with two tones for each material, and ink around large shapes."""

    def fill(
        self, mask, colour, window: Window | None = None, outlined: bool = False
    ) -> None:
        """Blends a colour in; with `outlined` the shape's edge is drawn in ink."""
        super().fill(mask, colour, window)
        if outlined:
            super().fill(0.9 * _edge_of(mask), _INK, window)

    def shade(self, amount, window: Window | None = None) -> None:
        """Darkens what lies in shadow by one step and leaves the rest flat."""
        dark = smoothstep(0.16, 0.24, -amount)
        light = smoothstep(0.12, 0.20, amount)
        super().shade(np.float32(-0.26) * dark + np.float32(0.10) * light, window)

    def finish(self) -> np.ndarray:
        """The images in stronger colours, rounded: [B, H, W, 3] uint8."""
        grey = self.rgb.mean(1, keepdims=True)
        self.rgb = grey + np.float32(1.3) * (self.rgb - grey)
        self.rgb = self.rgb * np.float32(1.06)
        return super().finish()


def _edge_of(mask) -> np.ndarray:
    """Where a mask [B, h, w] changes from 0 to 1, some two pixels wide: 0 to 1."""
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = np.abs(padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2])
    down = np.abs(padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1])
    return np.clip(np.hypot(across, down) - np.float32(0.1), 0, 1)
