"""Filtered resampling against scipy.signal; all forms of up-sampling are equal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolution_oracles import FIR, filtered, normal
from convolution_oracles import upsampling_conv2d as expected_upsampling
from scipy import signal

from hyperstyle_jax.models import resampling

FORMS = ("_transposed_product", "_transposed_phases", "_polyphase")


def test_blur():
    x = normal(2, 5, 6, 3)
    np.testing.assert_allclose(
        resampling.blur(x, (2, 1), gain=4.0), filtered(x, (2, 1), 4.0), atol=1e-5
    )


def test_upsample_is_the_interpolating_filter():
    x = normal(2, 4, 3, 2)
    expected = x
    for axis in (1, 2):
        expected = signal.upfirdn(2 * FIR, expected, up=2, axis=axis)
    np.testing.assert_allclose(
        resampling.upsample(x), expected[:, 1:-1, 1:-1], rtol=1e-5, atol=1e-5
    )


def upsampled(form, x, weight):
    """Up-sampling convolution by one of its forms; polyphase filters by itself."""
    y = form(x, weight)
    return y if form is resampling._polyphase else resampling.blur(y, (1, 1), gain=4.0)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_upsampling_convolution(form):
    form = getattr(resampling, form)
    x, weight = normal(2, 4, 5, 3), normal(3, 3, 3, 2, seed=1)
    expected = expected_upsampling(x, weight)
    assert expected.shape == (2, 8, 10, 2)
    np.testing.assert_allclose(
        upsampled(form, x, weight), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("backend", "size", "form"),
    [
        ("cpu", 128, "_transposed_product"),
        ("cpu", 256, "_transposed_phases"),
        ("cpu", 1024, "_transposed_phases"),
        ("gpu", 256, "_transposed_product"),
        ("gpu", 512, "_polyphase"),
    ],
)
def test_the_form_depends_on_size_and_backend(monkeypatch, backend, size, form):
    used = []

    def watched(name, function):
        def call(*args):
            used.append(name)
            return function(*args)

        return call

    for name in FORMS:
        monkeypatch.setattr(resampling, name, watched(name, getattr(resampling, name)))
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    x = jax.ShapeDtypeStruct((1, size // 2, size // 2, 2), np.float32)
    weight = jax.ShapeDtypeStruct((3, 3, 2, 4), np.float32)
    y = jax.eval_shape(lambda *args: resampling.upsampling_conv2d(*args), x, weight)
    assert used == [form] and y.shape == (1, size, size, 4)


def test_gradients_of_the_phases_are_those_of_the_product():
    x, weight = normal(2, 4, 5, 3), normal(3, 3, 3, 2, seed=1)

    def value(form, x, weight):
        return jnp.sum(jnp.sin(form(x, weight)))

    gradient = jax.grad(value, (1, 2))
    for a, b in zip(
        gradient(resampling._transposed_phases, x, weight),
        gradient(resampling._transposed_product, x, weight),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["gpu", "tpu"])
@pytest.mark.parametrize("kernels", [1, 3])
def test_polyphase_of_images_side_by_side(monkeypatch, backend, kernels):
    """Image by image, grouped, or with one kernel for all: equal, gradients too."""
    x, weights = normal(3, 1, 4, 5, 2), normal(kernels, 3, 3, 2, 3, seed=1)
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    axes = (0, 0 if kernels > 1 else None)

    def value(form, x, weights):
        weights = weights if kernels > 1 else weights[0]
        y = jax.vmap(form, axes)(x, weights)
        return jnp.sum(jnp.sin(y)), y

    def product(x, weight):
        return upsampled(resampling._transposed_product, x, weight)

    gradient = jax.jit(jax.grad(value, (1, 2), has_aux=True), static_argnums=0)
    forms = (resampling._polyphase, product)
    for a, b in zip(
        *(jax.tree.leaves(gradient(form, x, weights)) for form in forms), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_gradients_of_polyphase_are_those_of_the_product():
    x, weight = normal(2, 4, 5, 3), normal(3, 3, 3, 2, seed=1)
    gradients = [
        jax.grad(lambda *a, f=form: jnp.sum(jnp.sin(upsampled(f, *a))), (0, 1))
        for form in (resampling._polyphase, resampling._transposed_product)
    ]
    for a, b in zip(*(g(x, weight) for g in gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
