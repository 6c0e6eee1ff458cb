"""Refinement: its scan is the loop of the paper."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_net, tiny_nets

from hyperstyle_jax.inversion import cropping, hyperstyle
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.hypernet import Hypernet, tuned_layers
from hyperstyle_jax.offsets import Inversion, latent_only, synthesize

NUM_ITERS = 2
invert = jax.jit(hyperstyle.invert, static_argnums=4)
call = jax.jit(lambda net, *inputs: net(*inputs))
decode = jax.jit(lambda hypernet, embeddings: hypernet(embeddings, 1, method="decode"))
render = jax.jit(synthesize)


def make(separable=False, size=(16, 16)):
    """Encoder, hypernetwork with two kinds of decoders, generator of 16²."""
    module = Generator(16, z_dim=4, w_dim=6, channel_base=64, channel_max=8)
    generator = random_net(module.clone(mapping_lr_mul=1.0))
    small = {"widths": (4, 4), "depths": (1, 1)}
    hypernet = Hypernet(
        tuned_layers(module, separable=separable), **small, embedding_dim=5,
        inner=4, inner_shared=4, hidden=3,
    )  # fmt: skip
    hypernet = random_net(hypernet, 0, [(*size, 3)] * 2, 0.3)
    return tiny_nets()["encoder"], hypernet, generator


def image(*size):
    values = np.random.default_rng(3).uniform(-1, 1, (2, *size, 3))
    return jnp.asarray(values, jnp.float32)


def loop(encoder, hypernet, generator, x):
    """Δ ← Δ + H(x, y); y ← G(w; θ·(1 + Δ)), offsets and not embeddings added up."""
    w, total = latent_only(call(encoder, x), generator.module.num_ws).w_plus, {}
    y = cropping.crop_and_pool(render(generator, Inversion(w)), x.shape[1:3])
    images = [y]
    for _ in range(NUM_ITERS):
        embeddings = hyperstyle.single_iteration(hypernet.module, call(hypernet, x, y))
        deltas = decode(hypernet, embeddings)
        total = {p: total.get(p, 0.0) + delta for p, delta in deltas.items()}
        y = cropping.crop_and_pool(render(generator, Inversion(w, total)), x.shape[1:3])
        images.append(y)
    return w, total, np.stack(images)


@pytest.mark.parametrize("separable", [False, True], ids=["affine", "separable"])
def test_the_scan_is_the_loop_and_embeddings_decode_to_the_offsets(separable):
    nets, x = make(separable), image(16, 16)
    w, offsets, images = loop(*nets, x)
    refinement = invert(*nets, x, NUM_ITERS)
    assert refinement.images.shape == (NUM_ITERS + 1, 2, 16, 16, 3)
    np.testing.assert_allclose(refinement.w_plus, w, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(refinement.images, images, rtol=1e-3, atol=1e-3)
    assert (abs(np.diff(images, axis=0)).max((1, 2, 3, 4)) > 1e-2).all()
    decoded = hyperstyle.decode(nets[1], refinement.w_plus, refinement.embeddings)
    assert decoded.embeddings.num_iters == NUM_ITERS
    assert decoded.offsets.keys() == offsets.keys()
    for path, offset in offsets.items():
        np.testing.assert_allclose(decoded.offsets[path], offset, rtol=1e-3, atol=1e-4)
    again = render(nets[2], decoded)
    np.testing.assert_allclose(again, refinement.images[-1], rtol=1e-3, atol=1e-3)


def test_no_iterations_are_the_initial_inversion():
    encoder, hypernet, generator = nets = make()
    x = image(16, 16)
    refinement = invert(*nets, x, 0)
    assert refinement.images.shape == (1, 2, 16, 16, 3)
    initial = render(generator, latent_only(call(encoder, x), generator.module.num_ws))
    np.testing.assert_allclose(refinement.images[0], initial, rtol=1e-4, atol=1e-4)
    assert all((value == 0).all() for value in refinement.embeddings.values.values())
    decoded = hyperstyle.decode(hypernet, refinement.w_plus, refinement.embeddings)
    assert decoded.offsets == {} and decoded.embeddings is None


def test_images_may_be_wider_than_high():
    nets, x = make(size=(6, 8)), image(6, 8)
    refinement = jax.eval_shape(partial(hyperstyle.invert, num_iters=1), *nets, x)
    assert refinement.images.shape == (2, 2, 6, 8, 3)
