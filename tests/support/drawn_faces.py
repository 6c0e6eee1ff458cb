"""Points and photos of drawn faces for tests of alignment; nobody's photograph."""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image


def points68(middle=(120.0, 100.0), unit=40.0, lean=0.0) -> np.ndarray:
    """68 landmarks of a plain upright face: [68, 2].

    Args:
        middle: between the eyes. unit: between the eyes' middles. lean: in radians.
    """
    half = np.linspace(np.pi, 0, 17)
    chin = [(1.1 * np.cos(a), 0.5 + 1.35 * np.sin(a)) for a in half]
    brows = [(x, -0.35) for x in (-0.8, -0.65, -0.5, -0.35, -0.2)]
    brows += [(-x, y) for x, y in brows[::-1]]
    nose = [(0, y) for y in (0, 0.2, 0.4, 0.6)]
    nostrils = [(x, 0.7) for x in (-0.2, -0.1, 0, 0.1, 0.2)]
    ring = np.linspace(0, 2 * np.pi, 6, endpoint=False) + np.pi
    eye = [(0.2 * np.cos(a), 0.1 * np.sin(a)) for a in ring]
    eyes = [(x - 0.5, y) for x, y in eye] + [(x + 0.5, y) for x, y in eye]
    lips = [(0.4 * np.cos(a), 1.1 + 0.15 * np.sin(a)) for a in
            np.linspace(0, 2 * np.pi, 12, endpoint=False) + np.pi]  # fmt: skip
    inner = [(0.3 * np.cos(a), 1.1 + 0.05 * np.sin(a)) for a in
             np.linspace(0, 2 * np.pi, 8, endpoint=False) + np.pi]  # fmt: skip
    points = np.array(chin + brows + nose + nostrils + eyes + lips + inner)
    cos, sin = np.cos(lean), np.sin(lean)
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.asarray(middle) + unit * points @ turn.T


def photo(height=300, width=260, seed=0) -> np.ndarray:
    """A smooth image [height, width, 3] uint8 in which every place is unlike others."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth)


def encoded(image: np.ndarray | Image.Image, kind="PNG", **options) -> bytes:
    """The bytes of a file."""
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return out.getvalue()


def save_points(path: Path, faces: dict[str, list[np.ndarray]]) -> Path:
    """A file for `--landmarks FILE.json`."""
    content = {k: [points.tolist() for points in many] for k, many in faces.items()}
    path.write_text(json.dumps(content))
    return path
