"""Sliders: ranges and units as measured, and the edits they stand for."""

import numpy as np
import pytest

from hyperstyle_jax.app import pictures, sliders
from hyperstyle_jax.app.sliders import Slider
from hyperstyle_jax.editing import amounts, steps
from hyperstyle_jax.weights import bundle, manifests, safetensors_reader
from hyperstyle_jax.weights.calibrations import from_json


@pytest.fixture(scope="module")
def demo():
    """The shipped bundle without its networks, which take long to load."""
    path = bundle.find("demo")
    manifest = manifests.read(path)
    directions = manifest["directions"]
    arrays = safetensors_reader.shapes(path / directions["file"])
    measured = {k: from_json(v) for k, v in directions["calibrations"].items()}
    zeros = {name: np.zeros(shape, np.float32) for name, shape in arrays.items()}
    return bundle.Bundle({}, manifest["info"], zeros, "demo", measured)


def test_each_direction_has_a_slider_within_its_safe_range(demo):
    made = sliders.of_bundle(demo)
    assert {s.name for s in made} == set(demo.directions)
    for slider in made:
        assert slider.low < 0 < slider.high
        for end in (slider.low, slider.high):
            edits = sliders.to_edits([slider], [end])
            assert not steps.remarks(demo, map(amounts.parse, edits))
    yaw = next(s for s in made if s.name == "yaw")
    assert yaw.unit == "deg" and yaw.step == 1 and yaw.label == "yaw (deg)"


def test_values_and_edits_are_each_other(demo):
    made = sliders.of_bundle(demo)
    values = [0.0] * len(made)
    values[0], values[3] = 7.0, -0.5
    edits = sliders.to_edits(made, values)
    assert len(edits) == 2 and edits[0].endswith("=+7deg")
    assert sliders.to_values(made, edits) == values


@pytest.mark.parametrize("edit", ["smile=+9sd", "yaw=1sd", "age=1:2:1", "nose=1"])
def test_what_no_slider_shows_is_refused(demo, edit):
    with pytest.raises(ValueError):
        sliders.to_values(sliders.of_bundle(demo), [edit])


def test_a_direction_without_calibration_has_strengths(demo):
    (slider,) = sliders.of_bundle(
        demo._replace(directions={"x": np.zeros(4)}, calibrations={})
    )
    assert slider == Slider("x", "", -3.0, 3.0, 0.1)


def test_a_painted_layer_is_a_mask():
    layer = np.zeros((64, 64, 4), np.uint8)
    assert pictures.painted({"layers": [layer]}, 16) is None
    assert pictures.painted(None, 16) is None
    layer[16:32, 0:32, 3] = 255
    mask = pictures.painted({"layers": [layer]}, 16)
    assert mask[4:8, 0:8].all() and mask.sum() == 32


def test_photos_on_the_screen_are_neither_large_nor_tiny():
    for shape, longest in ((2000, 1024), (500, 500), (64, 384)):
        photo = np.zeros((shape // 2, shape, 3), np.uint8)
        shown, factor = pictures.for_screen(photo)
        assert shown.shape[1] == longest and factor == longest / shape
