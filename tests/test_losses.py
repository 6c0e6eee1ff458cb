"""Losses between images, each a number for each image."""

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import losses
from hyperstyle_jax.models.irnet import FaceNet
from hyperstyle_jax.models.resnet import ResNet
from hyperstyle_jax.net import Net

KEY = jax.random.key(0)


def make_net(module, size):
    return Net(module, jax.jit(module.init)(KEY, jnp.zeros((1, size, size, 3))))


def test_l2_is_per_image():
    x = jax.random.normal(KEY, (2, 4, 5, 3))
    np.testing.assert_allclose(
        losses.l2(x, jnp.zeros_like(x)), (np.asarray(x) ** 2).mean((1, 2, 3)), rtol=1e-6
    )


def test_adaptive_pool_against_slices():
    x = np.asarray(jax.random.normal(KEY, (1, 7, 10, 2)))
    y = losses.adaptive_pool(x, (3, 4))
    for i, (a, b) in enumerate([(0, 3), (2, 5), (4, 7)]):
        for j, (c, d) in enumerate([(0, 3), (2, 5), (5, 8), (7, 10)]):
            expected = x[0, a:b, c:d].mean((0, 1))
            np.testing.assert_allclose(y[0, i, j], expected, atol=1e-6)


def test_identity_of_the_same_face_is_zero_and_scale_free():
    net = make_net(FaceNet(widths=(4, 4, 4, 4), depths=(1, 1, 1, 1), embedding=8), 112)
    x, y = jax.random.uniform(KEY, (2, 2, 256, 256, 3), minval=-1.0)
    identity = jax.jit(losses.identity)
    np.testing.assert_allclose(identity(net, x, x), 0.0, atol=1e-6)
    loss = identity(net, x, y)
    assert loss.shape == (2,) and (loss > 0).all()
    larger = jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)
    np.testing.assert_allclose(identity(net, larger, y), loss, atol=1e-5)


def test_moco_takes_one_image():
    net = make_net(ResNet(widths=(4, 4), depths=(1, 1), bottleneck=True), 224)
    x, y = jax.random.uniform(KEY, (2, 1, 256, 256, 3), minval=-1.0)
    moco = jax.jit(losses.moco)
    assert moco(net, x, y).shape == (1,)
    np.testing.assert_allclose(moco(net, x, x), 0.0, atol=1e-6)
    vector = losses.moco_features(net, x, normalize=False)
    np.testing.assert_allclose(jnp.linalg.norm(vector, axis=-1), 1.0, rtol=1e-5)
    assert not np.allclose(vector, losses.moco_features(net, x))


def test_target_gets_no_gradient():
    unit = jnp.array([[0.6, 0.8]])
    gradient = jax.grad(lambda t: losses.dissimilarity(unit, t).sum())(unit)
    np.testing.assert_array_equal(gradient, 0.0)
