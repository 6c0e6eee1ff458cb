"""A prepared data set of faces for the tests of this folder."""

import pytest

from hyperstyle_jax.data import builders


@pytest.fixture(scope="session")
def faces_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return builders.prepare_faces(folder, (10, 33), 16, seed=2, images_per_identity=3)
