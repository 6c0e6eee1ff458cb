"""Landmarks by MTCNN: three networks in a cascade, https://arxiv.org/abs/1604.02878.

The first looks at every place in an image pyramid, the second and third test what is
left of the one before; the third also gives five points. Thresholds, scales and
roundings are those of the PyTorch version that HyperStyle's release carries.
"""

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.images import warping
from hyperstyle_jax.net import Net
from hyperstyle_jax.photos.face import Face, Finder, largest_first
from hyperstyle_jax.photos.landmarks import boxes
from hyperstyle_jax.photos.landmarks.steadying import steady
from hyperstyle_jax.photos.landmarks.turning import find_in_any_turn

_ROLES = ("pnet", "rnet", "onet")
_MOST_SIDE = 1024  # of the photo that is searched
_LEAST_FACE = 20  # pixels
_CELL, _STRIDE, _FACTOR = 12, 2, 0.707  # of the first network and the pyramid
_THRESHOLDS = (0.6, 0.7, 0.8)
_OVERLAP_OF_LEVEL, _OVERLAP = 0.5, 0.7
_SURE = 0.98  # the third network's probability
_CHUNK = 32  # crops that one compiled program tests
_GRID = 64  # sides of pyramid images are multiples, so that few programs are compiled


def load(model: str | Path | None = None) -> Finder:
    """The finder.

    Args:
        model: a bundle with the networks pnet, rnet and onet, or a folder with the
            released pnet.npy, rnet.npy and onet.npy.

    Raises:
        ValueError: no model, or one without the three networks.
    """
    nets = _networks(model)

    def detect(photo: np.ndarray) -> list[Face]:
        return cascade(nets, photo)

    def locate(views: np.ndarray) -> np.ndarray:
        return _judge(nets["onet"], views)["landmarks"]

    def find(photo: np.ndarray, _: str = "") -> list[Face]:
        searched, scale = _searched(photo)
        faces = find_in_any_turn(searched, detect, _SURE)
        points = [steady(photo, (f.points + 0.5) * scale, locate) - 0.5 for f in faces]
        faces = [f._replace(points=p) for f, p in zip(faces, points, strict=True)]
        return largest_first(faces)

    return find


def cascade(nets: Mapping[str, Net], photo: np.ndarray) -> list[Face]:
    """The upright faces of a photo [H, W, 3] uint8, with five points each."""
    squares = _propose(nets["pnet"], photo)
    for role, size, threshold in zip(
        _ROLES[1:], (24, 48), _THRESHOLDS[1:], strict=True
    ):
        if not len(squares):
            return []
        crops = [boxes.cut(photo, square) for square in squares]
        crops = [warping.resize_bilinear(crop, size, size) for crop in crops]
        answers = _judge(nets[role], np.stack(crops))
        sure = answers["face"][:, 1] > threshold
        squares, answers = squares[sure], {k: v[sure] for k, v in answers.items()}
        scores = answers["face"][:, 1]
        if role == "rnet":
            kept = boxes.suppress(squares, scores, _OVERLAP)
            squares = boxes.squares(boxes.shift(squares[kept], answers["box"][kept]))
    points = _points(squares, answers["landmarks"])
    shifted = boxes.shift(squares, answers["box"])
    kept = boxes.suppress(shifted, scores, _OVERLAP, within=True)
    return [Face(points[i], float(scores[i])) for i in kept]


def _networks(model) -> dict[str, Net]:
    if model is None:
        raise ValueError(
            "landmarks by mtcnn: no model; name a bundle with pnet, rnet and onet, or "
            "the folder of pnet.npy, rnet.npy and onet.npy (--landmark-model)"
        )
    files = [Path(model) / f"{role}.npy" for role in _ROLES]
    if all(file.is_file() for file in files):
        from hyperstyle_jax.convert import assembling, conversion

        return assembling.assemble([conversion.read(file) for file in files]).nets
    from hyperstyle_jax.weights import bundle

    return dict(zip(_ROLES, bundle.load(model).require(*_ROLES), strict=True))


def _searched(photo) -> tuple[np.ndarray, np.ndarray]:
    """The photo, scaled down where it is large, and the factors (x, y) back."""
    height, width = photo.shape[:2]
    scale = max(1.0, max(height, width) / _MOST_SIDE)
    rows, columns = (max(_CELL, round(n / scale)) for n in (height, width))
    small = images.resize(photo, rows, columns)
    return small, np.array([width / columns, height / rows])


def _propose(net, photo) -> np.ndarray:
    """Squares in which the first network sees a face of any size: [N, 4]."""
    levels = [(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 4)))]
    scale = _CELL / _LEAST_FACE
    while min(photo.shape[:2]) * scale > _CELL:
        windows, scores, offsets = _propose_at(net, photo, scale)
        kept = boxes.suppress(windows, scores, _OVERLAP_OF_LEVEL)
        levels.append((windows[kept], scores[kept], offsets[kept]))
        scale *= _FACTOR
    windows, scores, offsets = map(np.concatenate, zip(*levels, strict=True))
    kept = boxes.suppress(windows, scores, _OVERLAP)
    return boxes.squares(boxes.shift(windows[kept], offsets[kept]))


def _propose_at(net, photo, scale):
    """Boxes [N, 4], scores [N] and offsets [N, 4] of one image of the pyramid."""
    height, width = (int(np.ceil(n * scale)) for n in photo.shape[:2])
    image = warping.resize_bilinear(photo, height, width)
    padded = np.zeros((*(-(-n // _GRID) * _GRID for n in (height, width)), 3), "f4")
    padded[:height, :width] = _normalized(image)
    answers = jax.device_get(_apply(net, padded[None]))
    # As many windows as lie in the image: the padding has none of its own.
    rows, columns = (-(-(n - _CELL) // _STRIDE) + 1 for n in (height, width))
    face = answers["face"][0, :rows, :columns, 1]
    y, x = np.nonzero(face > _THRESHOLDS[0])
    low = np.stack([x, y], 1) * _STRIDE + 1.0
    windows = np.concatenate([low, low + _CELL], axis=1)
    return np.round(windows / scale), face[y, x], answers["box"][0][y, x]


def _judge(net, crops) -> dict[str, np.ndarray]:
    """The answers of the second or third network for crops [N, S, S, 3] uint8."""
    answers = []
    for start in range(0, len(crops), _CHUNK):
        chunk = _normalized(crops[start : start + _CHUNK])
        filled = np.zeros((_CHUNK, *chunk.shape[1:]), np.float32)
        filled[: len(chunk)] = chunk
        answer = jax.device_get(_apply(net, filled))
        answers.append({k: v[: len(chunk)] for k, v in answer.items()})
    return {k: np.concatenate([a[k] for a in answers]) for k in answers[0]}


def _points(squares, landmarks) -> np.ndarray:
    """Landmarks [N, 10] in parts of their squares → points [N, 5, 2] in the photo."""
    sides = squares[:, 2:] - squares[:, :2] + 1
    parts = np.stack([landmarks[:, :5], landmarks[:, 5:]], axis=-1)
    # A square begins at the edge of its first pixel, points count from its middle.
    return squares[:, None, :2] + sides[:, None] * parts - 0.5


def _normalized(image) -> np.ndarray:
    return (image.astype(np.float32) - np.float32(127.5)) / np.float32(128)


@jax.jit
def _apply(net, x):
    return net(x)
