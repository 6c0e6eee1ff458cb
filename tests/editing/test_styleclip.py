import jax
import numpy as np
import pytest
from networks import tiny_generator

from hyperstyle_jax import trees
from hyperstyle_jax.editing import styleclip


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
    found = styleclip.global_direction(effects, text, std, layers, 0.0)
    whole = np.concatenate(
        [found[v.path] / std[v.path] for v in layers if v.kernel > 1]
    )
    relevance = effects @ (text / np.linalg.norm(text))
    np.testing.assert_allclose(whole, relevance / np.abs(relevance).max(), rtol=1e-5)
    longer = styleclip.global_direction(effects, 7 * text, std, layers, 0.0)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, longer
    )


def test_beta_leaves_weak_channels_alone():
    _, layers, effects, std, text = setting()
    counts = []
    for beta in (0.0, 0.5, 1.0, 100.0):
        found = styleclip.global_direction(effects, text, std, layers, beta)
        counts.append(sum(np.count_nonzero(v) for v in found.values()))
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[2] > 0
    assert counts[-1] == 0


def test_fine_layers_are_left_alone():
    _, layers, effects, std, text = setting()
    found = styleclip.global_direction(effects, text, std, layers, 0.0, 8)
    assert {path.split("/")[1] for path in found} == {"b4", "b8"}


def test_effects_of_another_generator_are_refused():
    _, layers, effects, std, text = setting()
    with pytest.raises(ValueError, match="another generator"):
        styleclip.global_direction(effects[1:], text, std, layers, 0.1)


def test_a_shift_of_the_styles_is_a_shift_of_the_biases():
    net, layers, *_ = setting()
    w = np.random.default_rng(1).normal(size=(2, 6, 6)).astype("f4")
    path = layers[3].path
    shifts = {path: np.full(layers[3].in_channels, 0.5, np.float32)}
    before, after = (
        styleclip.styles(n, w) for n in (net, styleclip.shift_styles(net, shifts))
    )
    for layer in layers:
        gap = 0.5 if layer.path == path else 0.0
        np.testing.assert_allclose(
            after[layer.path], before[layer.path] + gap, atol=1e-5
        )
    bias = path.removesuffix("weight") + "affine/bias"
    assert trees.flatten(net.params)[bias].shape == shifts[path].shape


def test_styles_are_those_of_the_generator():
    net, layers, *_ = setting()
    w = np.random.default_rng(1).normal(size=(1, 6, 6)).astype("f4")
    found = styleclip.styles(net, w)
    _, state = net(
        w, method="synthesis", mutable=["intermediates"], capture_intermediates=True
    )
    flat = trees.flatten(state["intermediates"])
    for layer in layers:
        key = layer.path.removesuffix("weight") + "affine/__call__"
        np.testing.assert_allclose(found[layer.path], flat[key][0], atol=1e-5)


def test_unknown_layers_are_refused():
    net, *_ = setting()
    with pytest.raises(ValueError, match="no such layer"):
        styleclip.shift_styles(net, {"synthesis/b64/conv0/weight": np.zeros(3)})
