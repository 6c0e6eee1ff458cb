"""CLIP's networks and tokens against Hugging Face's (scripts/clip_oracle.py)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from procedural_clip import ORACLE, net, vocabulary_file

from hyperstyle_jax.editing import clip_text
from hyperstyle_jax.models.clip import _MEAN, _STD
from hyperstyle_jax.parity import procedural


@pytest.fixture(scope="module")
def clip():
    return net()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = vocabulary_file(tmp_path_factory.mktemp("vocabulary"))
    return clip_text.read_vocabulary(path, ORACLE["sizes"]["vocabulary"])


def test_tokens_are_those_of_another_tokenizer(tokenizer):
    context = ORACLE["sizes"]["context"]
    tokens = clip_text.tokenize(tokenizer, ORACLE["texts"], context)
    for row, expected in zip(tokens, ORACLE["tokens"], strict=True):
        assert row[: len(expected)].tolist() == expected
        assert not row[len(expected) :].any()


def test_text_vectors_are_those_of_another_clip(clip, tokenizer):
    context = ORACLE["sizes"]["context"]
    tokens = clip_text.tokenize(tokenizer, ORACLE["texts"], context)
    vectors = jax.jit(lambda t: clip(t, method="text"))(tokens)
    np.testing.assert_allclose(vectors, ORACLE["text_vectors"], atol=2e-5)


def pixels():
    size = ORACLE["sizes"]["image"]
    values = procedural.normal(0, "clip.pixels", (2, 3, size, size))
    return jnp.asarray(np.moveaxis(values, 1, -1))


normalized_image = jax.jit(lambda clip, x: clip(x, method="normalized_image"))
image = jax.jit(lambda clip, x: clip(x, method="image"))


def test_image_vectors_are_those_of_another_clip(clip):
    vectors = normalized_image(clip, pixels())
    np.testing.assert_allclose(vectors, ORACLE["image_vectors"], atol=2e-5)


def test_images_are_normalized(clip):
    x = jnp.clip(pixels() / 2, -1, 1)
    by_hand = ((x + 1) / 2 - np.float32(_MEAN)) / np.float32(_STD)
    expected = normalized_image(clip, by_hand)
    np.testing.assert_allclose(image(clip, x), expected, atol=1e-5)


@pytest.mark.slow
def test_images_of_other_sizes_are_resized(clip):
    size = ORACLE["sizes"]["image"]
    plain, larger = (jnp.full((2, k * size, size, 3), 0.5) for k in (1, 2))
    np.testing.assert_allclose(image(clip, larger), image(clip, plain), atol=1e-5)
