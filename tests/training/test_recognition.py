"""The feature extractor and its training: ArcFace, attributes, perceptual distance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tasks
from networks import random_net

from hyperstyle_jax import faces, losses, trees
from hyperstyle_jax.models.feature_extractor import FeatureExtractor
from hyperstyle_jax.training import recognition

call = jax.jit(lambda net, x: net(x))
compare = jax.jit(lambda net, x, y: net(x, y, method="distances"))


@pytest.fixture(scope="module")
def config():
    c = tasks.tiny("recognition")
    c.data.train, c.data.images_per_identity = (9, 17), 2
    c.loss.shape = 0.5
    return c


@pytest.fixture(scope="module")
def task(config):
    return recognition.make_task(config)


@pytest.fixture(scope="module")
def trained(task, config):
    return tasks.train(task, config, steps=8)


@pytest.fixture(scope="module")
def net():
    module = FeatureExtractor(3, widths=(4, 6), depths=(1, 1), embedding=5)
    return random_net(module, 0, [(8, 8, 3)], 0.5)


def test_it_learns_one_batch(trained):
    _, metrics = trained
    for step in metrics:
        assert step.keys() == {"id", "attributes", "shape", "grad_norm"}
        assert np.isfinite(list(step.values())).all()
    for name in ("id", "attributes", "shape"):
        assert metrics[-1][name] < metrics[0][name]


def test_one_centre_for_each_identity_and_statistics_of_the_domain(
    task, config, trained
):
    state, _ = trained
    assert state["params"]["class_centres"].shape == (5, 5)
    labels = tasks.batch(config)["identity"] - 9 // 2
    np.testing.assert_array_equal(labels, [0, 1, 1, 2])
    attributes = faces.attributes(faces.latents(np.arange(9, 17)))
    mean = np.stack([attributes[name].mean() for name in faces.ATTRIBUTES])
    buffers = task.frozen["buffers"]
    np.testing.assert_allclose(buffers["attribute_mean"], mean, rtol=1e-4, atol=1e-5)
    means = trees.flatten(state["batch_stats"])
    means = [value for path, value in means.items() if path.endswith("mean")]
    assert all(abs(mean).max() > 0 for mean in means)  # they start at 0


def test_export_leaves_the_class_centres_out(task, config, trained, tmp_path):
    state, _ = trained
    nets = recognition.export(config, state, task.frozen)
    assert (
        nets.keys() == {"feature_extractor"}
        and "class_centres" not in nets["feature_extractor"].params
    )
    tasks.assert_bundled(nets, tmp_path / "bundle")


def test_evaluation(task, config, trained):
    outputs = tasks.evaluated(task, config, trained[0])["per_image"]
    assert outputs["embedding"].shape == (4, 5)
    assert outputs["error"].shape == (4, len(faces.ATTRIBUTES))


def test_arcface():
    """−log softmax of s·cos θ, with s·cos(θ + m) for the image's own identity."""
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(6, 4))
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    centres = rng.normal(size=(3, 4))
    labels = np.array([0, 1, 2, 0, 1, 2])
    embedding[0] = centres[0] / np.linalg.norm(centres[0])  # θ = 0
    scale, margin = recognition._SCALE, recognition._MARGIN
    expected = []
    for vector, label in zip(embedding, labels, strict=True):
        angles = [
            np.arccos(np.clip(vector @ p / np.linalg.norm(p), -1, 1)) for p in centres
        ]
        angles[label] += margin
        logits = scale * np.cos(angles)
        expected.append(np.log(np.exp(logits).sum()) - logits[label])
    entropies = jax.jit(recognition.arcface)(embedding, centres, labels)
    np.testing.assert_allclose(entropies, expected, rtol=1e-3, atol=1e-3)


def test_arcface_never_rewards_a_larger_angle():
    """Also past π − margin; the other identity is at right angles all the while."""
    angles = jnp.linspace(0.01, np.pi - 0.01, 200)
    vectors = jnp.stack([jnp.cos(angles), jnp.sin(angles), 0 * angles], 1)
    centres = jnp.array([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    loss = jax.jit(recognition.arcface)(vectors, centres, jnp.zeros(200, int))
    assert (jnp.diff(loss) > -1e-5).all()  # rounding, where it is flat
    assert (jnp.diff(loss)[60:] > 1e-5).all()


def test_summary():
    rng = np.random.default_rng(0)
    identity = np.repeat(np.arange(10), 3)
    centres = rng.normal(size=(10, 32))
    embedding = centres[identity] + 0.01 * rng.normal(size=(30, 32))
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    error = np.full((30, len(faces.ATTRIBUTES)), 0.25)
    scores = recognition.summarize(
        {"embedding": embedding, "identity": identity, "error": error}
    )
    assert scores["attributes_r2"] == pytest.approx(0.75)
    assert scores["r2/smile"] == pytest.approx(0.75)
    assert scores["same_identity_auc"] == 1.0
    assert scores["similarity_same"] > 0.95 > scores["similarity_other"]
    strangers = recognition.summarize(
        {"embedding": embedding, "identity": np.arange(30), "error": error}
    )
    assert "same_identity_auc" not in strangers


def test_identity_is_a_unit_vector_and_attributes_have_units(net):
    x = np.random.default_rng(1).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
    identity, attributes = call(net, x)
    np.testing.assert_allclose(jnp.linalg.norm(identity, axis=1), 1, rtol=1e-4)
    mean, std = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 10.0, 100.0])
    plain, scaled = (
        call(net.replace(variables={**net.variables, "buffers": buffers}), x)[1]
        for buffers in (
            {"attribute_mean": 0 * mean, "attribute_std": 0 * std + 1},
            {"attribute_mean": mean, "attribute_std": std},
        )
    )
    np.testing.assert_allclose(scaled, mean + std * plain, rtol=1e-4, atol=1e-4)
    assert attributes.shape == (2, 3)


def test_perceptual_distance_is_that_of_normalized_stages(net):
    x, y = np.random.default_rng(1).uniform(-1, 1, (2, 2, 8, 8, 3)).astype(np.float32)

    @jax.jit
    def stages(net, x):
        return net(x, method=lambda module, x: module.trunk.stages(x))

    expected = 0.0
    for a, b in zip(stages(net, x), stages(net, y), strict=True):
        a, b = (np.asarray(v) for v in (a, b))
        a, b = (v / np.sqrt(np.square(v).sum(-1, keepdims=True) + 1e-8) for v in (a, b))
        expected += np.square(a - b).sum(-1).mean((1, 2)) / 2
    distance, similarity = compare(net, x, y)
    np.testing.assert_allclose(distance, expected, rtol=1e-3)
    apart = losses.dissimilarity(call(net, x)[0], call(net, y)[0])
    np.testing.assert_allclose(1 - similarity, apart, atol=1e-4)
    nothing, alike = compare(net, x, x)
    np.testing.assert_allclose(nothing, 0, atol=1e-5)
    np.testing.assert_allclose(alike, 1, atol=1e-4)


def test_no_gradient_flows_into_the_target_and_black_is_finite(net):
    x = jnp.zeros((1, 8, 8, 3))

    @jax.jit
    def slopes(net, x, y):
        def value(x, y):
            distance, similarity = net(x, y, method="distances")
            return distance.sum() - similarity.sum()

        return jax.grad(value, (0, 1))(x, y)

    into_x, into_y = slopes(net, x, x + 0.1)
    assert np.isfinite(into_x).all() and float(abs(into_x).max()) > 0
    np.testing.assert_array_equal(into_y, 0)
