"""Effects of style channels: what is rendered, and text directions made of them."""

import jax
import numpy as np
import pytest
from networks import tiny_generator
from procedural_clip import net

from hyperstyle_jax.editing import style_effects, styleclip
from hyperstyle_jax.offsets import latent_only, synthesize


@pytest.fixture(scope="module")
def setting():
    generator = tiny_generator(8)
    return generator, net(), style_effects.measure_styles(generator, 4000)


@pytest.mark.slow
def test_statistics_are_those_of_random_styles(setting):
    generator, _, statistics = setting
    z = jax.random.normal(jax.random.key(7), (4000, generator.module.z_dim))
    styles = styleclip.styles(generator, generator(z, method="mapping"))
    for path, values in styles.items():
        np.testing.assert_allclose(statistics.mean[path], values.mean(0), atol=0.2)
        np.testing.assert_allclose(statistics.std[path], values.std(0), rtol=0.1)


@pytest.mark.slow
def test_an_effect_is_the_mean_direction_of_shifted_images(setting):
    generator, clip, statistics = setting
    layer, channel, images = style_effects.convolutions(generator)[1], 2, 2
    effects = style_effects.measure_layer(
        generator, clip, layer, statistics.std, images=images, seed=5, batch_size=2
    )
    lengths = np.linalg.norm(effects, axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    z = jax.random.normal(jax.random.key(5), (images, generator.module.z_dim))
    w = generator(z, method="mapping")
    shift = np.zeros(layer.in_channels, np.float32)
    shift[channel] = 5 * statistics.std[layer.path][channel]
    start = latent_only(w, generator.module.num_ws)
    vectors = []
    for strength in (1.0, -1.0):
        shifted = styleclip.shift_styles(
            start, generator, {layer.path: shift}, strength
        )
        v = np.asarray(clip(synthesize(generator, shifted), method="image"))
        vectors.append(v / np.linalg.norm(v, axis=1, keepdims=True))
    difference = vectors[0] - vectors[1]
    mean = (difference / np.linalg.norm(difference, axis=1, keepdims=True)).mean(0)
    np.testing.assert_allclose(effects[channel], mean / np.linalg.norm(mean), atol=2e-3)
