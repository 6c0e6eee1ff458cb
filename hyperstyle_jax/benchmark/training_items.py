"""What `speed` times of training: steps, and the reading of images.

The modules of training are imported late: they take seconds.
"""

import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from hyperstyle_jax.benchmark import random_networks
from hyperstyle_jax.benchmark.item import Item
from hyperstyle_jax.models.irnet import FaceNet
from hyperstyle_jax.models.lpips import LPIPS
from hyperstyle_jax.net import Net


def train(
    make_config: Callable[[], Any],
    batch: int,
    make_loss_networks: Callable[[Any], Mapping[str, Net]] | None = None,
    devices: int = 1,
    dtype: str = "float32",
) -> Item:
    """One training step of the hypernetwork.

    Args:
        make_config: () → the run's config.
        batch: images in a step.
        make_loss_networks: config → networks of the losses; by default those that the
            config names.
        devices: among which the batch is divided.
        dtype: of the feature maps.
    """

    def make():
        from hyperstyle_jax.loop import fit, parallel
        from hyperstyle_jax.training import hyperstyle

        config = make_config()
        config.batch_size, config.precision = batch, dtype
        loss_networks = make_loss_networks(config) if make_loss_networks else None
        task = hyperstyle.make_task(config, loss_networks=loss_networks)
        used = jax.local_devices()[:devices]
        state = fit.fresh_state(task, 0, used)
        frozen = jax.device_put(task.frozen, parallel.replicated(used))
        size = config.data.size
        shape = (devices, batch // devices, size, size, 3)
        images = np.random.default_rng(0).integers(0, 256, shape)
        examples = {
            "image": images.astype(np.uint8),
            "index": np.zeros(shape[:2], np.int32),
        }
        step = fit.Phases(task, used, config.seed)[1]
        return step, (state, frozen, examples, np.int32(1))

    return Item(make, batch, renews=True, devices=devices, dtype=dtype)


def demo_config():
    """The config of the demo's hypernetwork, with one iteration."""
    from hyperstyle_jax.config import fields as cfg

    config = cfg.demo("hyperstyle")
    init = config.init
    init.generator = init.encoder = init.feature_extractor = init.hypernet = "demo"
    config.num_iters = 1
    return config


def full_config(size: int, num_iters: int):
    """A config as the release's: images of 256², every loss, Ranger."""
    from hyperstyle_jax.config import fields as cfg

    config = cfg.base("hyperstyle")
    config.model.generator.resolution, config.data.size = size, 256
    config.num_iters = num_iters
    config.optim.update(name="ranger", b1=0.95, eps=1e-5)
    return config


def full_loss_networks(config) -> dict[str, Net]:
    """LPIPS, ArcFace and the encoder of the initial inversion, with random weights."""
    from hyperstyle_jax.training import from_config

    inputs = [from_config.image_shape(config)]
    return {
        "lpips": random_networks.random_net(LPIPS()),
        "arcface": random_networks.random_net(FaceNet()),
        "encoder": random_networks.random_net(from_config.encoder(config), inputs),
    }


def read_images() -> Callable[[], Any]:
    """64 faces of 256² as stored PNG files, decoded, mirrored, batched."""
    from hyperstyle_jax.data import builders, examples, pipeline

    folder = tempfile.TemporaryDirectory()
    path = builders.prepare_faces(folder.name, (0, 64), 256)
    batches = pipeline.batches(examples.RecordSource(path), 64, 0, flip=True)

    def read(folder=folder):  # the folder lives as long as the function
        return next(batches)["image"]

    return read
