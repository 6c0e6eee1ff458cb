"""ArcFace's networks: unit vectors, feature maps of all stages."""

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.models.irnet import FaceNet, IRNet

KEY = jax.random.key(0)


def test_face_embedding_is_a_unit_vector_and_batch_independent():
    module = FaceNet(widths=(8, 16), depths=(1, 1), embedding=12)
    x = jax.random.normal(KEY, (2, 16, 16, 3))
    variables = module.init(KEY, x)
    y = module.apply(variables, x)
    np.testing.assert_allclose(jnp.linalg.norm(y, axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(module.apply(variables, x[1:]), y[1:], atol=1e-6)


def test_stages_end_with_the_output():
    module = IRNet(widths=(4, 8), depths=(2, 1))
    x = jax.random.normal(KEY, (1, 16, 16, 3))
    variables = module.init(KEY, x)
    stages = module.apply(variables, x, method="stages")
    assert [s.shape for s in stages] == [(1, 8, 8, 4), (1, 4, 4, 8)]
    np.testing.assert_array_equal(stages[-1], module.apply(variables, x))
