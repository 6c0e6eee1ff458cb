"""Measured curves are those of the images; keeping others takes their share away."""

import jax.numpy as jnp
import numpy as np
import pytest
from networks import tiny_nets

from hyperstyle_jax.editing import calibrating, fitting, keeping, probes, steps
from hyperstyle_jax.editing.amounts import parse
from hyperstyle_jax.editing.calibrating import Effects, Meter
from hyperstyle_jax.offsets import synthesize
from hyperstyle_jax.weights.bundle import Bundle
from hyperstyle_jax.weights.calibrations import Calibration

S = np.array([-2.0, -1.0, 0.0, 1.0, 2.0], np.float32)
METER = Meter(("a", "b"), {"a": "deg"}, np.array([2.0, 1.0]), lambda x: (x, None))


def effects(curve, side=0.0, images=4):
    """A world in which every image changes alike, from a start of its own."""
    start = np.random.default_rng(0).normal(size=(images, 1, 2))
    change = np.stack([np.asarray(curve, float), side * S], axis=-1)
    return Effects(S, start + change, np.tile(1 - 0.1 * abs(S), (images, 1)))


def test_a_calibration_is_the_mean_curve():
    found = calibrating.calibrate(METER, "a", effects([-3, -2, 0, 2, 3], side=0.2))
    np.testing.assert_allclose(found.changes, [-3, -2, 0, 2, 3], atol=1e-6)
    assert found.safe == (-2, 2) and found.unit == "deg" and found.std == 2
    assert found.side_effects == {"b": pytest.approx(0.2)}
    assert found.identity == pytest.approx(0.9) and found.images == 4


def test_the_safe_range_ends_where_the_effect_does():
    found = calibrating.calibrate(METER, "a", effects([-2.5, -2, 0, 2, 1]))
    assert found.strengths == (-2, -1, 0, 1)  # the rest falls
    assert found.safe == (-2, 1)
    found = calibrating.calibrate(METER, "a", effects([-2.1, -2, 0, 2, 2.1]))
    assert found.safe == (-1, 1)  # nearly nothing changes beyond
    found = calibrating.calibrate(METER, "a", effects([-4, -2, 0, 2, 4], side=0.8))
    assert found.safe == (-1, 1)  # something else changes beyond
    with pytest.raises(ValueError, match="does not raise a"):
        calibrating.calibrate(METER, "a", effects([2, 1, 0, -1, -2]))


@pytest.fixture(scope="module")
def model() -> Bundle:
    nets = tiny_nets(16)
    rng = np.random.default_rng(0)
    directions = {k: rng.normal(size=6).astype("f4") for k in ("up", "side")}
    info = {"image_size": 16, "attributes": ["yaw", "smile", "age"], "num_iters": 1}
    return Bundle(nets, info, directions, "id")


def brightness(images):
    return images.mean((1, 2, 3))


def test_measured_effects_are_those_of_the_images(model):
    generator = model.nets["generator"]
    inversion = calibrating.generated(generator, 3, seed=1)
    meter = Meter(("l",), {}, np.ones(1), lambda x: (brightness(x)[:, None], None))
    strengths = (-1.0, 0.0, 2.0)
    direction = model.direction("up")
    found = calibrating.measure(
        generator, meter, inversion, direction, strengths, batch_size=2
    )
    assert found.values.shape == (3, 3, 1) and found.identity is None
    for s, strength in enumerate(strengths):
        moved = inversion.replace(w_plus=inversion.w_plus + strength * direction)
        expected = brightness(synthesize(generator, moved))
        np.testing.assert_allclose(found.values[:, s, 0], expected, atol=1e-5)
    assert np.all(found.changes()[:, 1] == 0)


def test_any_function_of_images_gives_a_direction(model):
    direction, measured, quality = fitting.fit_direction(
        model, brightness, "light", count=300, calibrate_on=4
    )
    assert direction.shape == (6,) and measured.attribute == "light"
    assert "held-out accuracy" in quality and measured.images == 8
    assert set(measured.side_effects) <= {"yaw", "smile", "age"}
    with pytest.raises(ValueError, match=r"expected \(64,\)"):
        fitting.fit_direction(model, lambda images: images, count=10)


