"""StyleGAN2's modulated convolution and equalized layers, against explicit loops."""

import jax
import numpy as np
import pytest
from convolution_oracles import correlate, filtered, normal, upsampling_conv2d

from hyperstyle_jax.models import ops


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
        convolve = upsampling_conv2d if up else correlate
        expected.append(convolve(image[None], kernel)[0])
    y = ops.modulated_conv2d(x, weight, style, demodulate=demodulate, up=up)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


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
    y = layer.apply({"params": {"weight": weight, "bias": bias}}, x)
    scaled = weight / np.sqrt(3 * kernel**2)
    expected = correlate(filtered(x, pad), scaled, "valid")[:, ::2, ::2] + bias
    assert expected.shape == (2, 4, 4, 4)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
