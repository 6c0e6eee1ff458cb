"""How edits are written, and that they add up."""

import jax.numpy as jnp
import numpy as np
import pytest
from networks import tiny_nets

from hyperstyle_jax.editing import amounts, steps
from hyperstyle_jax.editing.amounts import Edit
from hyperstyle_jax.offsets import latent_only, synthesize
from hyperstyle_jax.weights.bundle import Bundle


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("smile=2", Edit("smile", (2.0,))),
        ("smile=+1sd", Edit("smile", (1.0,), "sd")),
        ("yaw=-10deg", Edit("yaw", (-10.0,), "deg")),
        ("age=.5 years", Edit("age", (0.5,), "years")),
        ("a=b=1", Edit("a=b", (1.0,))),
        ("smile=-3:3:3", Edit("smile", (-3.0, 0.0, 3.0))),
        ("smile=1:-1:1sd", Edit("smile", (1.0, 0.0, -1.0), "sd")),
        ("smile=0:0.3:0.1", Edit("smile", (0.0, 0.1, 0.2, 0.3))),
        ("smile=0:1:.4", Edit("smile", (0.0, 0.4, 0.8, 1.0))),
    ],
)
def test_edits_are_read(text, edit):
    assert amounts.parse(text) == edit


@pytest.mark.parametrize(
    "text",
    ["smile", "smile=", "=2", "smile=x", "smile=1:2", "smile=0:1:0", "smile=1e999"]
    + ["smile=0:1:1e-9", "smile=2kg", "smile=--1", "smile=1:2:3:4"],
)
def test_other_forms_are_one_line(text):
    with pytest.raises(ValueError, match="--edit") as error:
        amounts.parse(text)
    assert "\n" not in str(error.value)


def test_labels_have_sign_and_unit():
    assert amounts.parse("yaw=-10:10:10deg").labels() == ["-10 deg", "0 deg", "+10 deg"]


@pytest.fixture(scope="module")
def model() -> Bundle:
    nets = tiny_nets()
    rows = nets["generator"].module.num_ws
    rng = np.random.default_rng(0)
    directions = {
        "one": rng.normal(size=6).astype("f4"),
        "rows": rng.normal(size=(rows, 6)).astype("f4"),
        "foreign": np.ones(7, "f4"),
    }
    return Bundle(nets, {"image_size": 16}, directions, "id")


@pytest.fixture
def inversion(model):
    w = jnp.asarray(np.random.default_rng(1).normal(size=(2, 6)), jnp.float32)
    return latent_only(w, model.nets["generator"].module.num_ws)


def test_edits_add_up(model, inversion):
    both = steps.apply_edits(model, inversion, "one=2", "rows=-1")
    expected = inversion.w_plus + 2 * model.direction("one") - model.direction("rows")
    np.testing.assert_allclose(both.w_plus, expected, atol=1e-6)


def test_nothing_is_bit_for_bit_nothing(model, inversion):
    generator = model.nets["generator"]
    same = steps.apply_edits(model, inversion, "one=0", "rows=0")
    assert jnp.array_equal(same.w_plus, inversion.w_plus)
    zero = steps.Step(0 * inversion.w_plus[0], {"b": np.zeros(3)})
    assert steps.apply(generator, inversion, zero) is inversion
    images = steps.render_steps(generator, inversion, [zero])[:, 0]
    assert jnp.allclose(images, synthesize(generator, inversion), atol=1e-5)


def test_styles_and_latents_move_together(model, inversion):
    generator = model.nets["generator"]
    path = generator.module.layers()[1].path
    shift = {path: np.ones(generator.module.layers()[1].in_channels, "f4")}
    w = np.ones(inversion.w_plus.shape[1:], "f4")
    step = steps.total([steps.Step(w), steps.Step(0 * w, shift)])
    step = steps.total([step, steps.Step(0 * w, shift)])
    assert np.array_equal(step.styles[path], 2 * shift[path])
    edited = steps.render_steps(generator, inversion, [steps.Step(0 * w), step])
    expected = synthesize(generator, steps.apply(generator, inversion, step))
    assert jnp.allclose(edited[:, 1], expected, atol=1e-5)
    assert not jnp.allclose(edited[:, 0], edited[:, 1], atol=1e-3)


def test_wrong_edits_are_one_line(model, inversion):
    for edit, why in {
        "wings=1": "it has: foreign, one, rows",
        "foreign=1": "another generator",
        "one=0:1:1": "not a range",
    }.items():
        with pytest.raises(ValueError, match=why):
            steps.apply_edits(model, inversion, edit)