def test_a_probe_reads_what_its_labels_say(model):
    rng = np.random.default_rng(0)
    pictures = [np.full((16, 16, 3), v, "f4") for v in rng.uniform(-1, 1, 60)]
    probe = probes.fit(model, pictures, [float(p.mean()) for p in pictures])
    assert probe.correlation > 0.9 and probe.accuracy > 0.8
    scores = np.asarray(probe.score_fn(jnp.stack(pictures)))
    assert np.corrcoef(scores, [p.mean() for p in pictures])[0, 1] > 0.9
    with pytest.raises(ValueError, match="at least 16"):
        probes.fit(model, pictures[:3], [0, 1, 2])


def test_pairs_give_the_mean_step(model):
    rng = np.random.default_rng(0)
    before = list(rng.uniform(-1, 0.5, (10, 16, 16, 3)).astype("f4"))
    after = [x + 0.5 for x in before]
    direction, text = fitting.fit_pairs(model, before, after)
    assert direction.shape == (model.nets["generator"].module.num_ws, 6)
    assert "of 2 held-out pairs" in text


# --- keeping others


def test_a_projection_is_orthogonal_to_its_conditions():
    rng = np.random.default_rng(0)
    direction, *others = rng.normal(size=(4, 3, 5))
    unit = keeping.project(direction, others)
    assert np.linalg.norm(unit) == pytest.approx(1)
    assert max(abs(np.sum(unit * other)) for other in others) < 1e-6
    scaled = keeping.project_scaled(direction, others)
    assert np.sum(scaled * direction) == pytest.approx(np.sum(direction**2), rel=1e-5)
    assert np.allclose(keeping.project_scaled(direction, []), direction, atol=1e-6)
    with pytest.raises(ValueError, match="nothing is left"):
        keeping.project(direction, [direction])
    with pytest.raises(ValueError, match="another shape"):
        keeping.project(direction, [np.ones(5)])


def linear(name, **side_effects) -> Calibration:
    ends = (-4.0, 0.0, 4.0)
    return Calibration(name, "", 1.0, ends, ends, (-4.0, 4.0), side_effects, None, 1)


def test_measured_side_effects_cancel(model):
    measured = {"up": linear("up", side=0.5), "side": linear("side", up=0.2)}
    shares = keeping.compensation("up", ["side"], measured)
    up, side = shares["up"], shares["side"]
    assert up + 0.2 * side == pytest.approx(1) and side + 0.5 * up == pytest.approx(0)
    with pytest.raises(ValueError, match="same attributes"):
        twins = {"up": linear("up", side=1.0), "side": linear("side", up=1.0)}
        keeping.compensation("up", ["side"], twins)
    calibrated = model._replace(calibrations=measured)
    (step,) = steps.resolve(calibrated, parse("up=2sd"), ["side", "up"])
    expected = 2 * (up * model.direction("up") + side * model.direction("side"))
    np.testing.assert_allclose(step.w, np.broadcast_to(expected, step.w.shape), 1e-5)
    (zero,) = steps.resolve(calibrated, parse("up=0sd"), ["side"])
    assert not np.any(zero.w)


def test_uncalibrated_directions_are_projected(model):
    (step,) = steps.resolve(model, parse("up=1"), ["side"])
    assert abs(np.sum(step.w * model.direction("side"))) < 1e-4
    assert steps.remarks(model, [parse("up=100")]) == []


def test_edits_beyond_the_safe_range_are_remarked(model):
    calibrated = model._replace(calibrations={"up": linear("up")})
    assert steps.remarks(calibrated, [parse("up=4")]) == []
    (line,) = steps.remarks(calibrated, [parse("up=0:5:1sd")])
    assert "up beyond its safe range" in line
    inversion = calibrating.generated(model.nets["generator"], 1, seed=0)
    with pytest.warns(UserWarning, match="beyond its safe range"):
        steps.apply_edits(calibrated, inversion, "up=5")
