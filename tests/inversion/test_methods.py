"""The table of inversion methods, on linear networks."""

import jax
import numpy as np
import pytest
from linear_nets import SIZE, linear_bundle, pictures

from hyperstyle_jax.inversion import methods, pipeline, storage
from hyperstyle_jax.offsets import synthesize

FEW = {"steps": 2, "pivot_steps": 2, "samples": 50}


@pytest.fixture(scope="module")
def bundle():
    return linear_bundle()


@pytest.fixture(scope="module")
def x():
    return np.asarray(pictures())


def few(name):
    known = methods.METHODS[name].settings
    return {k: v for k, v in FEW.items() if k in known}


@pytest.mark.parametrize("name", methods.METHODS)
def test_images_are_those_of_the_inversion_whatever_else_is_in_the_batch(
    bundle, x, name
):
    inverted = methods.invert(bundle, x, name, **few(name))
    assert inverted.images.shape[1:] == x.shape
    image = synthesize(bundle.nets["generator"], inverted.inversion)
    np.testing.assert_allclose(image, inverted.images[-1], atol=2e-4)
    other = methods.invert(bundle, x[[0, 0]], name, **few(name)).images
    np.testing.assert_allclose(inverted.images[:, 0], other[:, 0], atol=1e-4)


@pytest.mark.parametrize("name", methods.METHODS)
def test_files_bring_every_inversion_back(bundle, x, name, tmp_path):
    inversion = methods.invert(bundle, x, name, **few(name)).inversion
    for i in range(2):
        storage.save(tmp_path / f"{i}.npz", inversion, i, bundle)
    stored = [storage.load(tmp_path / f"{i}.npz") for i in range(2)]
    again = storage.restore(bundle, stored)
    generator = bundle.nets["generator"]
    images = (synthesize(generator, one) for one in (again, inversion))
    np.testing.assert_allclose(*images, atol=1e-3)
    assert again.replaced.keys() == inversion.replaced.keys()


def test_tuning_goes_on_from_hyperstyles_weights(bundle, x):
    before = methods.invert(bundle, x, "hyperstyle")
    tuned = methods.invert(bundle, x, "hyperstyle-pti", steps=0)
    np.testing.assert_allclose(tuned.images[-1], before.images[-1], atol=1e-5)
    assert not tuned.inversion.offsets and tuned.inversion.replaced
    codes = methods.invert(bundle, x, "code-tuning", steps=0)
    np.testing.assert_allclose(codes.images[-1], before.images[-1], atol=1e-5)
    with pytest.raises(ValueError, match="num_iters=0: expected 1 or more"):
        methods.invert(bundle, x, "code-tuning", num_iters=0)


def test_the_pivot_is_any_method_and_stays(bundle, x):
    pivot = methods.invert(bundle, x, "psp").inversion.w_plus
    tuned = methods.invert(bundle, x, "pti", pivot="psp", steps=30, lr=0.02)
    np.testing.assert_allclose(tuned.inversion.w_plus, pivot, atol=1e-6)
    far, near = (np.square(y - x).mean() for y in tuned.images)
    assert near < 0.1 * far


def test_what_a_bundle_lacks_is_not_available(bundle):
    assert methods.available(bundle) == [*methods.METHODS]
    nets = {k: bundle.nets[k] for k in ("generator", "encoder")}
    poor = bundle._replace(nets=nets)
    assert {"w-encoder", "w", "w-plus"} <= set(methods.available(poor))
    assert not {"hyperstyle", "psp", "restyle-e4e"} & set(methods.available(poor))
    with pytest.raises(ValueError, match=r"'psp'.*train it with configs/ffhq_psp.py"):
        methods.invert(poor, np.zeros((1, SIZE, SIZE, 3)), "psp")


def test_searches_start_where_they_are_told(bundle, x):
    for start in ("w-encoder", "psp"):
        expected = methods.invert(bundle, x, start)
        inverted = methods.invert(bundle, x, "w-plus", steps=0, start=start)
        w_plus = inverted.inversion.w_plus
        np.testing.assert_allclose(w_plus, expected.inversion.w_plus, atol=1e-6)
        np.testing.assert_allclose(inverted.images[0], expected.images[-1], atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "best"}, "expected one of hyperstyle, w-encoder"),
        ({"method": "w", "iters": 3}, "no setting 'iters'; its settings: steps=500"),
        ({"method": "w", "steps": 1.5}, "steps=1.5: expected a value like steps=500"),
        ({"method": "w", "lr": float("nan")}, "lr=nan: expected .* 0 or more"),
        ({"method": "w", "steps": True}, "steps=True: expected a value like"),
        ({"method": "w", "steps": 0, "start": "me"}, "no inversion method 'me'"),
        ({"dtype": "float8"}, "dtype=float8: expected float32 or bfloat16"),
    ],
)
def test_senseless_settings_are_refused(bundle, x, settings, message):
    with pytest.raises(ValueError, match=message):
        methods.invert(bundle, x, **settings)


def test_the_public_function_takes_any_method(bundle, x):
    photos = [*x]
    given = pipeline.invert(bundle, photos, method="w-plus", steps=1, lr=0.0)
    mean = bundle.nets["generator"].variables["buffers"]["mapping"]["w_avg"]
    np.testing.assert_allclose(given.w_plus[1, 2], mean, atol=1e-6)
    plain, named = (
        pipeline.invert(bundle, photos, 1, **more)
        for more in ({}, {"method": "hyperstyle"})
    )
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), plain, named))
    with pytest.raises(ValueError, match="no setting 'num_iters'"):
        pipeline.invert(bundle, photos, 1, method="w")
