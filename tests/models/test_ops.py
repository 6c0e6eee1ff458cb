"""StyleGAN2's operations against scipy.signal and explicit loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from hyperstyle_jax.models import ops

FIR = np.array([1.0, 3.0, 3.0, 1.0]) / 8


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def correlate(x, weight, mode="same"):
    """[B, H, W, I] with [K, K, I, O], plane by plane."""
    planes = [
        sum(
            signal.correlate2d(image[..., i], weight[..., i, o], mode)
            for i in range(weight.shape[2])
        )
        for image in x
        for o in range(weight.shape[3])
    ]
    stacked = np.reshape(planes, (len(x), weight.shape[3], *planes[0].shape))
    return stacked.transpose(0, 2, 3, 1)


def filtered(x, pad, gain=1.0):
    """The two-dimensional FIR filter on every channel."""
    padded = np.pad(x, ((0, 0), pad, pad, (0, 0)))
    kernel = gain * np.outer(FIR, FIR)
    out = [
        [signal.convolve2d(image[..., c], kernel, "valid") for c in range(x.shape[3])]
        for image in padded
    ]
    return np.transpose(out, (0, 2, 3, 1))


def transposed(x, weight):
    """Zeros between the pixels, full convolution, filter."""
    b, h, w, _ = x.shape
    sparse = np.zeros((b, 2 * h - 1, 2 * w - 1, x.shape[3]), np.float32)
    sparse[:, ::2, ::2] = x
    return filtered(correlate(sparse, weight[::-1, ::-1], "full"), (1, 1), 4.0)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_conv2d(batch, kernel):
    x, weight = normal(batch, 5, 6, 3), normal(kernel, kernel, 3, 4, seed=1)
    expected = correlate(x, weight)
    np.testing.assert_allclose(ops.conv2d(x, weight), expected, atol=1e-5)


def test_conv2d_with_stride():
    x, weight = normal(2, 7, 7, 2), normal(3, 3, 2, 2, seed=1)
    expected = correlate(x, weight, "valid")[:, ::2, ::2]
    np.testing.assert_allclose(ops.conv2d(x, weight, 2, 0), expected, atol=1e-5)


def test_blur():
    x = normal(2, 5, 6, 3)
    np.testing.assert_allclose(
        ops.blur(x, (2, 1), gain=4.0), filtered(x, (2, 1), 4.0), atol=1e-5
    )


def test_upsample_is_the_interpolating_filter():
    x = normal(2, 4, 3, 2)
    expected = x
    for axis in (1, 2):
        expected = signal.upfirdn(2 * FIR, expected, up=2, axis=axis)
    np.testing.assert_allclose(
        ops.upsample(x), expected[:, 1:-1, 1:-1], rtol=1e-5, atol=1e-5
    )


def plainly_upsampled(form, x, weight):
    y = form(x, weight)
    return y if form is ops._polyphase else ops.blur(y, (1, 1), gain=4.0)


@pytest.mark.parametrize("form", [ops._taps, ops._phases, ops._polyphase])
def test_every_form_of_the_upsampling_convolution(form):
    x, weight = normal(2, 4, 5, 3), normal(3, 3, 3, 2, seed=1)
    expected = transposed(x, weight)
    assert expected.shape == (2, 8, 10, 2)
    np.testing.assert_allclose(
        plainly_upsampled(form, x, weight), expected, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("backend", "size", "form"),
    [("cpu", 128, "_taps"), ("cpu", 256, "_phases"), ("cpu", 1024, "_phases"),
     ("gpu", 256, "_taps"), ("gpu", 512, "_polyphase")],
)  # fmt: skip
def test_the_form_depends_on_size_and_backend(monkeypatch, backend, size, form):
    used = []

    def watched(name, function):
        def call(*args):
            used.append(name)
            return function(*args)

        return call

    for name in ("_taps", "_phases", "_polyphase"):
        monkeypatch.setattr(ops, name, watched(name, getattr(ops, name)))
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    x = jax.ShapeDtypeStruct((1, size // 2, size // 2, 2), np.float32)
    weight = jax.ShapeDtypeStruct((3, 3, 2, 4), np.float32)
    y = jax.eval_shape(lambda *args: ops.upsampling_conv2d(*args), x, weight)
    assert used == [form] and y.shape == (1, size, size, 4)


def test_gradients_of_the_phases_are_those_of_the_taps():
    x, weight = normal(2, 4, 5, 3), normal(3, 3, 3, 2, seed=1)

    def value(form, x, weight):
        return jnp.sum(jnp.sin(form(x, weight)))

    gradient = jax.grad(value, (1, 2))
    for a, b in zip(
        gradient(ops._phases, x, weight), gradient(ops._taps, x, weight), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["gpu", "tpu"])
@pytest.mark.parametrize("kernels", [1, 3])
def test_polyphase_of_images_side_by_side(monkeypatch, backend, kernels):
    """One by one or grouped, and with one kernel for all: the same, gradients too."""
    x, weights = normal(3, 1, 4, 5, 2), normal(kernels, 3, 3, 2, 3, seed=1)
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    axes = (0, 0 if kernels > 1 else None)

    def value(form, x, weights):
        weights = weights if kernels > 1 else weights[0]
        y = jax.vmap(form, axes)(x, weights)
        return jnp.sum(jnp.sin(y)), y

    def plainly(x, weight):
        return ops.blur(ops._taps(x, weight), (1, 1), gain=4.0)

    gradient = jax.jit(jax.grad(value, (1, 2), has_aux=True), static_argnums=0)
    found, wanted = (gradient(f, x, weights) for f in (ops._polyphase, plainly))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_gradients_of_polyphase_are_those_of_the_taps():
    x, weight = normal(2, 4, 5, 3), normal(3, 3, 3, 2, seed=1)
    gradients = [
        jax.grad(lambda *a, f=form: jnp.sum(jnp.sin(plainly_upsampled(f, *a))), (0, 1))
        for form in (ops._polyphase, ops._taps)
    ]
    for a, b in zip(*(g(x, weight) for g in gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_modulation_scales_the_kernels(up, demodulate, images):
    """Equations 1 and 3 of the paper, a kernel for every image."""
    x, weight = normal(images, 4, 4, 3), normal(3, 3, 3, 5, seed=1)
    style = 1 + normal(images, 3, seed=2)
    expected = []
    for image, scale in zip(x, style, strict=True):
        kernel = weight / np.sqrt(3 * 3 * 3) * scale[:, None]
        if demodulate:
            kernel = kernel / np.sqrt(np.square(kernel).sum((0, 1, 2)) + 1e-8)
        convolve = transposed if up else correlate
        expected.append(convolve(image[None], kernel)[0])
    found = ops.modulated_conv2d(x, weight, style, demodulate=demodulate, up=up)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_gradients_of_the_single_image_convolution():
    """The hand-written ones are those of the plain convolution; second ones too."""
    x, weight = normal(1, 5, 4, 2), normal(3, 3, 2, 3, seed=1)

    def plain(x, weight):
        return ops._conv2d(x, weight, 1, 1)

    def first(convolve):
        def value(x, weight):
            return jnp.sum(jnp.sin(convolve(x, weight)))

        return jax.grad(value, (0, 1))

    def second(convolve):
        def value(x, weight):
            dx, dw = first(convolve)(x, weight)
            return jnp.sum(dx**2) + jnp.sum(jnp.cos(dw))

        return jax.grad(value, (0, 1))

    @jax.jit
    def both(x, weight):
        return [
            [order(f)(x, weight) for order in (first, second)]
            for f in (ops._single_conv2d, plain)
        ]

    found, expected = both(x, weight)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_leaky_relu_keeps_the_variance_of_its_slopes():
    x = np.array([-2.0, 0.0, 3.0], np.float32)
    expected = np.sqrt(2) * np.array([-0.4, 0.0, 3.0])
    np.testing.assert_allclose(ops.leaky_relu(x), expected, rtol=1e-6)


def test_equal_linear_scales_at_run_time():
    layer = ops.EqualLinear(4, bias_init=1.0, lr_mul=0.01)
    x = normal(2, 9)
    params = layer.init(jax.random.key(0), x)["params"]
    assert float(params["weight"].std()) > 50  # stored with variance 1 / lr_mul²
    np.testing.assert_array_equal(params["bias"], np.full(4, 100.0, np.float32))
    expected = x @ (np.asarray(params["weight"]) * 0.01 / 3) + 1.0
    np.testing.assert_allclose(layer.apply({"params": params}, x), expected, atol=1e-5)


@pytest.mark.parametrize(("kernel", "pad"), [(1, (1, 1)), (3, (2, 2))])
def test_equal_conv_filters_before_it_halves(kernel, pad):
    x, weight = normal(2, 8, 8, 3), normal(kernel, kernel, 3, 4, seed=1)
    bias = normal(4, seed=2)
    layer = ops.EqualConv(4, kernel, down=True)
    found = layer.apply({"params": {"weight": weight, "bias": bias}}, x)
    scaled = weight / np.sqrt(3 * kernel**2)
    expected = correlate(filtered(x, pad), scaled, "valid")[:, ::2, ::2] + bias
    assert expected.shape == (2, 4, 4, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
