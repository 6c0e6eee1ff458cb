"""Edits: strength 0 changes nothing; toy worlds give back their directions."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from networks import tiny_generator, tiny_nets

from hyperstyle_jax.editing import ganspace, interfacegan, labelling, learned, sefa
from hyperstyle_jax.editing.directions import at_rows, edit
from hyperstyle_jax.offsets import Inversion, LayerEmbeddings, latent_only

D, L = 12, 4


@pytest.fixture
def inversion(rng):
    w = jnp.asarray(rng.normal(size=(3, L, D)), jnp.float32)
    embeddings = LayerEmbeddings({"a": jnp.ones((3, 2))}, 1)
    return Inversion(w, {"a": jnp.ones((3, 2, 2))}, embeddings=embeddings)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_strength_zero_changes_nothing_and_offsets_always_stay(inversion, rng):
    direction = rng.normal(size=D).astype(np.float32)
    still, moved = edit(inversion, direction, 0.0), edit(inversion, direction, 2.0)
    assert jnp.array_equal(still.w_plus, inversion.w_plus)
    assert not jnp.array_equal(moved.w_plus, inversion.w_plus)
    assert (
        moved.offsets is inversion.offsets and moved.embeddings is inversion.embeddings
    )


def test_there_and_back(inversion, rng):
    direction = rng.normal(size=(L, D)).astype(np.float32)
    back = edit(edit(inversion, direction, 3.0), direction, -3.0)
    np.testing.assert_allclose(back.w_plus, inversion.w_plus, atol=1e-5)


def test_one_strength_per_image_is_one_edit_per_image(inversion, rng):
    direction = rng.normal(size=D).astype(np.float32)
    strengths = np.array([-1.0, 0.0, 2.0], np.float32)
    together = edit(inversion, direction, strengths).w_plus
    for i, strength in enumerate(strengths):
        expected = edit(inversion, direction, float(strength)).w_plus[i]
        np.testing.assert_allclose(together[i], expected, atol=1e-6)


def test_rows_change_only_where_the_direction_has_them(rng):
    w = jnp.asarray(rng.normal(size=(2, D)), jnp.float32)
    inversion = latent_only(w, L)
    direction = jnp.asarray(rng.normal(size=D), jnp.float32)
    edited = edit(inversion, at_rows(direction, [1, 2], L)).w_plus
    assert jnp.array_equal(edited[:, 0], w) and jnp.array_equal(edited[:, 3], w)
    np.testing.assert_allclose(edited[:, 1], w + direction, rtol=1e-6)


@pytest.mark.parametrize("shape", [(D + 1,), (L + 1, D), (), (1, L, D)])
def test_directions_of_another_space_are_refused(inversion, shape):
    with pytest.raises(ValueError, match="another generator"):
        edit(inversion, np.zeros(shape))


def test_rows_out_of_range_are_refused():
    with pytest.raises(ValueError, match="from 0 to 3"):
        at_rows(np.zeros(D), [4], L)


def stretched(rng, count=6000):
    """Latents with a covariance of their own, as mapping networks make them."""
    axes = np.linalg.qr(rng.normal(size=(D, D)))[0]
    return rng.normal(size=(count, D)) * np.linspace(3, 0.3, D) @ axes + 1.0


def test_a_linear_world_gives_back_its_normals(rng):
    """Round latents and orthogonal attributes: directions are the normals."""
    w = rng.normal(size=(6000, D))
    normals = np.linalg.qr(rng.normal(size=(D, 3)))[0].T
    scores = {f"s{i}": w @ n + 0.1 for i, n in enumerate(normals)}
    boundaries = interfacegan.fit_directions(w, scores)
    for i, n in enumerate(normals):
        np.testing.assert_allclose(boundaries.directions[f"s{i}"], n, atol=0.05)
        assert boundaries.explained[f"s{i}"] > 0.999


def test_a_direction_changes_its_attribute_alone(rng):
    w = stretched(rng)
    b = rng.normal(size=(D, 3))
    scores = dict(zip("xyz", (w @ b).T, strict=True))
    for i, direction in enumerate(interfacegan.fit_directions(w, scores)[0].values()):
        change = direction @ b / (w @ b).std(0)
        assert change[i] > 0.05
        np.testing.assert_allclose(np.delete(change, i), 0.0, atol=1e-2)


def test_it_is_the_shortest_such_step_and_one_standard_deviation_long(rng):
    w = stretched(rng)
    b = rng.normal(size=(D, 2))
    scores = {"x": w @ b[:, 0], "y": w @ b[:, 1]}
    direction = interfacegan.fit_directions(w, scores).directions["x"]
    inverse = np.linalg.inv(np.cov(w.T))
    length = direction @ inverse @ direction
    assert length == pytest.approx(1.0, rel=0.01)
    neutral = np.linalg.svd(b.T)[2][2:]  # steps that change neither x nor y
    for step in neutral:
        for sign in (-0.1, 0.1):
            detour = direction + sign * step
            assert detour @ inverse @ detour > length - 1e-6


def test_dependent_attributes_may_move_together(rng):
    w = stretched(rng)
    x = w @ rng.normal(size=D)
    scores = {"x": x, "both": x + 0.3 * x.std() * rng.normal(size=len(w))}
    free = interfacegan.fit_directions(w, scores, independent=False).directions
    cosine = (
        free["x"] @ free["both"] / np.prod([np.linalg.norm(v) for v in free.values()])
    )
    assert cosine > 0.99
    kept = interfacegan.fit_directions(w, {"x": x}, only=["x"]).directions["x"]
    np.testing.assert_allclose(kept, free["x"], rtol=1e-4)


def test_what_is_not_linear_is_said(rng):
    w = stretched(rng)
    scores = {"half": w[:, 0] + w[:, 0].std() * rng.normal(size=len(w))}
    explained = interfacegan.fit_directions(w, scores).explained
    assert explained["half"] == pytest.approx(0.5, abs=0.05)


def test_attributes_that_do_not_vary_or_follow_from_others_are_refused(rng):
    w = stretched(rng, 300)
    with pytest.raises(ValueError, match="glasses is the same in all 300"):
        interfacegan.fit_directions(w, {"glasses": np.zeros(300)})
    with pytest.raises(ValueError, match="a and b cannot be told apart"):
        scores = {"a": w[:, 0], "c": w[:, 1], "b": -3 * w[:, 0] + 2}
        interfacegan.fit_directions(w, scores)
    with pytest.raises(ValueError, match="for 300 latents"):
        interfacegan.fit_directions(w, {"a": w[:9, 0]})


def test_labels_are_what_the_feature_extractor_reads():
    nets = tiny_nets()
    generator, extractor = nets["generator"], nets["feature_extractor"]
    labelled = labelling.label(generator, extractor, 10, batch_size=4)
    assert labelled.w.shape == (10, 6) and labelled.attributes.shape == (10, 3)
    image = generator(labelled.w[7:8], method="synthesis").clip(-1, 1)
    identity, attributes = extractor(image)
    np.testing.assert_allclose(labelled.identity[7], identity[0], atol=1e-4)
    np.testing.assert_allclose(
        labelled.attributes[7], attributes[0], rtol=1e-3, atol=1e-4
    )
    assert len(np.unique(labelled.w[:, 0])) == 10


def test_a_learned_direction_changes_its_attribute_more_and_the_others_less():
    nets = tiny_nets()
    generator, extractor = nets["generator"], nets["feature_extractor"]
    labelled = labelling.label(generator, extractor, 300)
    scores = dict(zip("abc", labelled.attributes.T, strict=True))
    start = interfacegan.fit_directions(labelled.w, scores).directions["b"]
    learn = partial(learned.learn_direction, generator, extractor, labelled, 1, start)
    direction = learn(steps=60)
    assert direction.shape == (generator.module.num_ws, 6)
    before, after = (
        learned.measure_effect(generator, extractor, labelled, d)
        for d in (start, direction)
    )
    assert after[1] > 1.1 * before[1]
    assert np.delete(after, 1).max() / after[1] < 0.5
    precision = np.linalg.inv(np.cov(labelled.w.T))
    assert (np.einsum("li,ij,lj->l", direction, precision, direction) < 1.05).all()
    np.testing.assert_array_equal(learn(steps=2), learn(steps=2))


def test_a_direction_learned_in_no_steps_is_the_one_it_began_with():
    nets = tiny_nets()
    generator, extractor = nets["generator"], nets["feature_extractor"]
    labelled = labelling.label(generator, extractor, 100)
    start = 0.5 * labelled.w.std(0).min() * np.eye(6, dtype=np.float32)[0]
    same = learned.learn_direction(generator, extractor, labelled, 0, start, steps=0)
    np.testing.assert_allclose(same, np.tile(start, (len(same), 1)), atol=1e-5)


def test_sefa_is_the_svd_of_the_affine_weights():
    net = tiny_generator()
    synthesis = net.params["synthesis"]
    layers = [("b4", "conv1"), ("b8", "conv0"), ("b8", "conv1")]
    a = np.concatenate([synthesis[b][c]["affine"]["weight"] for b, c in layers], 1)
    u, s, _ = np.linalg.svd(a)
    factors = sefa.factorize(net)
    np.testing.assert_allclose(factors.singular_values, s, rtol=1e-4)
    np.testing.assert_allclose(abs((factors.directions * u.T).sum(1)), 1.0, atol=1e-4)
    assert (np.abs(factors.directions).max(1) == factors.directions.max(1)).all()
    coarse = sefa.factorize(net, "synthesis/b4/.*affine/weight")
    assert (
        coarse.singular_values[0] <= factors.singular_values[0] * 2
        and len(coarse.singular_values) == 6
    )
    with pytest.raises(ValueError, match="matches"):
        sefa.factorize(net, "synthesis/b99/.*")


def test_components_of_a_stretched_cloud(rng):
    axes = np.linalg.qr(rng.normal(size=(D, D)))[0].T
    spread = np.linspace(5, 0.5, D)
    w = (rng.normal(size=(8000, D)) * spread) @ axes + 2.0
    components = ganspace.fit_components(w, 3)
    np.testing.assert_allclose(components.mean, w.mean(0), rtol=1e-5)
    np.testing.assert_allclose(components.std, spread[:3], rtol=0.05)
    s = np.linalg.svd(w - w.mean(0), full_matrices=False)
    np.testing.assert_allclose(components.std, s[1][:3] / np.sqrt(7999), rtol=1e-5)
    np.testing.assert_allclose(
        abs((components.directions * s[2][:3]).sum(1)), 1, atol=1e-5
    )


def test_move_to_reaches_the_position_whatever_the_start(inversion, rng):
    components = ganspace.fit_components(rng.normal(size=(500, D)) * 3.0)
    moved = ganspace.move_to(inversion, components, 1, 2.5, rows=[0, 1]).w_plus
    now = (moved[:, 0] - components.mean) @ components.directions[1] / components.std[1]
    np.testing.assert_allclose(now, 2.5, atol=1e-5)
    assert jnp.array_equal(moved[:, 2:], inversion.w_plus[:, 2:])
