"""Computes the initial inversions of a data set once, before the runs that need them.

The result is a data set with the same images in the same order. Each example also has
`w` and the initial inversion, and, for runs that flip images, both of the mirror image.
Its plan records the networks that they were computed with.
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
from hyperstyle_jax.data import (
    initial_inversions,
    pipeline,
    reading,
    shard_files,
    shards,
    tfds_format,
)
from hyperstyle_jax.data.examples import RecordSource
from hyperstyle_jax.data.shard_files import ImageSums
from hyperstyle_jax.data.shards import MadeExample
from hyperstyle_jax.loop import parallel
from hyperstyle_jax.net import Net
from hyperstyle_jax.system import threads
from hyperstyle_jax.training import common, from_config, inputs, iterations, tasks

_KIND = "initial inversions"
_SHARD_PIXELS = 128 * 256 * 256  # about 100 MB
_NETWORKS = ("encoder", "generator")


def run(config: ConfigDict, out: str | Path) -> dict[str, Any]:
    """Stores the initial inversions of all images in `config.data.path`.

    The same call again continues where the last one stopped.

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
    sources = {name: RecordSource(path, name) for name in sorted(splits)}
    sums = {name: _image_sums(source) for name, source in sources.items()}
    plan = _network_sums(frozen) | {
        "source": shard_files.report(path)["sha256"]
        if shard_files.is_finished(path)
        else path,
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

        def make_examples(split, positions: Sequence[int]) -> Iterable[MadeExample]:
            source = sources[split], sums[split]
            return _made_examples(*source, positions, config.batch_size, pool, invert)

        return shards.write(
            out,
            {name: range(len(source)) for name, source in sources.items()},
            make_examples,
            name="initial_inversions",
            features=_features(step, frozen, batch_shape),
            description="Images with their initial inversions.",
            plan=plan,
            shard_length=max(16, _SHARD_PIXELS // np.prod(plan["size"])),
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
    own = _network_sums(frozen)
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
    """The plan of the initial inversions in `config.data.path`, or {}."""
    path = config.data.path
    usable = config.task == "hyperstyle" and config.data.kind == "tfds"
    plan = shard_files.plan(path) if usable and shard_files.is_finished(path) else {}
    return plan if plan.get("kind") == _KIND else {}


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


def _network_sums(frozen: dict[str, Net]) -> dict[str, Any]:
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


def _image_sums(source: RecordSource) -> list[ImageSums]:
    """The checksums of each image; a name alone where the data set stores none."""
    names = (f"record {i}" for i in range(len(source)))
    return source.image_sums() or [ImageSums(name, "", "") for name in names]


def _made_examples(
    source, sums, positions, batch_size, pool, invert
) -> Iterable[MadeExample]:
    """Inverts the images at `positions` in batches while it reads the next ones."""

    def read(chosen):
        problems = {}
        return chosen, reading.readable_batches(source, chosen, problems), problems

    chunks = [
        np.asarray(positions[i : i + batch_size])
        for i in range(0, len(positions), batch_size)
    ]
    for chosen, parts, problems in threads.map_in_order(pool, read, chunks):
        for position, problem in problems.items():
            yield MadeExample(sums[position].name, problem=problem)
        readable = [int(i) for i in chosen if int(i) not in problems]
        if readable:
            images = reading.concatenate(parts)["image"]
            inverted = invert(images)
            for i, position in enumerate(readable):
                stored = {k: v[i] for k, v in inverted.items()}
                yield _example(sums[position], images[i], stored)


def _example(
    sums: ImageSums, image: np.ndarray, stored: dict[str, np.ndarray]
) -> MadeExample:
    example = {"image": images.encode_png(image), "name": sums.name, **stored}
    largest = max(np.abs(v).max() for v in stored.values() if v.dtype == np.int16)
    pixels = sums.pixel_sum or shard_files.checksum(image.tobytes())
    note = "clipped" if largest == initial_inversions.LARGEST else ""
    return MadeExample(sums.name, example, sums.file_sum, pixels, note=note)


def _features(step, frozen, batch_shape) -> dict[str, Any]:
    """The data set's features by name, for images [devices, B, H, W, 3]."""
    image = jax.ShapeDtypeStruct(batch_shape, np.uint8)
    stored = jax.eval_shape(step, None, frozen, {"image": image}, np.int32(0))
    return {
        "image": tfds_format.png(*batch_shape[2:4]),
        "name": tfds_format.text(),
        **{k: tfds_format.tensor(v.shape[2:], v.dtype) for k, v in stored.items()},
    }
