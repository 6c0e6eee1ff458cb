"""MTCNN's networks: published sizes, outputs for windows and crops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hyperstyle_jax import trees
from hyperstyle_jax.models.mtcnn import ONet, PNet, RNet

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    "module, size, count",
    [(PNet(), 12, 6632), (RNet(), 24, 100178), (ONet(), 48, 389040)],
)
def test_sizes(module, size, count):
    x = jax.random.normal(KEY, (3, size, size, 3))
    variables = jax.jit(module.init)(KEY, x)
    assert trees.count(variables["params"]) == count
    output = jax.jit(module.apply)(variables, x)
    lead = (3, 1, 1) if size == 12 else (3,)
    assert output["face"].shape == (*lead, 2) and output["box"].shape == (*lead, 4)
    np.testing.assert_allclose(output["face"].sum(-1), 1.0, rtol=1e-6)
    assert ("landmarks" in output) == (size == 48)


def test_proposals_slide_over_the_image():
    x = jax.random.normal(KEY, (1, 18, 16, 3))
    variables = PNet().init(KEY, x)
    proposals = PNet().apply(variables, x)
    assert proposals["face"].shape == (1, 4, 3, 2)
    window = PNet().apply(variables, x[:, 4:16, 2:14])
    np.testing.assert_allclose(
        window["box"][0, 0, 0], proposals["box"][0, 2, 1], atol=1e-5
    )


def test_the_releases_softmax_sums_over_a_row():
    x = jax.random.normal(KEY, (1, 18, 16, 3))
    variables = PNet().init(KEY, x)
    face = PNet(across_width=True).apply(variables, x)["face"]
    np.testing.assert_allclose(face.sum(2), jnp.ones((1, 4, 2)), rtol=1e-6)
