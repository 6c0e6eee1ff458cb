"""Prints how often pictures of several kinds count as unlike the demo's domain.

python scripts/unlike_report.py [--toons ZIP] [--photos FOLDER]

The figures of docs/photos.md. Photographs and toon heads are no part of this
repository.
"""

import argparse
import sys

import numpy as np
from scipy import ndimage

from hyperstyle_jax import faces, images
from hyperstyle_jax.data import walking
from hyperstyle_jax.inversion import familiarity, pipeline
from hyperstyle_jax.weights import bundle

_FIRST = faces.TRAINING_INDICES
_MOVED = {
    "shifted by 20 % sideways": {"shift": (0, 0.2)},
    "shifted by 20 % down": {"shift": (0.2, 0)},
    "20 % smaller": {"scale": 0.8},
    "20 % larger": {"scale": 1.2},
    "turned by 20°": {"angle": 20},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--toons", help="zip file or folder")
    parser.add_argument("--photos", help="folder")
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    model = bundle.load("demo")
    size, count = model.image_size[0], args.count
    print("| pictures | count | warned about |\n|---|---:|---:|")
    drawn = _draw(5 * count, size)
    _row(model, "held-out faces", drawn)
    _row(model, "… with accessories", _draw(count, size, accessories=True))
    large = _draw(count, 2 * size)
    for name, change in _MOVED.items():
        _row(model, name, [_moved(image, **change) for image in large])
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (count, size, size, 3), np.uint8)
    _row(model, "noise", noise)
    smooth = ndimage.gaussian_filter(noise.astype(float), (0, 4, 4, 0)) - 127.5
    blobs = np.clip(127.5 + 20 * smooth, 0, 255).astype(np.uint8)
    _row(model, "blurred noise", blobs)
    for name, source in (("toon heads", args.toons), ("photographs", args.photos)):
        if source:
            files = walking.find_images(source).files
            files = files[:: max(1, len(files) // count)][:count]
            pictures = [images.read(file.read(), file.path) for file in files]
            _row(model, name, pictures)
    return 0


def _row(model, name: str, pictures) -> None:
    x, values = pipeline.prepare(model, pictures), []
    for start in range(0, len(x), 50):
        batch = x[start : start + 50]
        filled = np.concatenate([batch, np.repeat(batch[:1], 50 - len(batch), 0)])
        initial = pipeline.refine(model, filled, 0).images
        measured = pipeline.measure(model, filled, initial)
        rows = [{k: v[:, i] for k, v in measured.items()} for i in range(len(batch))]
        values += [bool(familiarity.unlike(model, row)) for row in rows]
    print(f"| {name} | {len(values)} | {100 * np.mean(values):.1f} % |", flush=True)


def _draw(count: int, size: int, accessories: bool = False) -> np.ndarray:
    indices = np.arange(_FIRST, _FIRST + count)
    return faces.draw(indices, 0, size, accessories)["image"]


def _moved(image, angle=0.0, scale=1.0, shift=(0.0, 0.0)) -> np.ndarray:
    """Turned, scaled and shifted about the middle; edges are continued."""
    middle = (len(image) - 1) / 2
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    matrix = np.array([[c, -s], [s, c]]) / scale
    offset = middle - matrix @ (middle + np.array(shift) * len(image))
    channels = [
        ndimage.affine_transform(
            image[..., k].astype(np.float32), matrix, offset, order=1, mode="nearest"
        )
        for k in range(3)
    ]
    return np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
