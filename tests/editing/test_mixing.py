"""Mixing, interpolation, truncation: the ends are the inputs, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import tiny_generator, tiny_nets

from hyperstyle_jax.editing import mixing
from hyperstyle_jax.inversion import hyperstyle
from hyperstyle_jax.offsets import Inversion, LayerEmbeddings, latent_only, synthesize


@pytest.fixture(scope="module")
def pair():
    """Two inversions with layer embeddings, and the networks."""
    nets, rng = tiny_nets(), np.random.default_rng(0)
    made = []
    for _ in range(2):
        w = jnp.asarray(rng.normal(size=(2, nets["generator"].module.num_ws, 6)), "f4")
        zeros = hyperstyle.no_embeddings(nets["hypernet"].module, 2, 3)
        values = {
            k: jnp.asarray(rng.normal(size=v.shape), "f4") for k, v in zeros.items()
        }
        made.append(hyperstyle.decode(nets["hypernet"], w, LayerEmbeddings(values, 3)))
    return *made, nets


def assert_same(a: Inversion, b: Inversion, exactly=True):
    compare = np.testing.assert_array_equal if exactly else close
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(compare, a, b)


def close(a, b):
    np.testing.assert_allclose(a, b, atol=2e-4)


def test_the_ends_of_an_interpolation_are_the_inputs(pair):
    a, b, _ = pair
    assert_same(mixing.interpolate(a, b, 0.0), a)
    assert_same(mixing.interpolate(a, b, 1.0), b)
    each = mixing.interpolate(a, b, jnp.array([0.0, 1.0]))
    np.testing.assert_array_equal(each.w_plus[0], a.w_plus[0])
    np.testing.assert_array_equal(each.w_plus[1], b.w_plus[1])


def test_interpolated_embeddings_decode_to_interpolated_offsets(pair):
    a, b, nets = pair
    middle = mixing.interpolate(a, b, 0.3)
    decoded = hyperstyle.decode(nets["hypernet"], middle.w_plus, middle.embeddings)
    assert_same(decoded, middle, exactly=False)


def test_there_and_back_is_the_same_way(pair):
    a, b, _ = pair
    assert_same(
        mixing.interpolate(a, b, 0.25), mixing.interpolate(b, a, 0.75), exactly=False
    )


def test_missing_offsets_are_zero_and_embeddings_go(pair):
    a, b, _ = pair
    half = mixing.interpolate(a, Inversion(b.w_plus), 0.5)
    path = next(iter(a.offsets))
    close(half.offsets[path], a.offsets[path] / 2)
    assert half.embeddings is None
    other = b.replace(embeddings=b.embeddings.replace(num_iters=4))
    assert mixing.interpolate(a, other, 0.5).embeddings is None


def test_replaced_weights_are_interpolated_or_refused(pair):
    a, b, _ = pair
    first, second = (x.replace(replaced={"p": jnp.full((2, 1), v)}) for x, v in
                     ((a, 1.0), (b, 3.0)))  # fmt: skip
    close(mixing.interpolate(first, second, 0.5).replaced["p"], 2.0)
    with pytest.raises(ValueError, match="replaces weights"):
        mixing.interpolate(first, b, 0.5)


def test_mixing_no_rows_or_all(pair):
    a, b, nets = pair
    assert_same(mixing.mix(a, b, []), a)
    rows = range(nets["generator"].module.num_ws)
    np.testing.assert_array_equal(mixing.mix(a, b, rows).w_plus, b.w_plus)
    assert mixing.mix(a, b, rows).offsets is a.offsets
    with pytest.raises(ValueError, match="rows"):
        mixing.mix(a, b, [99])


def test_rows_above_do_not_reach_the_coarse_layers():
    net = tiny_generator(16)
    rng = np.random.default_rng(0)
    w = jnp.asarray(rng.normal(size=(2, net.module.num_ws, 6)), jnp.float32)
    mixed = mixing.mix(Inversion(w[:1]), Inversion(w[1:]), mixing.rows_above(net, 8))

    def blocks(w):
        _, state = net(w, method="synthesis", mutable=["intermediates"])
        return state["intermediates"]["synthesis"]

    before, after = blocks(w[:1]), blocks(mixed.w_plus)
    for name, same in (("b8", True), ("b16", False)):
        images = (x[name]["image_out"][0] for x in (before, after))
        assert np.array_equal(*images) is same, name
    with pytest.raises(ValueError, match="expected one of 4, 8"):
        mixing.rows_above(net, 16)


def test_truncation_is_the_generators(pair):
    net = tiny_generator()
    w = net(jax.random.normal(jax.random.key(0), (2, 4)), method="mapping")
    inversion = latent_only(w, net.module.num_ws)
    assert_same(mixing.truncate(net, inversion, 1.0), inversion)
    expected = net(w, 0.6, method="truncate")
    close(mixing.truncate(net, inversion, 0.6).w_plus[:, 0], expected)


def test_rendering_between_ends_at_both(pair):
    a, b, nets = pair
    first, second = (
        x.replace(
            w_plus=x.w_plus[:1],
            offsets={k: v[:1] for k, v in x.offsets.items()},
            embeddings=None,
        )
        for x in (a, b)
    )
    images = mixing.render_between(nets["generator"], first, second, [0, 0.5, 1])
    for image, inversion in ((images[0], first), (images[2], second)):
        close(image, synthesize(nets["generator"], inversion)[0])
