"""The generator's laws: shapes, rows of w+, truncation, mixing, noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_net

from hyperstyle_jax import trees
from hyperstyle_jax.models.generator import Generator, mix_styles
from hyperstyle_jax.weights import specs


@pytest.fixture(scope="module")
def net():
    module = Generator(
        8, z_dim=4, w_dim=6, channel_base=48, channel_max=8, num_mapping_layers=2
    )
    return random_net(module.clone(mapping_lr_mul=1.0))


@pytest.fixture(scope="module")
def render(net):
    """w+ → image, compiled once."""

    @jax.jit
    def compiled(variables, w_plus):
        return net.replace(variables=variables)(w_plus, method="synthesis")

    return lambda w_plus: compiled(net.variables, w_plus)


@pytest.fixture(scope="module")
def latents():
    """z [2, 4] and w+ [2, 4, 6]."""
    rng = np.random.default_rng(1)
    return [jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((2, 4), (2, 4, 6))]


@pytest.mark.parametrize("resolution", [8, 16, 32, 64])
def test_shapes_follow_from_resolution_and_width(resolution):
    module = Generator(
        resolution, z_dim=5, w_dim=6, channel_base=256, channel_max=16,
        num_mapping_layers=3,
    )  # fmt: skip
    shapes = specs.shapes(module)
    params = trees.flatten(shapes["params"])
    rows = 2 * int(np.log2(resolution)) - 2
    assert module.num_ws == rows
    z = jax.ShapeDtypeStruct((2, 5), jnp.float32)
    image = jax.eval_shape(module.apply, shapes, z)
    assert image.shape == (2, resolution, resolution, 3)
    # layers() names every convolution, in order, with the shape it has.
    layers = module.layers()
    convolutions = {
        k for k in params if k.startswith("synthesis") and "affine" not in k
    }
    convolutions = {k for k in convolutions if k.endswith("weight")}
    assert {layer.path for layer in layers} == convolutions
    for layer in layers:
        size = (layer.kernel, layer.kernel, layer.in_channels, layer.out_channels)
        assert params[layer.path].shape == size
        assert f"/b{layer.resolution}/" in layer.path
        affine = params[layer.path.replace("weight", "affine/weight")]
        assert affine.shape == (6, layer.in_channels)
    assert max(layer.w_index for layer in layers) == rows - 1
    assert layers[0].path == "synthesis/b4/conv1/weight"
    width = min(256 // resolution, 16)
    assert layers[-1][1:3] == (width, 3)
    noise = trees.flatten(shapes["buffers"])
    assert noise[f"synthesis/b{resolution}/conv0/noise_const"].shape == 2 * (
        resolution,
    )


@pytest.mark.parametrize("bad", [0, 4, 12, 100])
def test_other_resolutions_are_refused(bad):
    with pytest.raises(ValueError, match=f"resolution {bad}: expected a power of two"):
        specs.shapes(Generator(bad))


def test_w_index_is_the_row_that_a_layer_reads(net, latents):
    """Only layers with a row other than zero get a gradient of their affine weight."""

    @jax.jit
    def slopes(params, w_plus):
        def total(params):
            y = net.with_params(params)(w_plus, method="synthesis")
            return jnp.sum(jnp.sin(y))

        return jax.grad(total)(params)

    module, w_plus = net.module, latents[1]
    for row in range(module.num_ws):
        only = jnp.zeros_like(w_plus).at[:, row].set(w_plus[:, row])
        flat = trees.flatten(slopes(net.params, only))
        for layer in module.layers():
            slope = flat[layer.path.replace("weight", "affine/weight")]
            assert (float(abs(slope).max()) > 0) == (layer.w_index == row)


def test_equal_rows_are_one_w(net, render, latents):
    w = latents[1][:, 0]
    equal = jnp.repeat(w[:, None], net.module.num_ws, axis=1)
    np.testing.assert_array_equal(render(equal), render(w))


def test_a_batch_of_two_is_two_batches_of_one(render, latents):
    w_plus = latents[1]
    alone = [render(w_plus[i : i + 1]) for i in range(2)]
    np.testing.assert_allclose(render(w_plus), np.concatenate(alone), atol=1e-5)


def test_truncation(net, render, latents):
    z = latents[0]
    w = net(z, method="mapping")
    assert w.shape == (2, 6)
    w_avg = net.variables["buffers"]["mapping"]["w_avg"]
    halfway = net(w, 0.5, method="truncate")
    np.testing.assert_allclose(halfway, (w + w_avg) / 2, atol=1e-6)
    call = jax.jit(lambda net, z, psi: net(z, psi), static_argnums=2)
    np.testing.assert_allclose(call(net, z, 1.0), render(w), atol=1e-4)
    average = render(jnp.stack([w_avg, w_avg]))
    np.testing.assert_allclose(call(net, z, 0.0), average, atol=1e-4)


def test_mapping_does_not_depend_on_the_length_of_z(net, latents):
    z = latents[0]
    w = net(z, method="mapping")
    np.testing.assert_allclose(net(3 * z, method="mapping"), w, rtol=1e-4, atol=1e-5)


def test_style_mixing_takes_the_later_rows_from_the_second_w(latents):
    w, w_fine = latents[1][:, 0], latents[1][:, 1]
    mixed = mix_styles(w, w_fine, 3, 4)
    np.testing.assert_array_equal(mixed[:, :3], jnp.repeat(w[:, None], 3, 1))
    np.testing.assert_array_equal(mixed[:, 3], w_fine)
    np.testing.assert_array_equal(mix_styles(w, w_fine, 4, 4)[:, 0], w)
    np.testing.assert_array_equal(mix_styles(w, w_fine, 0, 4)[:, 3], w_fine)


def test_noise(net, latents):
    """Stored, none, drawn or given; by layer, where it is given."""
    w_plus = latents[1]
    paths = ("b4/conv1", "b8/conv0", "b8/conv1")
    stored = {p: net.variables["buffers"]["synthesis"] for p in paths}
    for path in paths:
        for part in path.split("/"):
            stored[path] = stored[path][part]
        stored[path] = stored[path]["noise_const"]

    @jax.jit
    def render(variables, given, keys):
        def image(noise, key=None):
            rngs = None if key is None else {"noise": key}
            here = net.replace(variables=variables)
            return here(w_plus, noise, method="synthesis", rngs=rngs)

        zeros = {p: jnp.zeros_like(v)[None] for p, v in given.items()}
        two = {p: jnp.stack([v, 0 * v]) for p, v in given.items()}
        return {
            "const": image("const"),
            "none": image("none"),
            "given": image(given),
            "some given": image({"b8/conv0": given["b8/conv0"]}),
            "zeros": image(zeros),
            "one each": image(two),
            "random": image("random", keys[0]),
            "same key": image("random", keys[0]),
            "other key": image("random", keys[1]),
        }

    images = render(net.variables, stored, jax.random.split(jax.random.key(0)))
    for same in (
        ("const", "given"),
        ("const", "some given"),
        ("none", "zeros"),
        ("random", "same key"),
    ):
        np.testing.assert_allclose(images[same[0]], images[same[1]], atol=1e-5)
    for a, b in (("const", "none"), ("random", "other key"), ("const", "random")):
        assert float(abs(images[a] - images[b]).max()) > 1e-3
    np.testing.assert_allclose(images["one each"][0], images["const"][0], atol=1e-5)
    np.testing.assert_allclose(images["one each"][1], images["none"][1], atol=1e-5)


def test_features_come_out_on_request(net, latents):
    @jax.jit
    def look(net, w_plus):
        return net(w_plus, method="synthesis", mutable=["intermediates"])

    image, kept = look(net, latents[1])
    blocks = kept["intermediates"]["synthesis"]
    assert blocks["b4"]["conv1_out"][0].shape == (2, 4, 4, 8)
    assert blocks["b8"]["conv0_out"][0].shape == blocks["b8"]["conv1_out"][0].shape
    assert blocks["b8"]["conv0_out"][0].shape == (2, 8, 8, 6)
    np.testing.assert_array_equal(blocks["b8"]["image_out"][0], image)
