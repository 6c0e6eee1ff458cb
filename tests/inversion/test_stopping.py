"""Images that leave the refinement when they are close enough."""

import jax
import numpy as np
import pytest
from networks import tiny_nets

from hyperstyle_jax.inversion import pipeline, stopping, storage
from hyperstyle_jax.offsets import synthesize
from hyperstyle_jax.weights import bundle

T, SIZE = 3, 8
FAR, NEAR = {"l2": -1.0, "identity": 2.0}, {"l2": 1e9, "identity": -2.0}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    bundle.save(folder, tiny_nets(SIZE), info={"num_iters": T})
    return bundle.load(folder)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).uniform(-1, 1, (4, SIZE, SIZE, 3)).astype("f4")


@pytest.fixture(scope="module")
def whole(model, x):
    return jax.device_get(pipeline.refine(model, x, T))


def until(model, x, **bounds):
    return jax.device_get(pipeline.refine_until(model, x, T, bounds))


@pytest.mark.slow
def test_a_bound_out_of_reach_changes_nothing(model, x, whole):
    stopped = until(model, x, **FAR)
    assert list(stopped.iterations) == [T] * 4
    for ours, theirs in zip(
        jax.tree.leaves(stopped.refinement), jax.tree.leaves(whole), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.slow
def test_a_bound_that_all_keep_leaves_the_initial_inversion(model, x, whole):
    stopped = until(model, x, **NEAR)
    assert list(stopped.iterations) == [0] * 4
    for image in stopped.refinement.images:
        np.testing.assert_allclose(image, whole.images[0], atol=1e-5)


@pytest.mark.slow
def test_each_image_stops_by_itself_and_its_file_says_where(model, x, whole, tmp_path):
    values = pipeline.measure(model, x, whole.images)["l2"]
    bound = float(np.median(values.min(0)))
    stopped = until(model, x, l2=bound, identity=-2.0)
    expected = [next((t for t in range(T) if v[t] <= bound), T) for v in values.T]
    assert list(stopped.iterations) == expected and len(set(expected)) > 1
    rendered = pipeline.full_size(model, stopped)
    decoded = synthesize(model.nets["generator"], pipeline.decode(model, stopped))
    for i, t in enumerate(expected):
        one = stopping.of_image(stopped.refinement, i, t)
        assert len(one.images) == t + 1
        expected_images = whole.images[: t + 1, i]
        np.testing.assert_allclose(one.images[:, 0], expected_images, atol=1e-4)
        stored = storage.load(storage.save(tmp_path / f"{i}.npz", one, 0, model))
        assert stored.num_iters == t
        restored = storage.restore(model, [stored])
        image = synthesize(model.nets["generator"], restored)[0]
        for other in (rendered[i], decoded[i], whole.images[t, i]):
            np.testing.assert_allclose(image, other, atol=1e-4)


def test_bounds_that_cannot_be_measured_are_refused(model, x):
    blind = model._replace(nets={k: model.nets[k] for k in ("encoder", "hypernet")})
    blind.nets["generator"] = model.nets["generator"]
    with pytest.raises(ValueError, match="needs a bundle with a feature extractor"):
        pipeline.refine_until(blind, x, T, {"lpips": 0.1})
    with pytest.raises(ValueError, match="'psnr' is no measure"):
        pipeline.refine_until(model, x, T, {"psnr": 30})
