import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hyperstyle_jax import trees
from hyperstyle_jax.models.resnet import BatchNorm, Conv, FaceNet, IRNet, PReLU, ResNet

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


def test_strided_convolution_pads_both_sides():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    params = {"params": {"weight": jnp.ones((3, 3, 1, 1))}}
    y = Conv(1, 3, 2).apply(params, x)[0, :, :, 0]
    padded = np.pad(np.asarray(x)[0, :, :, 0], 1)
    expected = [[padded[i : i + 3, j : j + 3].sum() for j in (0, 2)] for i in (0, 2)]
    np.testing.assert_allclose(y, expected)


def test_batch_norm_against_numpy():
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, (3, 4, 5, 2)).astype(np.float32)
    module = BatchNorm()
    variables = {
        "params": {"weight": jnp.array([2.0, 0.5]), "bias": jnp.array([1.0, -1.0])},
        "batch_stats": {"mean": jnp.array([0.5, 1.0]), "var": jnp.array([4.0, 9.0])},
    }
    y, updated = module.apply(variables, x, True, mutable=["batch_stats"])
    flat = x.reshape(-1, 2).astype(np.float64)
    expected = (x - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-5) * [2.0, 0.5] + [1, -1]
    np.testing.assert_allclose(y, expected, atol=1e-5)
    stats = updated["batch_stats"]
    new_mean = 0.9 * np.array([0.5, 1.0]) + 0.1 * flat.mean(0)
    new_var = 0.9 * np.array([4.0, 9.0]) + 0.1 * flat.var(0, ddof=1)
    np.testing.assert_allclose(stats["mean"], new_mean, rtol=1e-6)
    np.testing.assert_allclose(stats["var"], new_var, rtol=1e-6)
    still = module.apply(variables, x)
    expected = (x - [0.5, 1.0]) / np.sqrt(np.array([4.0, 9.0]) + 1e-5) * [2.0, 0.5]
    np.testing.assert_allclose(still, expected + [1, -1], atol=1e-5)


def test_batch_norm_over_two_devices_is_one_batch():
    x = jax.random.normal(KEY, (4, 3, 3, 2)) + 1.0
    variables = BatchNorm().init(KEY, x)

    def apply(x, axis_name):
        module = BatchNorm(axis_name=axis_name)
        return module.apply(variables, x, True, mutable=["batch_stats"])

    whole, stats = apply(x, None)
    halves = x.reshape(2, 2, 3, 3, 2)
    parts, part_stats = jax.vmap(lambda x: apply(x, "devices"), axis_name="devices")(
        halves
    )
    np.testing.assert_allclose(parts.reshape(x.shape), whole, atol=1e-6)
    for a, b in zip(jax.tree.leaves(stats), jax.tree.leaves(part_stats), strict=True):
        np.testing.assert_allclose(b[0], a, rtol=1e-6)


def test_prelu_scales_negative_values():
    params = {"params": {"weight": jnp.array([0.5])}}
    np.testing.assert_array_equal(
        PReLU().apply(params, jnp.array([[-2.0], [3.0]])), [[-1.0], [3.0]]
    )


def test_face_embedding_is_a_unit_vector_and_batch_independent():
    module = FaceNet(widths=(8, 16), depths=(1, 1), embedding=12)
    x = jax.random.normal(KEY, (2, 16, 16, 3))
    variables = module.init(KEY, x)
    y = module.apply(variables, x)
    np.testing.assert_allclose(jnp.linalg.norm(y, axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(module.apply(variables, x[1:]), y[1:], atol=1e-6)


def test_stages_end_with_the_output():
    module = IRNet(widths=(4, 8), depths=(2, 1))
    x = jax.random.normal(KEY, (1, 16, 16, 3))
    variables = module.init(KEY, x)
    stages = module.apply(variables, x, method="stages")
    assert [s.shape for s in stages] == [(1, 8, 8, 4), (1, 4, 4, 8)]
    np.testing.assert_array_equal(stages[-1], module.apply(variables, x))
