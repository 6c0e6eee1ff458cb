"""Backbones have the published numbers of parameters, and their strides."""

import jax
import jax.numpy as jnp
import pytest

from hyperstyle_jax import trees
from hyperstyle_jax.models.irnet import FaceNet, IRNet
from hyperstyle_jax.models.resnet import ResNet

KEY = jax.random.key(0)
FULL_SIZE = {
    # parameters and running statistics of the PyTorch originals, without classifiers
    "hyperstyle trunk": (
        ResNet(prelu=True, pool=False),
        (256, 256, 6),
        21294144,
        17024,
    ),
    "resnet50": (ResNet(bottleneck=True), (224, 224, 3), 23508032, 53120),
    "ir_se50": (FaceNet(), (112, 112, 3), 43797696, 26368),
    "curricularface": (
        FaceNet(depths=(3, 13, 30, 3), squeeze_excite=False, affine=False),
        (112, 112, 3),
        65128768,
        47360,
    ),
}


@pytest.mark.parametrize("name", FULL_SIZE)
def test_full_size_counts(name):
    module, shape, params, stats = FULL_SIZE[name]
    variables = jax.eval_shape(module.init, KEY, jnp.zeros((1, *shape)))
    assert trees.count(variables["params"]) == params
    assert trees.count(variables["batch_stats"]) == stats


@pytest.mark.parametrize(
    "module, shape, expected",
    [
        (ResNet(prelu=True, pool=False), (256, 256, 6), (16, 16, 512)),
        (ResNet(), (256, 256, 3), (8, 8, 512)),
        (ResNet(stem_kernel=3, stem_stride=1, pool=False), (64, 64, 6), (8, 8, 512)),
        (IRNet(), (192, 256, 3), (12, 16, 512)),
    ],
)
def test_strides(module, shape, expected):
    x = jnp.zeros((1, *shape))
    variables = jax.eval_shape(module.init, KEY, x)
    assert jax.eval_shape(module.apply, variables, x).shape == (1, *expected)
