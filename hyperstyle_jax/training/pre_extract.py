"""Computes the initial inversions of a data set once, before the runs that need them.

The result is a data set with the same images in the same order. Each example also has
`w` and the initial inversion, and, for runs that flip images, both of the mirror image.
Its identity records the networks that they were computed with.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from hyperstyle_jax import images, trees
from hyperstyle_jax.config import checks
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.data import initial_inversions, pipeline, shards
from hyperstyle_jax.data.shards import Made, Row
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import common, from_config, inputs, iterations, tasks

_KIND = "initial inversions"
_SHARD_PIXELS = 128 * 256 * 256  # about 100 MB
_NETWORKS = ("encoder", "generator")


def run(config: ConfigDict, out: str | Path) -> dict[str, Any]:
    """Stores the initial inversions of all images in `config.data.path`.

    The same call again goes on where the last one stopped.

    Args:
        config: of the run that is to use them.
        out: folder of the new data set, for `config.data.path` with kind "tfds".

    Returns:
        The content of its `report.json`, see `shards.write`.

    Raises:
        ValueError: a config that has no use for them, or a folder of something else.
    """
    checks.check(config)
    _check_config(config)
    devices = parallel.devices(config.num_devices, config.batch_size)
    frozen = {
        "generator": from_config.load_generator(config, tasks.load_networks),
        "encoder": from_config.load_encoder(config, tasks.load_networks),
    }
    path = inputs.records_path(config.data, config.data.path)
    splits = {"train"} if config.data.eval_path else {"train", config.data.eval_split}
    sources = {name: pipeline.RecordSource(path, name) for name in sorted(splits)}
    rows = {name: _rows(source) for name, source in sources.items()}
    identity = _identity(frozen) | {
        "source": shards.report(path)["sha256"] if shards.is_data_set(path) else path,
        "size": list(cfg.image_size(config.data)),
        "flip": config.data.flip,
        "precision": config.precision,
    }
    frozen = jax.device_put(frozen, parallel.replicated(devices))
    step = partial(_step, config.data.flip, jnp.dtype(config.precision))
    step = parallel.eval_step(step, devices, config.seed)

    height, width = cfg.image_size(config.data)
    per_device = config.batch_size // len(devices)
    batch_shape = (len(devices), per_device, height, width, 3)

    invert = _inverter(step, frozen, config.batch_size, len(devices))
    with ThreadPoolExecutor(2) as pool:

        def make(split: str, positions: Sequence[int]) -> Iterable[Made]:
            return _made(
                sources[split], rows[split], positions, config.batch_size, pool, invert
            )

        return shards.write(
            out,
            {name: range(len(source)) for name, source in sources.items()},
            make,
            name="initial_inversions",
            features=_features(step, frozen, batch_shape),
            description="Images with their initial inversions.",
            identity=identity,
            shard_length=max(16, _SHARD_PIXELS // np.prod(identity["size"])),
            title="inverting",
        )


def check(config: ConfigDict, frozen: dict[str, Net]) -> None:
    """Refuses stored initial inversions that are not those of a run.

    Args:
        frozen: the networks of the run.

    Raises:
        ValueError: they came from other networks, or lack what the run needs.
    """
    path, stored = config.data.path, _stored(config)
    if not stored:
        return
    _check_config(config)
    own = _identity(frozen)
    for name in _NETWORKS:
        if stored[name] != own[name]:
            raise ValueError(
                f"{path} has the initial inversions of {name} {stored[name][:12]}, but "
                f"config.init.{name} is {own[name][:12]}; run `hyperstyle "
                "pre-extract` with this config, or set config.data.path to images"
            )
    if config.data.flip and not stored["flip"]:
        raise ValueError(
            f"{path} has no initial inversions of mirrored images, but "
            "config.data.flip is True; run `hyperstyle pre-extract` with this config, "
            "or set it to False"
        )


def shapes(config: ConfigDict) -> dict[str, tuple]:
    """(shape, dtype) by name of what stored inversions add to each example of a run.

    Empty where the data set has none, or is not on this machine.
    """
    if not _stored(config):
        return {}
    from hyperstyle_jax.data import builders  # seconds: only where they are needed

    shapes = builders.shapes(config.data.path)
    return {name: shapes[name] for name in initial_inversions.NAMES}


def _stored(config: ConfigDict) -> dict[str, Any]:
    """The identity of the initial inversions in `config.data.path`, or {}."""
    path = config.data.path
    usable = config.task == "hyperstyle" and config.data.kind == "tfds"
    identity = shards.identity(path) if usable and shards.is_data_set(path) else {}
    return identity if identity.get("kind") == _KIND else {}


def _check_config(config: ConfigDict) -> None:
    if config.task != "hyperstyle":
        raise ValueError(f"config.task is {config.task}, expected hyperstyle")
    if config.data.kind == "faces":
        raise ValueError("config.data.kind is faces, expected folder or tfds")
    if config.data.augment:
        raise ValueError(
            f"config.data.augment is {config.data.augment}, but stored initial "
            "inversions are of the images as they are; set it to 0"
        )


def _identity(frozen: dict[str, Net]) -> dict[str, Any]:
    return {"kind": _KIND} | {
        name: trees.sha256(dict(frozen[name].variables)) for name in _NETWORKS
    }


def _inverter(step, frozen, batch_size, num_devices):
    """images [N <= batch_size, H, W, 3] → the arrays to store, by name."""

    def invert(images):
        full = pipeline.padded({"image": images}, batch_size)
        pieces = parallel.split({"image": full["image"]}, num_devices)
        stored = jax.device_get(step(None, frozen, pieces, np.int32(0)))
        return {k: v.reshape(-1, *v.shape[2:]) for k, v in stored.items()}

    return invert


def _step(flip, dtype, state, frozen, batch, key):
    """The arrays to store with a batch, by name."""
    x, stored = common.images(batch), {}
    views = {"": x, "_flipped": x[:, :, ::-1]} if flip else {"": x}
    for suffix, view in views.items():
        w_plus, image = iterations.initial_inversion(frozen, {"image": view}, dtype)
        # A W-encoder's rows are equal: one of them is stored.
        stored[f"w{suffix}"] = w_plus[:, 0].astype(jnp.float32)
        stored[f"inversion{suffix}"] = initial_inversions.encode(image)
    return stored


def _rows(source: pipeline.RecordSource) -> list[Row]:
    """A row per record; of a data set that others have prepared, with its name only."""
    return source.rows() or [Row(f"record {i}", "", "") for i in range(len(source))]


def _made(source, rows, positions, batch_size, pool, invert) -> Iterable[Made]:
    """Inverts the images at `positions` in batches while it reads the next ones."""

    def read(chosen):
        problems = {}
        return chosen, pipeline.readable(source, chosen, problems), problems

    chunks = [
        np.asarray(positions[i : i + batch_size])
        for i in range(0, len(positions), batch_size)
    ]
    for chosen, parts, problems in shards.in_order(pool, read, chunks):
        for position, problem in problems.items():
            yield Made(rows[position].name, problem=problem)
        left = [int(i) for i in chosen if int(i) not in problems]
        if left:
            images = pipeline.joined(parts)["image"]
            inverted = invert(images)
            for i, position in enumerate(left):
                stored = {k: v[i] for k, v in inverted.items()}
                yield _example(rows[position], images[i], stored)


def _example(row: Row, image: np.ndarray, stored: dict[str, np.ndarray]) -> Made:
    example = {"image": images.encode_png(image), "name": row.name, **stored}
    largest = max(np.abs(v).max() for v in stored.values() if v.dtype == np.int16)
    pixels = row.pixel_sum or shards.sha256(image.tobytes())
    note = "clipped" if largest == initial_inversions.LARGEST else ""
    return Made(row.name, example, row.file_sum, pixels, note=note)


def _features(step, frozen, batch_shape) -> dict[str, Any]:
    """The data set's features by name, for images [devices, B, H, W, 3]."""
    image = jax.ShapeDtypeStruct(batch_shape, np.uint8)
    stored = jax.eval_shape(step, None, frozen, {"image": image}, np.int32(0))
    return {
        "image": shards.png(*batch_shape[2:4]),
        "name": shards.text(),
        **{k: shards.tensor(v.shape[2:], v.dtype) for k, v in stored.items()},
    }
