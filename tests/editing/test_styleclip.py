"""StyleCLIP: which channels move, and edits of styles as edits of inversions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import tiny_generator

from hyperstyle_jax import trees
from hyperstyle_jax.editing import styleclip
from hyperstyle_jax.offsets import Inversion, apply_offsets, synthesize


def setting():
    net = tiny_generator(16)
    layers = net.module.layers()
    rng = np.random.default_rng(0)
    channels = sum(layer.in_channels for layer in layers if layer.kernel > 1)
    effects = rng.normal(size=(channels, 5)).astype("f4")
    std = {v.path: rng.uniform(0.5, 2, v.in_channels).astype("f4") for v in layers}
    return net, layers, effects, std, rng.normal(size=5).astype("f4")


def test_strongest_channel_moves_by_its_deviation():
    _, layers, effects, std, text = setting()
    shifts = styleclip.global_direction(effects, text, std, layers, 0.0)
    in_deviations = np.concatenate(
        [shifts[v.path] / std[v.path] for v in layers if v.kernel > 1]
    )
    relevance = effects @ (text / np.linalg.norm(text))
    expected = relevance / np.abs(relevance).max()
    np.testing.assert_allclose(in_deviations, expected, rtol=1e-5)
    longer = styleclip.global_direction(effects, 7 * text, std, layers, 0.0)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), shifts, longer
    )


def test_beta_leaves_weak_channels_alone():
    _, layers, effects, std, text = setting()
    counts = []
    for beta in (0.0, 0.5, 1.0, 100.0):
        shifts = styleclip.global_direction(effects, text, std, layers, beta)
        counts.append(sum(np.count_nonzero(v) for v in shifts.values()))
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[2] > 0
    assert counts[-1] == 0


def test_fine_layers_are_left_alone():
    _, layers, effects, std, text = setting()
    shifts = styleclip.global_direction(effects, text, std, layers, 0.0, 8)
    assert {path.split("/")[1] for path in shifts} == {"b4", "b8"}


def test_effects_of_another_generator_are_refused():
    _, layers, effects, std, text = setting()
    with pytest.raises(ValueError, match="another generator"):
        styleclip.global_direction(effects[1:], text, std, layers, 0.1)


@pytest.fixture(scope="module")
def inversion():
    """Two images with offsets of one layer."""
    rng = np.random.default_rng(1)
    w, delta = rng.normal(size=(2, 6, 6)), 0.3 * rng.normal(size=(2, 8, 8))
    path = "synthesis/b8/conv0/weight"
    return Inversion(jnp.float32(w), {path: jnp.float32(delta)})


def test_the_styles_of_a_shifted_inversion_differ_by_the_shift(inversion):
    net, layers, *_ = setting()
    path = layers[3].path
    shift = np.linspace(-1, 1, layers[3].in_channels, dtype="f4")
    shifted = styleclip.shift_styles(inversion, net, {path: shift}, 0.5)
    before = styleclip.styles(net, inversion.w_plus)
    for i in range(2):
        replaced = {p: bias[i] for p, bias in shifted.replaced.items()}
        image_net = net.with_params(apply_offsets(net.params, {}, replaced))
        after = styleclip.styles(image_net, inversion.w_plus)
        for layer in layers:
            gap = 0.5 * shift if layer.path == path else 0.0
            np.testing.assert_allclose(
                after[layer.path], before[layer.path] + gap, atol=1e-5
            )


def test_shifts_keep_latents_and_offsets_and_add_up(inversion):
    net, _, effects, std, text = setting()
    layers = net.module.layers()
    shifts = styleclip.global_direction(effects, text, std, layers, 0.2)
    render = jax.jit(synthesize)
    still = styleclip.shift_styles(inversion, net, shifts, 0.0)
    np.testing.assert_allclose(render(net, still), render(net, inversion), atol=1e-5)
    once = styleclip.shift_styles(inversion, net, shifts)
    assert once.offsets is inversion.offsets and once.w_plus is inversion.w_plus
    assert float(abs(render(net, once) - render(net, inversion)).max()) > 1e-2
    twice = styleclip.shift_styles(once, net, shifts, np.array([1.0, -1.0]))
    expected = styleclip.shift_styles(inversion, net, shifts, np.array([2.0, 0.0]))
    for path, bias in expected.replaced.items():
        np.testing.assert_allclose(twice.replaced[path], bias, atol=1e-5)


def test_styles_are_those_of_the_generator():
    net, layers, *_ = setting()
    w = np.random.default_rng(1).normal(size=(1, 6, 6)).astype("f4")
    styles = styleclip.styles(net, w)
    _, state = net(
        w, method="synthesis", mutable=["intermediates"], capture_intermediates=True
    )
    flat = trees.flatten(state["intermediates"])
    for layer in layers:
        key = layer.path.removesuffix("weight") + "affine/__call__"
        np.testing.assert_allclose(styles[layer.path], flat[key][0], atol=1e-5)


def test_shifts_of_another_generator_are_refused(inversion):
    net, layers, *_ = setting()
    with pytest.raises(ValueError, match="no such layer"):
        missing = {"synthesis/b64/conv0/weight": np.zeros(3)}
        styleclip.shift_styles(inversion, net, missing)
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(8,\)"):
        styleclip.shift_styles(inversion, net, {layers[0].path: np.zeros(3)})
