"""The public names: all there, and free until they are used."""

import subprocess
import sys

import jax
import numpy as np
import pytest
from networks import tiny_nets

import hyperstyle_jax as hs
from hyperstyle_jax import images


def test_every_public_name_exists():
    assert 10 <= len(hs._PUBLIC) <= 20
    for name in hs._PUBLIC:
        assert callable(getattr(hs, name)) and name in dir(hs)
    with pytest.raises(AttributeError, match="no attribute 'hypestyle'"):
        _ = hs.hypestyle


def test_import_is_instant():
    code = (
        "import sys, time; start = time.time(); import hyperstyle_jax;"
        "assert time.time() - start < 1 and 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "tiny"
    directions = {"smile": np.eye(6, dtype=np.float32)[0]}
    hs.save(path, tiny_nets(), info={"num_iters": 2}, directions=directions)
    return hs.load(path)


def test_load_invert_edit_synthesize(bundle):
    """The four lines of the README; photos of any size and kind."""
    rng = np.random.default_rng(0)
    photos = [
        rng.integers(0, 256, (20, 30, 3), np.uint8),
        rng.uniform(-1, 1, (9, 9, 3)),
    ]
    inversion = hs.invert(bundle, photos)
    generator = bundle.nets["generator"]
    again = hs.synthesize(generator, inversion)
    assert again.shape == (2, 16, 16, 3) and inversion.embeddings.num_iters == 2
    edited = hs.edit(inversion, bundle.direction("smile"), 2.0)
    moved = hs.synthesize(generator, edited)
    assert edited.offsets is inversion.offsets
    assert float(abs(moved - again).max()) > 1e-3
    np.testing.assert_allclose(
        hs.sweep(generator, inversion, bundle.direction("smile"), np.array([0.0, 2.0])),
        np.stack([again, moved], 1),
        atol=1e-4,
    )


def test_floats_of_the_right_size_are_taken_as_they_are(bundle):
    from hyperstyle_jax.inversion import pipeline

    x = np.random.default_rng(1).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_array_equal(pipeline.prepare(bundle, x), x)
    np.testing.assert_array_equal(pipeline.prepare(bundle, jax.numpy.asarray(x)), x)


def test_the_centre_in_the_bundles_aspect_is_taken():
    x = np.zeros((30, 90, 3), np.uint8)
    x[:, 30:60] = 255
    assert (images.crop(x, 1.0) == 255).all()
    assert images.crop(x, 0.75).shape == (30, 40, 3)
    assert images.crop(x.transpose(1, 0, 2), 0.75).shape == (22, 30, 3)


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [np.zeros((5, 5))],
        [np.zeros((5, 5, 4), np.uint8)],
        [np.full((16, 16, 3), 255.0)],
        [np.full((16, 16, 3), np.nan)],
    ],
)
def test_senseless_photos_are_refused(bundle, bad):
    with pytest.raises(ValueError, match=r"expected (an array|\[H, W, 3\]|uint8)"):
        hs.invert(bundle, bad)


def test_senseless_numbers_of_iterations_are_refused(bundle):
    for bad in (-1, 101, 2.5):
        with pytest.raises(ValueError, match="0 to 100"):
            hs.invert(bundle, np.zeros((1, 16, 16, 3), np.float32), bad)
