"""The measures of held-out faces against plain sums."""

import numpy as np
import pytest
from evaluated_bundles import NUM_ITERS

from hyperstyle_jax import faces, images
from hyperstyle_jax.evaluation import held_out_faces, tables
from hyperstyle_jax.inversion import pipeline
from hyperstyle_jax.weights import bundle

SIZE = 16


@pytest.fixture(scope="module")
def results(model):
    """Five faces, two at a time."""
    return held_out_faces.run({"tiny": model}, count=5, batch_size=2, num_images=3)


def test_every_face_is_measured_once_and_in_its_place(model, results):
    for domain, worn in held_out_faces.DOMAINS.items():
        x = held_out_faces.held_out(5, 1_000_000, SIZE, worn)
        pairs = [
            pipeline.refine(model, x[i : i + 2], NUM_ITERS).images for i in (0, 2, 3)
        ]
        steps = np.concatenate([*pairs[:2], pairs[2][:, 1:]], axis=1)
        result = results[domain]["tiny"]
        l2 = ((steps - x) ** 2).mean((2, 3, 4))
        np.testing.assert_allclose(result.measures["l2"], l2, rtol=1e-4)
        np.testing.assert_allclose(result.images, steps[:, :3], atol=1e-4)
        np.testing.assert_array_equal(result.targets, x[:3])
        assert result.measures["identity"].shape == (NUM_ITERS + 1, 5)
        assert min(result.seconds) > 0


def test_without_iterations_only_the_initial_inversion_is_left(model, results):
    initial = held_out_faces.run(
        {"a": model}, count=2, num_iters=0, domains=["in-domain"]
    )
    measures = initial["in-domain"]["a"].measures
    expected = results["in-domain"]["tiny"].measures
    for name, values in measures.items():
        np.testing.assert_allclose(values, expected[name][:1, :2], rtol=1e-4)
    (_, row) = tables.summarize(initial, {"a": model})["domains"]["in-domain"]["rows"]
    assert row["l2_ratio"] == 1 and row["regained"] == 0


def test_held_out_faces_are_never_trained_on():
    plain, worn = (
        held_out_faces.held_out(2, 1_000_003, SIZE, w) for w in (False, True)
    )
    drawn = faces.draw([1_000_003, 1_000_004], size=SIZE)["image"]
    np.testing.assert_array_equal(images.to_uint8(plain), drawn)
    assert (plain != worn).any()
    with pytest.raises(ValueError, match="below 1,000,000 are trained on"):
        held_out_faces.held_out(1, 999_999, SIZE, False)


def test_another_eval_network_measures_and_the_images_stay(model, results, stranger):
    eval_network = bundle.load(stranger)
    domains = ["in-domain"]
    other = held_out_faces.run(
        {"a": model}, count=2, domains=domains, eval_network=eval_network
    )
    other, own = other["in-domain"]["a"], results["in-domain"]["tiny"]
    np.testing.assert_allclose(other.images, own.images[:, :2], atol=1e-4)
    expected = pipeline.measure(eval_network, other.targets, other.images)
    for name, values in expected.items():
        np.testing.assert_allclose(other.measures[name], values, rtol=1e-3, atol=1e-5)
    assert not np.allclose(other.measures["identity"], own.measures["identity"][:, :2])


def test_models_that_cannot_be_compared_are_refused(model):
    no_encoder = model._replace(nets={"generator": model.nets["generator"]})
    with pytest.raises(ValueError, match="half cannot invert: .*no encoder"):
        held_out_faces.run({"half": no_encoder})
    larger = model._replace(info=model.info | {"image_size": 32})
    with pytest.raises(ValueError, match=r"32x32 \(large\): expected squares of one"):
        held_out_faces.run({"tiny": model, "large": larger})
    with pytest.raises(
        ValueError, match=r"32x32 \(the evaluation network\): expected squares of one"
    ):
        held_out_faces.run({"tiny": model}, eval_network=larger)
    with pytest.raises(ValueError, match="expected 1 or more"):
        held_out_faces.run({"tiny": model}, count=0)
