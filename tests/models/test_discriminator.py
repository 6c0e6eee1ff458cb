"""The discriminator's minibatch statistics and shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_net

from hyperstyle_jax import trees
from hyperstyle_jax.models.discriminator import Discriminator, minibatch_stddev
from hyperstyle_jax.weights import specs


@pytest.fixture(scope="module")
def net():
    return random_net(Discriminator(8, channel_base=48, channel_max=8))


@pytest.fixture(scope="module")
def logits(net):
    @jax.jit
    def compiled(variables, x):
        return net.replace(variables=variables)(x)

    return lambda x: np.asarray(compiled(net.variables, x))


@pytest.mark.parametrize(("batch", "size"), [(1, 1), (3, 3), (4, 4), (8, 4)])
def test_minibatch_stddev(batch, size):
    x = np.random.default_rng(0).normal(size=(batch, 2, 3, 5)).astype(np.float32)
    std = minibatch_stddev(x, 4)
    assert std.shape == (batch, 2, 3, 1)
    groups = batch // size
    for i in range(batch):
        expected = np.sqrt(x[i % groups :: groups].var(axis=0) + 1e-8)
        np.testing.assert_allclose(std[i], expected.mean(), rtol=1e-5)


def test_batches_that_do_not_divide_are_refused(net):
    with pytest.raises(ValueError, match="batch 6: expected a multiple of 4"):
        net(jnp.zeros((6, 8, 8, 3)))


def test_images_meet_only_those_of_their_group(logits):
    x = np.random.default_rng(0).uniform(-1, 1, (8, 8, 8, 3)).astype(np.float32)
    before = logits(x)
    assert before.shape == (8, 1)
    x[1] = -x[1]
    change = abs(logits(x) - before)[:, 0]
    assert (change[1::2] > 1e-6).all()
    np.testing.assert_array_equal(change[::2], 0)


@pytest.mark.parametrize("resolution", [8, 64, 256])
def test_parameters(resolution):
    """Names and widths; the smallest image has one block before the last."""
    module = Discriminator(resolution, channel_base=512, channel_max=32)
    params = trees.flatten(specs.shapes(module)["params"])
    sizes = [2**i for i in range(3, int(np.log2(resolution)) + 1)]
    layers = ["conv0/weight", "conv0/bias", "conv1/weight", "conv1/bias", "skip/weight"]
    expected = {f"b{r}/{layer}" for r in sizes for layer in layers}
    expected |= {f"b{resolution}/fromrgb/{k}" for k in ("weight", "bias")}
    expected |= {
        f"b4/{n}/{k}" for n in ("conv", "fc", "out") for k in ("weight", "bias")
    }
    assert params.keys() == expected
    assert params["b8/conv1/weight"].shape == (3, 3, 32, 32)
    assert params["b4/conv/weight"].shape == (3, 3, 33, 32)  # and the statistics
    assert params["b4/fc/weight"].shape == (16 * 32, 32)
    width = min(512 // resolution, 32)
    assert params[f"b{resolution}/fromrgb/weight"].shape == (1, 1, 3, width)
