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


def test_image_vectors_are_those_of_another_clip(clip):
    size = ORACLE["sizes"]["image"]
    pixels = procedural.normal(0, "clip.pixels", (2, 3, size, size))
    x = jnp.asarray(np.moveaxis(pixels, 1, -1))
    vectors = jax.jit(lambda x: clip(x, method="normalized_image"))(x)
    np.testing.assert_allclose(vectors, ORACLE["image_vectors"], atol=2e-5)


def test_images_are_normalized_and_resized(clip):
    size = ORACLE["sizes"]["image"]
    x = jnp.full((1, size, size, 3), 0.5)
    by_hand = (0.75 - np.float32(_MEAN)) / np.float32(_STD)
    expected = clip(jnp.broadcast_to(by_hand, x.shape), method="normalized_image")
    np.testing.assert_allclose(clip(x, method="image"), expected, atol=1e-5)
    larger = jnp.full((1, 2 * size, 3 * size, 3), 0.5)
    np.testing.assert_allclose(clip(larger, method="image"), expected, atol=1e-5)
