"""Inversions: parameters times one plus offset, and nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import tiny_generator

from hyperstyle_jax import trees
from hyperstyle_jax.offsets import (
    Inversion,
    LayerEmbeddings,
    apply_offsets,
    render,
    synthesize,
    to_w_plus,
)

PATHS = ("synthesis/b4/conv1/weight", "synthesis/b8/conv0/weight")


@pytest.fixture(scope="module")
def generator():
    return tiny_generator()


@pytest.fixture(scope="module")
def inversion():
    """Three images: channel-wise offsets for one layer, full kernels for another."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    offsets = {PATHS[0]: 0.3 * draw(3, 8, 8), PATHS[1]: 0.3 * draw(3, 3, 3, 8, 8)}
    return Inversion(draw(3, 4, 6), offsets)


def test_zero_offsets_change_nothing(generator, inversion):
    zeros = jax.tree.map(jnp.zeros_like, inversion.offsets)
    first_zeros = {path: zero[0] for path, zero in zeros.items()}
    jax.tree.map(
        np.testing.assert_array_equal,
        apply_offsets(generator.params, first_zeros),
        generator.params,
    )
    render = jax.jit(synthesize)
    without = render(generator, inversion.replace(offsets={}))
    images = render(generator, inversion.replace(offsets=zeros))
    np.testing.assert_allclose(images, without, atol=1e-5)


def test_offsets_multiply_and_broadcast(generator, inversion):
    offsets = {path: delta[0] for path, delta in inversion.offsets.items()}
    changed = trees.flatten(apply_offsets(generator.params, offsets))
    params = trees.flatten(generator.params)
    for path, delta in offsets.items():
        expected = np.asarray(params[path]) * (1 + np.asarray(delta))
        np.testing.assert_allclose(changed[path], expected, rtol=1e-6)
    scalar = apply_offsets(generator.params, {PATHS[0]: jnp.float32(1)})
    np.testing.assert_array_equal(trees.flatten(scalar)[PATHS[0]], 2 * params[PATHS[0]])


def test_other_parameters_are_shared_and_none_is_mutated(generator, inversion):
    before = trees.flatten(jax.tree.map(np.array, generator.params))
    offsets = {path: delta[0] for path, delta in inversion.offsets.items()}
    changed = trees.flatten(apply_offsets(generator.params, offsets))
    params = trees.flatten(generator.params)
    for path, value in params.items():
        np.testing.assert_array_equal(value, before[path])
        assert (changed[path] is value) == (path not in offsets)


def test_unknown_layers_are_refused(generator):
    with pytest.raises(ValueError, match="'synthesis/b16/conv0/weight': the generator"):
        apply_offsets(generator.params, {"synthesis/b16/conv0/weight": jnp.zeros(())})


@pytest.mark.parametrize("shape", [(1, 3, 3, 8, 8), (8, 7), (3, 8), (2, 3, 8, 8)])
def test_offsets_that_do_not_fit_are_refused(generator, shape):
    with pytest.raises(ValueError, match=r"has shape .* broadcasts to \(3, 3, 8, 8\)"):
        apply_offsets(generator.params, {PATHS[0]: jnp.zeros(shape)})


def test_images_get_their_own_kernels_however_many_at_a_time(generator, inversion):
    @jax.jit
    def alone(generator, w_plus, offsets):
        net = generator.with_params(apply_offsets(generator.params, offsets))
        return net(w_plus[None], method="synthesis")[0]

    expected = []
    for i, w_plus in enumerate(inversion.w_plus):
        offsets = {path: delta[i] for path, delta in inversion.offsets.items()}
        expected.append(alone(generator, w_plus, offsets))
    render = jax.jit(synthesize, static_argnames="chunk")
    for chunk in (1, 2):  # 2: the last chunk is short
        images = render(generator, inversion, chunk=chunk)
        np.testing.assert_allclose(images, expected, atol=1e-5)
    plain = render(generator, inversion.replace(offsets={}))
    assert float(abs(np.stack(expected) - plain).max()) > 1e-2


def test_another_generator_takes_offsets_and_noise_is_passed_on(generator, inversion):
    render = jax.jit(synthesize, static_argnames="noise")
    own = render(generator, inversion)
    adapted = render(tiny_generator(seed=1), inversion)
    assert float(abs(adapted - own).max()) > 1e-2
    clean = render(generator, inversion, noise="none")
    assert float(abs(clean - own).max()) > 1e-3


def test_one_w_and_a_larger_generator(inversion):
    coarse = inversion.replace(w_plus=to_w_plus(inversion.w_plus[:, 0], 6))
    image = jax.eval_shape(synthesize, tiny_generator(16), coarse)
    assert image.shape == (3, 16, 16, 3)


def test_latents_of_another_generator_are_refused(generator, inversion):
    with pytest.raises(
        ValueError, match=r"shape \(3, 2, 6\): the generator reads \[B, 4"
    ):
        synthesize(generator, inversion.replace(w_plus=inversion.w_plus[:, :2]))
    with pytest.raises(ValueError, match="was the inversion made for another one"):
        synthesize(generator, Inversion(inversion.w_plus[:, 0]))


def test_embeddings_without_their_offsets_are_no_inversion(inversion):
    embeddings = LayerEmbeddings({PATHS[0]: jnp.ones((3, 5))}, 2)
    with pytest.raises(ValueError, match="decode them"):
        Inversion(inversion.w_plus, embeddings=embeddings)
    full = inversion.replace(embeddings=embeddings)
    assert jax.tree.map(lambda x: x, full).embeddings.num_iters == 2


def test_replaced_weights_render_as_if_they_were_the_generators(generator, inversion):
    """Each image has weights of its own; offsets apply to them."""
    params = trees.flatten(generator.params)
    own = jnp.stack([params[PATHS[1]] * scale for scale in (1.0, 1.5, 0.5)])
    image = jax.jit(synthesize)(generator, inversion.replace(replaced={PATHS[1]: own}))
    for i in range(3):
        net = generator.with_params(trees.unflatten({**params, PATHS[1]: own[i]}))
        single = jax.tree.map(lambda x, i=i: x[i : i + 1], inversion)
        expected = jax.jit(synthesize)(net, single)
        np.testing.assert_allclose(image[i : i + 1], expected, atol=1e-4)
    with pytest.raises(ValueError, match="replaced weight for 'synthesis/b4/const2'"):
        apply_offsets(generator.params, {}, {"synthesis/b4/const2": own})
    with pytest.raises(ValueError, match=r"has shape \(2,\)"):
        apply_offsets(generator.params, {}, {PATHS[1]: jnp.zeros(2)})


@pytest.mark.parametrize("own_weights", [True, False])
def test_several_latents_share_the_weights_of_their_image(
    generator, inversion, own_weights
):
    if not own_weights:
        inversion = inversion.replace(offsets={})
    moved = jnp.stack([inversion.w_plus, inversion.w_plus + 0.5], axis=1)
    images = jax.jit(render)(generator, inversion, moved)
    for s in range(2):
        expected = jax.jit(synthesize)(generator, inversion.replace(w_plus=moved[:, s]))
        np.testing.assert_allclose(images[:, s], expected, atol=1e-4)
