"""The hypernetwork: tuned layers, published sizes, embeddings that add up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_net

from hyperstyle_jax import trees
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.hypernet import Hypernet, tuned_layers
from hyperstyle_jax.models.offset_decoders import (
    ChannelDecoder,
    SeparableDecoder,
    SharedDecoder,
    product,
)
from hyperstyle_jax.weights import specs

# 8 channels up to 8², 4 at 16²: three shared layers, two channel-wise ones.
GENERATOR = Generator(16, z_dim=4, w_dim=6, channel_base=64, channel_max=8)
SMALL = dict(
    widths=(4, 4), depths=(1, 1), embedding_dim=5, inner=4, inner_shared=4, hidden=3
)  # fmt: skip
VARIANTS = {
    "full kernels": {},
    "one number per channel pair": {"shared_kernel": False},
    "separable": {"separable": True},
    "toRGB": {"to_rgb": True},
}


def tiny(to_rgb=False, separable=False, **fields):
    table = tuned_layers(GENERATOR, to_rgb=to_rgb, separable=separable)
    return random_net(Hypernet(table, **SMALL, **fields), 0, [(16, 16, 3)] * 2, 0.3)


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=VARIANTS.keys())
def net(request):
    return tiny(**request.param)


def embeddings_of(net, seed):
    rng = np.random.default_rng(seed)
    paths = [layer.path for layer in net.module.tuned_layers]
    return {p: rng.normal(size=(2, 5)).astype(np.float32) for p in paths}


def separable_paths(net):
    return {v.path for v in net.module.tuned_layers if v.kind == "separable"}


@pytest.mark.parametrize(
    ("resolution", "options", "count"),
    [
        (1024, {}, 332_664_896),
        (512, {}, 325_188_672),
        (256, {}, 312_984_640),
        (1024, {"to_rgb": True}, 369_205_472),
        (256, {"separable": True}, 198_710_080),
    ],
)
def test_the_published_parameter_counts(resolution, options, count):
    module = Hypernet(tuned_layers(Generator(resolution), **options))
    shapes = specs.shapes(module)
    assert trees.count(shapes["params"]) == count
    statistics = trees.count(shapes["batch_stats"])
    assert statistics == 17_024  # PyTorch's 17,060 hold a counter for each layer


def test_presets():
    generator = Generator(1024)
    convolutions = tuned_layers(generator)
    assert len(convolutions) == 17
    assert [h.kind for h in convolutions] == ["shared"] * 9 + ["channel"] * 8
    assert len(tuned_layers(generator, to_rgb=True)) == 26
    paper = tuned_layers(generator, "medium_fine")
    assert paper == convolutions[3:]
    assert paper[0].path == "synthesis/b16/conv0/weight"
    (layer,) = tuned_layers(generator, "synthesis/b64/conv1/weight")
    assert layer[1:] == (512, 512, 3, "shared")
    with pytest.raises(ValueError, match="preset 'coarse' matches no layer; there are"):
        tuned_layers(generator, "coarse")


@pytest.mark.parametrize("resolution", [8, 64])
@pytest.mark.parametrize("width", [4, 16])
def test_tuned_layers_follow_the_generator(resolution, width):
    generator = Generator(resolution, channel_base=256, channel_max=width)
    table = tuned_layers(generator, to_rgb=True)
    assert [h[:4] for h in table] == [layer[:4] for layer in generator.layers()]
    wide = {h.path for h in table if h.kind == "shared"}
    assert wide == {
        layer.path
        for layer in generator.layers()
        if (layer.kernel, layer.in_channels, layer.out_channels) == (3, width, width)
    }


def test_offsets_fit_the_generators_kernels(net):
    params = trees.flatten(specs.shapes(GENERATOR)["params"])
    shape = jax.ShapeDtypeStruct((2, 16, 16, 3), jnp.float32)
    embeddings = jax.eval_shape(net.module.apply, net.variables, shape, shape)
    assert {embedding.shape for embedding in embeddings.values()} == {(2, 5)}
    wide = {k: embeddings_of(net, 0)[k] for k in embeddings}
    wide = {k: v[:, None] if k in separable_paths(net) else v for k, v in wide.items()}
    offsets = net(wide, 1, method="decode")
    assert list(offsets) == [layer.path for layer in net.module.tuned_layers]
    for path, i, o, kernel, kind in net.module.tuned_layers:
        full = kind == "separable" or (kind == "shared" and net.module.shared_kernel)
        assert offsets[path].shape == ((2, kernel, kernel, i, o) if full else (2, i, o))
        shape = offsets[path].shape[1:]
        assert jnp.broadcast_shapes(shape, params[path].shape) == params[path].shape


def test_sums_of_embeddings_decode_to_sums_of_offsets(net):
    """Affine decoders: from the sum of the embeddings and T; bilinear: one by one."""
    bilinear = separable_paths(net)
    iterations = [embeddings_of(net, seed) for seed in range(3)]

    @jax.jit
    def decode(variables, embeddings, num_iters):
        return net.replace(variables=variables)(embeddings, num_iters, method="decode")

    def joined(iterations):
        zeros = np.zeros((2, 4 - len(iterations), 5), np.float32)  # iterations to come
        return {
            p: np.concatenate([np.stack([c[p] for c in iterations], 1), zeros], 1)
            if p in bilinear
            else sum(c[p] for c in iterations)
            for p in iterations[0]
        }

    sums = decode(net.variables, joined(iterations), 3)
    singles = [
        decode(net.variables, joined([embeddings]), 1) for embeddings in iterations
    ]
    for path, offset in sums.items():
        expected = sum(single[path] for single in singles)
        np.testing.assert_allclose(offset, expected, rtol=1e-4, atol=1e-4)
        assert abs(expected).max() > 1e-2
    nothing = {p: 0 * v for p, v in joined(iterations).items()}
    for offset in decode(net.variables, nothing, 0).values():
        np.testing.assert_array_equal(offset, 0)


def test_a_channel_decoder_is_one_affine_map():
    net = tiny()
    path = "synthesis/b16/conv0/weight"
    embeddings = embeddings_of(net, 0)
    params = net.params["decode_b16_conv0"]
    weight, bias = np.asarray(params["weight"]), np.asarray(params["bias"])
    expected = np.tensordot(embeddings[path], weight, 1) + 5 * bias
    offset = net(embeddings, 5, method="decode")[path]
    np.testing.assert_allclose(offset, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [ChannelDecoder, SharedDecoder, SeparableDecoder])
def test_fresh_offsets_are_small_but_not_zero(make):
    shape = (5, 3, 8, 3) if make is SharedDecoder else (5, 8, 4, 3)
    embedding = (2, 5) if make is ChannelDecoder else (2, 1, 5)
    embedding = np.random.default_rng(0).normal(size=embedding)
    start = jax.jit(lambda key: make(*shape).init_with_output(key, embedding, 1)[0])
    offset = start(jax.random.key(0))
    assert 0 < float(abs(offset).max()) < 0.1


def test_images_may_be_wider_than_high():
    net = random_net(Hypernet(tuned_layers(GENERATOR), **SMALL), 0, [(12, 16, 3)] * 2)
    shape = jax.ShapeDtypeStruct((2, 12, 16, 3), jnp.float32)
    embeddings = jax.eval_shape(net.module.apply, net.variables, shape, shape)
    assert {embedding.shape for embedding in embeddings.values()} == {(2, 5)}


def test_images_of_different_shapes_are_refused():
    net = tiny()
    with pytest.raises(ValueError, match="differ, expected the same shape"):
        net(jnp.zeros((1, 16, 16, 3)), jnp.zeros((1, 32, 32, 3)))


def test_the_product_and_its_gradients_are_those_of_a_contraction():
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (2, 3, 5))
    weight = jax.random.normal(keys[1], (5, 4, 6))
    g = jax.random.normal(keys[2], (2, 3, 4, 6))
    y, back = jax.vjp(product, x, weight)
    expected, plain = jax.vjp(lambda x, w: jnp.einsum("abc,cij->abij", x, w), x, weight)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    for a, b in zip(back(g), plain(g), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
