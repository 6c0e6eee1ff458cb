"""Encoders: published sizes, rows of w+, the latents that they are added to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hyperstyle_jax import trees
from hyperstyle_jax.models.encoders import StyleEncoder, WEncoder, _resize_bilinear

KEY = jax.random.key(0)
SMALL = dict(w_dim=12, widths=(4, 8, 8, 8), depths=(1, 1, 1, 1))


@pytest.mark.parametrize(
    "module, channels, count",
    [
        (WEncoder(), 3, 31212736),
        (StyleEncoder(18, pyramid=False, progressive=True), 6, 205585792),
        (
            StyleEncoder(
                16, depths=(3, 4, 6, 3), trunk="resnet", pyramid=False, progressive=True
            ),
            6,
            176524352,
        ),
    ],
)
def test_full_size_counts(module, channels, count):
    x = jnp.zeros((1, 256, 256, channels))
    variables = jax.eval_shape(module.init, KEY, x)
    assert trees.count(variables["params"]) == count


def test_w_encoder_adds_the_mean_latent():
    module = WEncoder(**SMALL)
    x = jax.random.normal(KEY, (2, 64, 48, 3))
    variables = jax.jit(module.init)(KEY, x)
    w = module.apply(variables, x)
    assert w.shape == (2, 12)
    shifted = {**variables, "buffers": {"latent_avg": jnp.arange(12.0)}}
    np.testing.assert_allclose(
        module.apply(shifted, x), w + jnp.arange(12.0), atol=1e-6
    )


@pytest.mark.parametrize("trunk, pyramid", [("ir_se", True), ("resnet", False)])
def test_progressive_rows_are_offsets_from_the_first(trunk, pyramid):
    x = jax.random.normal(KEY, (2, 64, 64, 6))
    settings = dict(num_ws=9, trunk=trunk, pyramid=pyramid, **SMALL)
    independent = StyleEncoder(**settings)
    progressive = StyleEncoder(**settings, progressive=True)
    variables = jax.jit(independent.init)(KEY, x)
    rows = independent.apply(variables, x)
    full = progressive.apply(variables, x)
    np.testing.assert_allclose(full[:, 0], rows[:, 0], atol=1e-6)
    np.testing.assert_allclose(full[:, 1:], rows[:, :1] + rows[:, 1:], atol=1e-6)
    for stage in (0, 4):
        w = progressive.apply(variables, x, stage=stage)
        np.testing.assert_array_equal(w[:, : stage + 1], full[:, : stage + 1])
        rest = w[:, stage + 1 :]
        np.testing.assert_array_equal(rest, jnp.broadcast_to(w[:, :1], rest.shape))


def test_latent_replaces_the_mean():
    module = StyleEncoder(num_ws=4, pyramid=False, **SMALL)
    x = jax.random.normal(KEY, (2, 64, 64, 6))
    variables = jax.jit(module.init)(KEY, x)
    latent = jax.random.normal(KEY, (2, 4, 12))
    moved = module.apply(variables, x, latent)
    np.testing.assert_allclose(moved - latent, module.apply(variables, x), atol=1e-5)


def test_resize_aligns_corners():
    x = jax.random.normal(KEY, (1, 3, 4, 2))
    y = _resize_bilinear(x, (1, 5, 7, 2))
    np.testing.assert_allclose(y[:, ::2, ::2], x, atol=1e-6)
    np.testing.assert_allclose(y[:, 1, 0], (x[:, 0, 0] + x[:, 1, 0]) / 2, atol=1e-6)


def test_unknown_trunk_is_refused():
    with pytest.raises(ValueError, match="ir_se"):
        StyleEncoder(4, trunk="vit").init(KEY, jnp.zeros((1, 32, 32, 3)))
