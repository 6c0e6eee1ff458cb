"""What `speed` times of trained networks: rendering, inversion, editing."""

from collections.abc import Callable

import jax

from hyperstyle_jax import trees
from hyperstyle_jax.benchmark import random_networks
from hyperstyle_jax.benchmark.item import Item
from hyperstyle_jax.inversion import hyperstyle
from hyperstyle_jax.models.hypernet import tuned_layers
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, LayerEmbeddings, synthesize


def render(size: int, batch: int) -> Item:
    """The generator at size × size, with weights that all images share."""

    def make():
        net = random_networks.generator(size)
        latents = random_networks.latents(net, batch)
        return lambda net, w: net(w, method="synthesis"), (net, latents)

    return Item(make, batch)


def render_offsets(size: int, batch: int) -> Item:
    """The generator at size × size, with weights of their own for each image."""

    def make():
        net = random_networks.generator(size)
        return synthesize, (net, _random_inversion(net, batch))

    return Item(make, batch)


def _random_inversion(generator: Net, batch: int) -> Inversion:
    """An inversion with offsets of every convolution."""
    kernels = trees.flatten(generator.params)
    offsets = {}
    for path, *_, kind in tuned_layers(generator.module):
        shape = kernels[path].shape
        shape = shape if kind == "shared" else shape[2:]
        offsets[path] = 0.1 * jax.random.normal(jax.random.key(3), (batch, *shape))
    return Inversion(random_networks.latents(generator, batch), offsets)


def make_encode() -> tuple[Callable, tuple]:
    """The W-encoder on one image."""
    net = random_networks.encoder(random_networks.generator(1024))
    return lambda net, x: net(x), (net, random_networks.images(1, 256))


def make_predict() -> tuple[Callable, tuple]:
    """The hypernetwork on one image: the offsets of one iteration."""
    net = random_networks.hypernet(random_networks.generator(1024))
    x, y = random_networks.images(1, 256), 0.5 * random_networks.images(1, 256)

    def offsets(net, x, y):
        return net(net(x, y), 1, method="decode")

    return offsets, (net, x, y)


def invert(
    size: int, num_iters: int = 5, batch: int = 1, dtype: str = "float32"
) -> Item:
    """HyperStyle's inversion with a generator of size × size, images of up to 256²."""

    def make():
        generator, image_size = random_networks.generator(size), min(size, 256)
        encoder = random_networks.encoder(generator, image_size)
        hypernet = random_networks.hypernet(generator, image_size)
        x = random_networks.images(batch, image_size)

        def run(encoder, hypernet, generator, x):
            x = x.astype(dtype)
            return hyperstyle.invert(encoder, hypernet, generator, x, num_iters)

        return run, (encoder, hypernet, generator, x)

    return Item(make, batch, dtype=dtype)


def make_edit() -> tuple[Callable, tuple]:
    """An edit of a stored inversion: embeddings → offsets → image of another latent."""
    generator = random_networks.generator(1024)
    hypernet = random_networks.hypernet(generator)
    zeros = hyperstyle.no_embeddings(hypernet.module, 1, 5)
    embeddings = LayerEmbeddings({path: v + 1 for path, v in zeros.items()}, 5)
    w_plus = random_networks.latents(generator, 1)

    def run(hypernet, generator, w_plus, embeddings, direction):
        inversion = hyperstyle.decode(hypernet, w_plus + direction, embeddings)
        return synthesize(generator, inversion)

    return run, (hypernet, generator, w_plus, embeddings, 0.1 * w_plus)
