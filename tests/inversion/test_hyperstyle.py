"""Refinement: one scan that equals the loop of the paper."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import random_net, tiny_nets

from hyperstyle_jax.inversion import hyperstyle
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.hypernet import Hypernet, heads
from hyperstyle_jax.offsets import Inversion, synthesize

PASSES = 2
invert = jax.jit(hyperstyle.invert, static_argnums=4)
call = jax.jit(lambda net, *inputs: net(*inputs))
decode = jax.jit(lambda hypernet, codes: hypernet(codes, 1, method="decode"))
render = jax.jit(synthesize)


def make(separable=False, size=(16, 16)):
    """Encoder, hypernetwork and generator 16²; shared and other heads."""
    module = Generator(16, z_dim=4, w_dim=6, channel_base=64, channel_max=8)
    generator = random_net(module.clone(mapping_lr_mul=1.0))
    small = {"widths": (4, 4), "depths": (1, 1)}
    hypernet = Hypernet(
        heads(module, separable=separable), **small, code=5, inner=4, inner_shared=4,
        hidden=3,
    )  # fmt: skip
    hypernet = random_net(hypernet, 0, [(*size, 3)] * 2, 0.3)
    return tiny_nets()["encoder"], hypernet, generator


def picture(*size):
    values = np.random.default_rng(3).uniform(-1, 1, (2, *size, 3))
    return jnp.asarray(values, jnp.float32)


def loop(encoder, hypernet, generator, x):
    """Δ ← Δ + H(x, y); y ← G(w; θ·(1 + Δ)), offsets and not codes added up."""
    w, total = call(encoder, x), {}
    y = hyperstyle.view(render(generator, Inversion(w, {}, {}, x)), x.shape[1:3])
    steps = [y]
    for _ in range(PASSES):
        codes = hyperstyle.single_pass(hypernet.module, call(hypernet, x, y))
        deltas = decode(hypernet, codes)
        total = {p: total.get(p, 0.0) + delta for p, delta in deltas.items()}
        y = hyperstyle.view(render(generator, Inversion(w, total, {}, y)), x.shape[1:3])
        steps.append(y)
    return w, total, np.stack(steps)


@pytest.mark.parametrize("separable", [False, True], ids=["affine", "separable"])
def test_the_scan_is_the_loop_and_codes_decode_to_the_offsets(separable):
    nets, x = make(separable), picture(16, 16)
    w, offsets, steps = loop(*nets, x)
    found = invert(*nets, x, PASSES)
    assert found.inversion.offsets == {}
    assert found.steps.shape == (PASSES + 1, 2, 16, 16, 3)
    np.testing.assert_allclose(found.inversion.w_plus, w, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.steps, steps, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(found.steps[-1], found.inversion.image)
    assert (abs(np.diff(steps, axis=0)).max((1, 2, 3, 4)) > 1e-2).all()
    decoded = jax.jit(hyperstyle.decode, static_argnums=2)(
        nets[1], found.inversion, PASSES
    )
    assert decoded.offsets.keys() == offsets.keys()
    for path, offset in offsets.items():
        np.testing.assert_allclose(decoded.offsets[path], offset, rtol=1e-3, atol=1e-4)
    again = render(nets[2], decoded)
    np.testing.assert_allclose(again, found.inversion.image, rtol=1e-3, atol=1e-3)


def test_no_passes_are_the_first_inversion():
    encoder, hypernet, generator = nets = make()
    x = picture(16, 16)
    found = invert(*nets, x, 0)
    assert found.steps.shape == (1, 2, 16, 16, 3)
    first = render(generator, Inversion(call(encoder, x), {}, {}, x))
    np.testing.assert_allclose(found.inversion.image, first, rtol=1e-4, atol=1e-4)
    assert all((code == 0).all() for code in found.inversion.codes.values())
    assert hyperstyle.decode(hypernet, found.inversion, 0).offsets == {}


def test_a_wide_view_of_a_square_generator():
    """Cars: the middle rows of the square."""
    encoder, hypernet, generator = nets = make(size=(6, 8))
    x = picture(6, 8)
    found = jax.eval_shape(partial(hyperstyle.invert, num_iters=1), *nets, x)
    assert found.inversion.image.shape == (2, 6, 8, 3)
    assert found.steps.shape == (2, 2, 6, 8, 3)
    y = jnp.arange(16.0)[None, :, None, None] * jnp.ones((1, 16, 16, 3))
    seen = hyperstyle.view(y, (6, 8))
    rows = np.arange(2.0, 14.0).reshape(6, 2).mean(1)
    np.testing.assert_allclose(seen, np.broadcast_to(rows[:, None, None], (1, 6, 8, 3)))


def test_pool_averages_blocks():
    x = picture(8, 12)
    expected = np.asarray(x).reshape(2, 4, 2, 6, 2, 3).mean((2, 4))
    np.testing.assert_allclose(hyperstyle.pool(x, (4, 6)), expected, atol=1e-6)
    assert hyperstyle.pool(x, (8, 12)) is x
    with pytest.raises(ValueError, match="8x12 pictures to 3x6: not a multiple"):
        hyperstyle.pool(x, (3, 6))
