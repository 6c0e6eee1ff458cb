"""What `speed` times. Networks are those of the release at full width."""

import dataclasses
import math
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any


@dataclasses.dataclass(frozen=True)
class Item:
    """Something to time.

    Attributes:
        make: () → (function to be jitted, its arguments); None: `stream` is timed.
        images: made or read by one call.
        stream: () → a function that does the work of one call on the host.
        renews: the first result is the next call's first argument.
        devices: CPU devices to be had, where there is no other kind.
        dtype: of the feature maps.
    """

    make: Callable[[], tuple[Callable, tuple]] | None
    images: int
    stream: Callable[[], Callable[[], Any]] | None = None
    renews: bool = False
    devices: int = 1
    dtype: str = "float32"


def _random(module, inputs=None):
    """Some weights, made one by one: drawing all at once takes twice their memory."""
    from hyperstyle_jax import trees
    from hyperstyle_jax.net import Net
    from hyperstyle_jax.weights import specs

    shapes = trees.flatten(specs.shapes(module, inputs))
    return Net(
        module, trees.unflatten({k: _weight(k, v.shape) for k, v in shapes.items()})
    )


def _weight(path: str, shape):
    """Normal numbers, so small that residual networks without training do not grow."""
    import jax.numpy as jnp
    import numpy as np

    if path.endswith(
        ("var", "affine/bias", "norm/weight", "norm1/weight", "norm2/weight")
    ):
        return jnp.ones(shape)
    if len(shape) < 2 and not path.endswith("noise_const"):
        return jnp.zeros(shape)
    rng = np.random.default_rng(len(path))
    values = _aligned(shape)
    rng.standard_normal(dtype=np.float32, out=values)
    values *= np.float32(np.sqrt(0.2 / np.prod(shape[:-1])))
    return jnp.asarray(values)


def _aligned(shape):
    """Memory that the CPU backend takes over without a copy."""
    import numpy as np

    raw = np.empty(math.prod(shape) * 4 + 64, np.uint8)
    first = -raw.ctypes.data % 64
    return raw[first : first + math.prod(shape) * 4].view(np.float32).reshape(shape)


def _generator(size: int):
    from hyperstyle_jax.models.generator import Generator

    return _random(Generator(size))


def _encoder(generator, size=256):
    from hyperstyle_jax.models.encoders import WEncoder

    return _random(WEncoder(generator.module.w_dim), [(size, size, 3)])


def _hypernet(generator, size=256):
    from hyperstyle_jax.models.hypernet import Hypernet, tuned_layers

    return _random(Hypernet(tuned_layers(generator.module)), [(size, size, 3)] * 2)


def _images(batch: int, size: int):
    import jax

    return jax.random.uniform(jax.random.key(1), (batch, size, size, 3), minval=-1)


def _styles(generator, batch: int):
    import jax

    return jax.random.normal(jax.random.key(2), (batch, generator.module.w_dim))


def _render(size: int, batch: int):
    def make():
        net = _generator(size)
        return lambda net, w: net(w, method="synthesis"), (net, _styles(net, batch))

    return Item(make, batch)


def _inversion(generator, batch: int):
    """An inversion with offsets of every convolution."""
    import jax

    from hyperstyle_jax import trees
    from hyperstyle_jax.models.hypernet import tuned_layers
    from hyperstyle_jax.offsets import Inversion

    kernels = trees.flatten(generator.params)
    offsets = {}
    for path, *_, kind in tuned_layers(generator.module):
        shape = kernels[path].shape
        shape = shape if kind == "shared" else shape[2:]
        offsets[path] = 0.1 * jax.random.normal(jax.random.key(3), (batch, *shape))
    return Inversion(_styles(generator, batch), offsets)


def _render_offsets(size: int, batch: int):
    def make():
        from hyperstyle_jax.offsets import synthesize

        net = _generator(size)
        return synthesize, (net, _inversion(net, batch))

    return Item(make, batch)


def _encode():
    net = _encoder(_generator(1024))
    return lambda net, x: net(x), (net, _images(1, 256))


def _predict():
    net = _hypernet(_generator(1024))
    x, y = _images(1, 256), 0.5 * _images(1, 256)

    def offsets(net, x, y):
        return net(net(x, y), 1, method="decode")

    return offsets, (net, x, y)


def _invert(size: int, num_iters: int = 5, batch: int = 1, dtype: str = "float32"):
    def make():
        from hyperstyle_jax.inversion import hyperstyle

        generator, seen = _generator(size), min(size, 256)
        nets = (_encoder(generator, seen), _hypernet(generator, seen), generator)

        def invert(encoder, hypernet, generator, x):
            x = x.astype(dtype)
            return hyperstyle.invert(encoder, hypernet, generator, x, num_iters)

        return invert, (*nets, _images(batch, seen))

    return Item(make, batch, dtype=dtype)


def _edit():
    """Embeddings of an inversion → offsets → the image of a shifted latent."""
    from hyperstyle_jax.inversion import hyperstyle
    from hyperstyle_jax.offsets import LayerEmbeddings, synthesize

    generator = _generator(1024)
    hypernet = _hypernet(generator)
    zeros = hyperstyle.no_embeddings(hypernet.module, 1, 5)
    embeddings = LayerEmbeddings({path: v + 1 for path, v in zeros.items()}, 5)
    w_plus = _styles(generator, 1)

    def edit(hypernet, generator, w_plus, embeddings, direction):
        inversion = hyperstyle.decode(hypernet, w_plus + direction, embeddings)
        return synthesize(generator, inversion)

    return edit, (hypernet, generator, w_plus, embeddings, 0.1 * w_plus)


