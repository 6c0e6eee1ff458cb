"""Small networks with NumPy's random weights: nothing to compile, nothing to train."""

import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.models.encoders import WEncoder
from hyperstyle_jax.models.feature_extractor import FeatureExtractor
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.hypernet import Hypernet, tuned_layers
from hyperstyle_jax.net import Net
from hyperstyle_jax.weights import specs


def random_net(module, seed=0, inputs=None, scale=1.0) -> Net:
    """Normal weights times `scale`, small biases and buffers, positive variances."""
    rng = np.random.default_rng(seed)
    flat = {}
    for path, shape in trees.flatten(specs.shapes(module, inputs)).items():
        value = scale * rng.normal(size=shape.shape).astype(np.float32)
        if path.endswith(("bias", "w_avg", "latent_avg", "mean", "noise_strength")):
            value = 0.1 * value
        if path.endswith("var"):
            value = 1.0 + 0.1 * value**2
        if path.endswith("affine/bias"):
            value = 1.0 + value
        flat[path] = jnp.asarray(value)
    return Net(module, trees.unflatten(flat))


def tiny_generator(resolution=8, seed=0) -> Net:
    width = {"channel_base": 8 * resolution, "channel_max": 8}
    module = Generator(resolution, z_dim=4, w_dim=6, **width, mapping_lr_mul=1.0)
    return random_net(module, seed)


def tiny_nets(resolution=16, seed=0) -> dict[str, Net]:
    """Generator, encoder, hypernetwork and features that fit together."""
    generator = tiny_generator(resolution, seed)
    inputs = [(resolution, resolution, 3)]
    small = {"widths": (4, 4), "depths": (1, 1)}
    encoder = WEncoder(6, **small)
    hypernet = Hypernet(
        tuned_layers(generator.module),
        **small,
        embedding_dim=5,
        inner=4,
        inner_shared=4,
        hidden=4,
    )
    features = FeatureExtractor(3, **small, embedding=5)
    return {
        "generator": generator,
        "encoder": random_net(encoder, seed, inputs, 0.5),
        "hypernet": random_net(hypernet, seed, inputs * 2, 0.1),
        "feature_extractor": random_net(features, seed, inputs, 0.5),
    }
