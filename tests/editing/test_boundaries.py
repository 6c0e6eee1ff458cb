"""Support vector machines fulfil their optimality conditions, and find boundaries."""

import numpy as np
import pytest
from networks import tiny_generator

from hyperstyle_jax.editing import boundaries, ganspace, sefa


def test_primal_and_dual_meet():
    rng = np.random.default_rng(0)
    y = np.repeat([1.0, -1.0], 30)
    x = rng.normal(size=(60, 5)) + 0.4 * y[:, None]
    w, b = boundaries.linear_svm(x, y)
    slack = np.maximum(0, 1 - y * (x @ w + b))
    primal = w @ w / 2 + slack.sum()

    def objective(v):
        return v[:5] @ v[:5] / 2 + np.maximum(0, 1 - y * (x @ v[:5] + v[5])).sum()

    assert primal == pytest.approx(objective(np.append(w, b)))
    for step in rng.normal(size=(200, 6)):  # convex: no way down from here
        assert objective(np.append(w, b) + 1e-3 * step) >= primal - 1e-9


def test_a_separable_world_gives_its_boundary():
    rng = np.random.default_rng(0)
    w, normal = rng.normal(size=(2000, 4)), np.array([0.6, -0.8, 0.0, 0.0])
    fitted = boundaries.fit_boundary(w, w @ normal, extremes=200)
    assert fitted.normal @ normal > 0.99
    assert fitted.validation == 1.0 and fitted.remaining > 0.75
    broken = np.where(np.arange(2000) % 2, w @ normal, -9.0)
    assert boundaries.fit_boundary(w, broken, invalid=-9.0).normal @ normal > 0.9
    for scores in (np.ones(2000), np.ones(3)):
        with pytest.raises(ValueError):
            boundaries.fit_boundary(w, scores)


def test_the_forms_of_ganspace_agree_where_they_should():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(5000, 6)) * np.arange(6, 0, -1)
    exact, pca, ipca = (ganspace.fit_components(w, 4, form) for form in ganspace.FORMS)
    np.testing.assert_allclose(pca.std, exact.std * np.sqrt(4999 / 5000), rtol=1e-6)
    assert np.array_equal(pca.directions, exact.directions)
    # Batches share all but the smallest components.
    assert abs(np.sum(ipca.directions[0] * exact.directions[0])) > 0.999
    whole = ganspace.fit_components(w, 6, "ipca")
    np.testing.assert_allclose(whole.std, ganspace.fit_components(w, 6).std, rtol=1e-5)
    with pytest.raises(ValueError, match="exact, pca, ipca"):
        ganspace.fit_components(w, 4, "best")


def test_the_forms_of_sefa_have_layers_of_their_own():
    generator = tiny_generator()
    layers = sefa.released_layers(generator)
    assert [path for path in layers if "torgb" in path] == layers[-1:]
    found = {form: sefa.factorize_as(generator, form) for form in sefa.FORMS}
    for form, factors in found.items():
        gram = factors.directions @ factors.directions.T
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5, err_msg=form)
    # Of unit channels, the squares add up to their number.
    channels = np.square(found["released"].singular_values).sum()
    assert channels == pytest.approx(round(channels), abs=1e-3)
    with pytest.raises(ValueError, match="ours, released, rosinality"):
        sefa.factorize_as(generator, "best")
