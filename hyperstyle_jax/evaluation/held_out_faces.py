"""Measures how well models invert held-out procedural faces.

Their indices start at 1,000,000; training uses smaller ones only. The same faces with
accessories, which no training image shows, are the second domain. `tables.py` shows the
results.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from hyperstyle_jax import faces, images
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.config import reading
from hyperstyle_jax.inversion import pipeline
from hyperstyle_jax.training import tasks
from hyperstyle_jax.weights import bundle
from hyperstyle_jax.weights.bundle import Bundle

DOMAINS = {"in-domain": False, "accessories": True}  # worn or not


class Inverted(NamedTuple):
    """N faces inverted with one model in T iterations.

    Attributes:
        measures: {name: [T + 1, N]}; row 0 is the initial inversion.
        targets: [K, h, w, 3] in [-1, 1], the first K faces.
        images: [T + 1, K, h, w, 3], their reconstructions.
        seconds: per image, medians: of the initial inversion, and with T iterations.
    """

    measures: dict[str, np.ndarray]
    targets: np.ndarray
    images: np.ndarray
    seconds: tuple[float, ...]


Results = dict[str, dict[str, Inverted]]  # by domain and model


def load(source: str | Path) -> Bundle:
    """A model to evaluate: "demo", a bundle folder, or a workdir of train.py.

    Raises:
        ValueError: it is none of them, or the run has no checkpoint yet.
    """
    if not (Path(source) / "config.json").is_file():
        return bundle.load(source)
    config = reading.read_run(source)
    info = {
        "image_size": cfg.image_size(config["data"]),
        "num_iters": config["num_iters"],
        "attributes": list(faces.ATTRIBUTES),
    }
    return Bundle(tasks.run_nets(source), info, {}, f"of the run {source}")


def run(
    models: Mapping[str, Bundle],
    *,
    count: int = 64,
    first_index: int = faces.TRAINING_INDICES,
    num_iters: int | None = None,
    domains: Sequence[str] = tuple(DOMAINS),
    batch_size: int = 16,
    num_images: int = 6,
    dtype: str = "float32",
    eval_network: Bundle | None = None,
) -> Results:
    """Inverts the same faces with every model.

    Args:
        models: by name.
        count: faces per domain.
        first_index: of the faces.
        num_iters: iterations; default each model's own.
        domains: names out of `DOMAINS`.
        batch_size: faces at a time.
        num_images: how many faces' images to keep.
        dtype: of the feature maps of the inversion.
        eval_network: the bundle whose feature extractor measures; default the first
            model that has one.

    Raises:
        ValueError: a model lacks a network, the models' image sizes differ, or the
            faces belong to training.
    """
    size = _common_size(models, eval_network)
    if count < 1 or batch_size < 1:
        raise ValueError(f"{count} faces, {batch_size} at a time: expected 1 or more")
    if eval_network is None:
        with_extractor = [m for m in models.values() if "feature_extractor" in m.nets]
        eval_network = (with_extractor or list(models.values()))[0]
    batch_size, results = min(batch_size, count), {}
    rounds = len(domains) * len(models) * -(-count // batch_size)
    with tqdm(total=rounds, desc="inverting", unit="batch", disable=None) as bar:
        for domain in domains:
            x = held_out(count, first_index, size, DOMAINS[domain])
            results[domain] = {}
            for name, model in models.items():
                results[domain][name] = _invert(
                    model,
                    eval_network,
                    x,
                    pipeline.checked_num_iters(model, num_iters),
                    batch_size,
                    num_images,
                    dtype,
                    bar,
                )
    return results


def held_out(count: int, first_index: int, size: int, accessories: bool) -> np.ndarray:
    """Faces that are not used in training: [count, size, size, 3] float in [-1, 1].

    Args:
        count: of faces, with the indices from `first_index` on.
        size: in pixels.
        accessories: whether they wear hats, glasses and the like.

    Raises:
        ValueError: indices that belong to training.
    """
    if first_index < faces.TRAINING_INDICES:
        raise ValueError(
            f"faces from index {first_index}: those below {faces.TRAINING_INDICES:,} "
            "are trained on; choose larger ones"
        )
    indices = np.arange(first_index, first_index + count)
    return images.to_float(faces.draw(indices, 0, size, accessories)["image"])


def _common_size(models: Mapping[str, Bundle], eval_network: Bundle | None) -> int:
    """The size of all models' images, in pixels."""
    for name, model in models.items():
        try:
            model.require("encoder", "hypernet", "generator")
        except ValueError as error:
            raise ValueError(f"{name} cannot invert: {error}") from None
    sizes = {name: model.image_size for name, model in models.items()}
    if eval_network:
        eval_network.require("feature_extractor")
        sizes["the evaluation network"] = eval_network.image_size
    height, width = next(iter(sizes.values()))
    if len(set(sizes.values())) != 1 or height != width:
        listed = ", ".join(f"{h}x{w} ({name})" for name, (h, w) in sizes.items())
        raise ValueError(f"images of {listed}: expected squares of one size")
    return height


def _invert(
    model, eval_network, x, num_iters, batch_size, num_images, dtype, bar
) -> Inverted:
    # The last batch is moved back until it is full: one compiled program serves all.
    starts = [min(i, len(x) - batch_size) for i in range(0, len(x), batch_size)]
    seconds, measures, images = {0: [], num_iters: []}, [], []
    for i, start in enumerate(starts):
        batch = x[start : start + batch_size]
        for t in seconds:
            if i == 0:
                _timed(model, batch, t, dtype)  # compiles, or loads the program
            reconstructions, duration = _timed(model, batch, t, dtype)
            seconds[t].append(duration)
        new = slice(i * batch_size - start, None)  # not those of the batch before
        values = pipeline.measure(eval_network, batch, reconstructions)
        measures.append({k: v[:, new] for k, v in values.items()})
        if i * batch_size < num_images:
            images.append(np.asarray(reconstructions[:, new]))
        bar.update()
    return Inverted(
        {k: np.concatenate([m[k] for m in measures], axis=1) for k in measures[0]},
        x[:num_images],
        np.concatenate(images, axis=1)[:, :num_images],
        tuple(float(np.median(seconds[t])) for t in (0, num_iters)),
    )


def _timed(model, batch, num_iters, dtype):
    """The image after every iteration, and seconds per image."""
    start = time.perf_counter()
    refinement = pipeline.refine(model, batch, num_iters, dtype)
    images = jax.block_until_ready(refinement).images
    return images, (time.perf_counter() - start) / len(batch)
