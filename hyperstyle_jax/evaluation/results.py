"""Measures pictures or inversions against their targets, each pair once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from hyperstyle_jax import images, losses, metrics
from hyperstyle_jax.evaluation import statistics
from hyperstyle_jax.evaluation.networks import Measuring
from hyperstyle_jax.evaluation.pairs import Pair
from hyperstyle_jax.net import Net

# Title, and whether a higher value is closer.
MEASURES = {
    "l2": ("L2", False),
    "psnr": ("PSNR (dB)", True),
    "ssim": ("SSIM", True),
    "ms_ssim": ("MS-SSIM", True),
    "lpips": ("LPIPS", False),
    "lpips_form": ("LPIPS form", False),
    "identity": ("identity", True),
    "independent_lpips_form": ("LPIPS form (independent)", False),
    "independent_identity": ("identity (independent)", True),
    "curricularface": ("identity (CurricularFace)", True),
    "arcface": ("identity (ArcFace)", True),
    "moco": ("similarity (MoCo)", True),
}
# Feature extractors, and how the names of their measures begin.
EXTRACTORS = {"feature_extractor": "", "independent": "independent_"}


class Measured(NamedTuple):
    """Of N pairs.

    Attributes:
        values: {measure: {name: value}}.
        frechet: {feature space: {"distance", "features", "images"}}.
        size: (H, W) at which they were compared.
        worst: (name, result, target), the pairs with the largest distance first.
    """

    values: dict[str, dict[str, float]]
    frechet: dict[str, dict[str, Any]]
    size: tuple[int, int]
    worst: list[tuple[str, np.ndarray, np.ndarray]]


def measure(
    pairs: Sequence[Pair],
    nets: Mapping[str, Measuring],
    read: Callable[[Pair], np.ndarray],
    *,
    size: int | None = None,
    batch_size: int = 16,
    num_worst: int = 4,
) -> Measured:
    """Measures all pairs.

    Args:
        pairs: of `pairs.find`.
        nets: by role, of `networks.load`; as "independent" a feature extractor that
            trained none of what is measured.
        read: the picture of a result, [H, W, 3] uint8.
        size: side to which both are brought; by default targets are cropped and
            resized to the size of the results, as `invert` does it.
        batch_size: pairs at a time; the last batch is filled up, and its filling is
            not counted.
        num_worst: how many pictures to keep.

    Raises:
        ValueError: results of different sizes without `size`, or a file that cannot be
            read; it is named.
    """
    plain = {role: measuring.net for role, measuring in nets.items()}
    sizes = tuple((role, measuring.size) for role, measuring in nets.items())
    values: dict[str, dict[str, float]] = {}
    features: dict[str, list[np.ndarray]] = {}
    worst: list[tuple[float, str, np.ndarray, np.ndarray]] = []
    bar = tqdm(total=len(pairs), unit="pair", disable=None)
    for names, y, x in _batches(_read(pairs, read, size), min(batch_size, len(pairs))):
        measured, spaces = jax.device_get(
            _compare(plain, *map(images.to_float, (y, x)), sizes)
        )
        for measure, numbers in measured.items():
            row = zip(names, map(float, numbers), strict=False)
            values.setdefault(measure, {}).update(row)
        for space, both in spaces.items():
            features.setdefault(space, []).append(both[:, : len(names)])
        of = measured.get("lpips", measured.get("lpips_form", measured["l2"]))
        worst += [(float(of[i]), name, y[i], x[i]) for i, name in enumerate(names)]
        worst = sorted(worst, key=lambda w: -w[0])[:num_worst]
        bar.update(len(names))
    bar.close()
    found = {k: np.concatenate(v, axis=1) for k, v in features.items()}
    frechet = {k: _frechet(*both) for k, both in found.items() if len(pairs) > 1}
    shape = worst[0][2].shape[:2]
    values = {name: values[name] for name in MEASURES if name in values}
    return Measured(values, frechet, shape, [w[1:] for w in worst])


def summarize(measured: Measured) -> dict[str, Any]:
    """JSON values: `images`, `size`, `measures` (by `statistics`) and `frechet`."""
    return {
        "images": len(measured.values["l2"]),
        "size": list(measured.size),
        "measures": {k: statistics.summarize(v) for k, v in measured.values.items()},
        "frechet": measured.frechet,
    }


def _read(pairs, read, size) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    first = None
    for pair in pairs:
        result = read(pair)
        if size:
            result = images.fit(result, size, size)
        first = first or (pair, result.shape)
        if result.shape != first[1]:
            (h, w), (other_h, other_w) = result.shape[:2], first[1][:2]
            raise ValueError(
                f"{pair.result.path} has {h}x{w} pixels, {first[0].result.path} "
                f"{other_h}x{other_w}: give --size"
            )
        target = images.read(pair.target.read(), pair.target.path)
        yield pair.name, result, images.fit(target, *result.shape[:2])


def _batches(items, size: int):
    """(names, results, targets), filled up with the last pair to one size."""
    items = iter(items)
    while batch := [item for _, item in zip(range(size), items, strict=False)]:
        names, y, x = zip(*batch, strict=True)
        fill = size - len(batch)
        yield names, np.stack([*y, *[y[-1]] * fill]), np.stack([*x, *[x[-1]] * fill])


@partial(jax.jit, static_argnames="sizes")
def _compare(nets, y, x, sizes):
    """Measures [B] of two batches, and their features [2, B, F] by space."""
    values = {
        "l2": losses.l2(y, x),
        "psnr": metrics.psnr(y, x),
        "ssim": metrics.ssim(y, x)[0],
        "ms_ssim": metrics.ms_ssim(y, x),
    }
    spaces = {}
    if net := nets.get("lpips"):
        both = net(jnp.concatenate([y, x]), method="extract_features")
        halves = zip(*(jnp.split(f, 2) for f in both), strict=True)
        values["lpips"] = net(*map(list, halves), method="distances")
        spaces[f"lpips_{net.module.net}"] = _pairs(both[-1].mean((1, 2)))
    for role, prefix in EXTRACTORS.items():
        if net := nets.get(role):
            small = [losses.adaptive_pool(i, dict(sizes)[role]) for i in (y, x)]
            distances = net(*small, method="distances")
            names = (f"{prefix}lpips_form", f"{prefix}identity")
            values |= dict(zip(names, distances, strict=True))
            spaces[role] = _pairs(net(jnp.concatenate(small), method="pooled"))
    for role in ("curricularface", "arcface", "moco"):
        if net := nets.get(role):
            spaces[role] = _pairs(vectors(role, net, jnp.concatenate([y, x])))
            values[role] = metrics.similarity(*spaces[role])
    return values, spaces


def vectors(role: str, net: Net, x: jax.Array) -> jax.Array:
    """The vectors of length one, [B, E], whose cosine is called identity.

    Args:
        role: of the network, as in `networks.ROLES`, or "independent".
        net: the network.
        x: [B, h, w, 3] in [-1, 1], of feature extractors at their size.
    """
    if role in EXTRACTORS:
        return net(x)[0]
    return (losses.moco_features if role == "moco" else losses.face_features)(net, x)


def _pairs(features):
    return features.reshape(2, -1, features.shape[-1])


def _frechet(y: np.ndarray, x: np.ndarray) -> dict[str, Any]:
    distance = metrics.frechet_distance(y, x)
    return {"distance": distance, "features": x.shape[1], "images": len(x)}
