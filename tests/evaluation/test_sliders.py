"""Requested changes are compared with what a meter reads."""

import numpy as np
import pytest
from networks import tiny_nets

from hyperstyle_jax.editing import calibrating, fitting
from hyperstyle_jax.editing.calibrating import Meter
from hyperstyle_jax.evaluation import sliders
from hyperstyle_jax.weights.bundle import Bundle


def read(images):
    light = images.mean((1, 2))
    return light, light / np.linalg.norm(light, axis=1, keepdims=True)


def test_what_was_calibrated_comes_out_again():
    nets = {"generator": tiny_nets(8)["generator"]}
    rng = np.random.default_rng(0)
    direction = rng.normal(size=6).astype("f4")
    model = Bundle(nets, {"image_size": 8}, {"r": direction}, "id")
    meter = Meter(("r", "g", "b"), {}, np.array([1.0, 1.0, 1.0]), read)
    images = fitting.held_out(model, None, 6, seed=1)
    try:
        found = fitting.calibrate(model, meter, "r", direction, images)
    except ValueError:  # this one lowers it
        model = model._replace(directions={"r": -direction})
        found = fitting.calibrate(model, meter, "r", -direction, images)
    low, high = found.safe_changes()
    amounts = [low, low / 2, 0.0, high / 2, high]
    model = model._replace(calibrations={"r": found})
    checked = sliders.check(model, meter, images[0], "r", amounts=amounts)
    # On the images that it was measured with, the mean is what was asked for.
    at = found.change(found.strength(high, "sd")) / meter.std[0]
    assert checked.measured.mean(0)[-1] == pytest.approx(at, abs=1e-3)
    assert np.all(checked.measured[:, 2] == 0)
    assert checked.row["direction"] == "r" and checked.row["correlation"] <= 1
    xs, ys = sliders.curve(checked)
    assert len(xs) == len(ys) == 5 and ys[2] == pytest.approx(1, abs=1e-5)
    blind = calibrating.Meter(meter.names, {}, meter.std, lambda x: (read(x)[0], None))
    with pytest.raises(ValueError, match="no identity"):
        sliders.curve(sliders.check(model, blind, images[0], "r", amounts=amounts))