def _train(
    config_of,
    batch: int,
    loss_networks_of=None,
    devices: int = 1,
    dtype: str = "float32",
):
    def make():
        import jax
        import numpy as np

        from hyperstyle_jax.loop import fit, parallel
        from hyperstyle_jax.training import hyperstyle

        config = config_of()
        config.batch_size, config.precision = batch, dtype
        task = hyperstyle.make_task(
            config, loss_networks=loss_networks_of and loss_networks_of(config)
        )
        device = jax.local_devices()[:devices]
        place = parallel.replicated(device)
        state = fit.fresh_state(task, 0, device)
        frozen = jax.device_put(task.frozen, place)
        size = config.data.size
        shape = (devices, batch // devices, size, size, 3)
        image = np.random.default_rng(0).integers(0, 256, shape)
        examples = {
            "image": image.astype(np.uint8),
            "index": np.zeros(shape[:2], np.int32),
        }
        step = fit.Phases(task, device, config.seed)[1]
        return step, (state, frozen, examples, np.int32(1))

    return Item(make, batch, renews=True, devices=devices, dtype=dtype)


def _demo_config():
    from hyperstyle_jax.config import fields as cfg

    config = cfg.demo("hyperstyle")
    init = config.init
    init.generator = init.encoder = init.feature_extractor = init.hypernet = "demo"
    config.num_iters = 1
    return config


def _full_config(size: int, num_iters: int):
    """Images of 256², every loss of the release, Ranger."""
    from hyperstyle_jax.config import fields as cfg

    config = cfg.base("hyperstyle")
    config.model.generator.resolution, config.data.size = size, 256
    config.num_iters = num_iters
    config.optim.update(name="ranger", b1=0.95, eps=1e-5)
    return config


def _full_loss_networks(config):
    from hyperstyle_jax.models.irnet import FaceNet
    from hyperstyle_jax.models.lpips import LPIPS
    from hyperstyle_jax.training import from_config

    loss_networks = {"lpips": _random(LPIPS()), "arcface": _random(FaceNet())}
    shape = from_config.image_shape(config)
    return loss_networks | {"encoder": _random(from_config.encoder(config), [shape])}


def _pipeline():
    """64 faces of 256² as stored PNG files, decoded, mirrored, batched."""
    from hyperstyle_jax.data import builders, examples, pipeline

    folder = tempfile.TemporaryDirectory()
    path = builders.prepare_faces(folder.name, (0, 64), 256)
    batches = pipeline.batches(examples.RecordSource(path), 64, 0, flip=True)

    def read(folder=folder):  # the folder lives as long as the function
        return next(batches)["image"]

    return read


ITEMS = {
    **{f"generator_{r}": _render(r, 1) for r in (64, 256, 1024)},
    **{f"generator_{r}_b4": _render(r, 4) for r in (64, 256, 1024)},
    **{f"generator_{r}_offsets": _render_offsets(r, 1) for r in (64, 256, 1024)},
    **{f"generator_{r}_offsets_b4": _render_offsets(r, 4) for r in (64, 256, 1024)},
    "w_encoder_256": Item(_encode, 1),
    "hypernet_1024": Item(_predict, 1),
    "inversion_256_T5": _invert(256),
    "inversion_1024_T5": _invert(1024),
    "edit_1024": Item(_edit, 1),
    "train_step_256_b2_T2": _train(
        partial(_full_config, 256, 2), 2, _full_loss_networks
    ),
    "train_step_1024_b1_T1": _train(
        partial(_full_config, 1024, 1), 1, _full_loss_networks
    ),
    "train_step_demo": _train(_demo_config, 8),
    "input_pipeline": Item(None, 64, _pipeline),
}
# What `--only` takes besides single items. Growth: of the cost, one thing at a time.
GROWTH = {
    "resolution": {r: _invert(r) for r in (64, 128, 256, 512, 1024)},
    "batch": {b: _invert(256, batch=b) for b in (1, 2, 4, 8, 16)},
    "iterations": {t: _invert(256, t) for t in (1, 2, 5, 10)},
    "devices": {d: _train(_demo_config, 16, devices=d) for d in (1, 2, 4)},
}
_HALF = "bfloat16"
_FULL_BATCH = (partial(_full_config, 1024, 5), 8, _full_loss_networks)
GPU = {
    "inversion_1024_T5_b8": _invert(1024, batch=8),
    "inversion_1024_T5_b8_bf16": _invert(1024, batch=8, dtype=_HALF),
    "train_step_1024_b8_T5": _train(*_FULL_BATCH),
    "train_step_1024_b8_T5_bf16": _train(*_FULL_BATCH, dtype=_HALF),
}
GROUPS = {
    "growth": [f"{what}_{n}" for what, items in GROWTH.items() for n in items],
    "gpu": list(GPU),
}
EVERY = {
    **ITEMS,
    "inversion_1024_T5_bf16": _invert(1024, dtype=_HALF),
    **{f"{what}_{n}": v for what, items in GROWTH.items() for n, v in items.items()},
    **GPU,
}
