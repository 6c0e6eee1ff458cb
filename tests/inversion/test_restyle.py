"""ReStyle: its scan is the loop of the paper."""

import jax
import jax.numpy as jnp
import numpy as np
from networks import random_net, tiny_generator

from hyperstyle_jax.inversion import restyle
from hyperstyle_jax.models.encoders import StyleEncoder

SMALL = {"widths": (4, 8), "depths": (1, 1), "w_dim": 6}


def nets():
    generator = tiny_generator(16)
    module = StyleEncoder(6, **SMALL, pyramid=False, progressive=True)
    return random_net(module, 1, [(16, 16, 6)], 0.3), generator


def test_iterations_are_the_plain_loop():
    encoder, generator = nets()
    x = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3), minval=-1.0)
    w = jnp.broadcast_to(encoder.variables["buffers"]["latent_avg"], (2, 6, 6))
    image = generator(w, method="synthesis")
    images = [image]
    for _ in range(2):
        w = encoder(jnp.concatenate([x, image], -1), w)
        image = generator(w, method="synthesis")
        images.append(image)
    invert = jax.jit(restyle.invert, static_argnames="num_iters")
    result = invert(encoder, generator, x, num_iters=2)
    np.testing.assert_allclose(result.inversion.w_plus, w, atol=1e-4)
    np.testing.assert_allclose(result.images, jnp.stack(images), atol=1e-4)
    assert result.inversion.offsets == {} and result.inversion.embeddings is None


def test_no_iterations_give_the_mean_image():
    encoder, generator = nets()
    x = jnp.zeros((1, 16, 16, 3))
    result = restyle.invert(encoder, generator, x, num_iters=0)
    latent = encoder.variables["buffers"]["latent_avg"]
    np.testing.assert_array_equal(result.inversion.w_plus[0], latent)
    assert result.images.shape == (1, 1, 16, 16, 3)
