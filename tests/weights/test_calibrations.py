"""Calibrations invert their curves, and are checked when a bundle is read."""

import json

import numpy as np
import pytest
from networks import tiny_generator

from hyperstyle_jax.weights import bundle, calibrations, manifests, model_card
from hyperstyle_jax.weights.calibrations import Calibration

SMILE = Calibration(
    "smile", "", 0.5, (-2.0, -1.0, 0.0, 1.0, 3.0), (-0.6, -0.4, 0.0, 0.5, 1.0),
    (-2.0, 1.0), {"age": 0.25, "beard": -0.05}, 0.9, 16,
)  # fmt: skip
YAW = SMILE._replace(attribute="yaw", unit="deg", std=10.0)


@pytest.mark.parametrize(
    ("amount", "unit", "strength"),
    [(0, "sd", 0), (1, "sd", 1), (0.5, "sd", 0.5), (2, "sd", 3), (-0.8, "sd", -1)]
    + [(4, "sd", 6), (-2.4, "sd", -4)],
)
def test_amounts_are_read_off_the_curve(amount, unit, strength):
    assert SMILE.strength(amount, unit) == pytest.approx(strength)
    assert SMILE.change(strength) == pytest.approx(amount * SMILE.std)


def test_units_are_those_of_the_attribute():
    assert YAW.strength(0.5, "deg") == pytest.approx(1)
    assert YAW.strength(0.05, "sd") == pytest.approx(1)
    for unit in ("deg", "years", "", "kg"):
        with pytest.raises(ValueError, match="give sd"):
            SMILE.strength(1, unit)


def test_one_sided_curves_go_on_as_lines():
    one = SMILE._replace(strengths=(0.0, 2.0), changes=(0.0, 1.0), safe=(0.0, 2.0))
    assert one.strength(-1, "sd") == -1 and one.strength(4, "sd") == 4
    one = SMILE._replace(strengths=(-2.0, 0.0), changes=(-1.0, 0.0), safe=(-2.0, 0.0))
    assert one.strength(1, "sd") == 1


def test_the_summary_tells_range_and_side_effects():
    text = SMILE.summary()
    assert "-1.2 to +1.0 sd" in text and "age +0.25" in text and "beard" not in text
    assert "deg" in YAW.summary()


def test_json_keeps_everything():
    stored = json.loads(json.dumps(SMILE.to_json()))
    assert calibrations.from_json(stored) == SMILE


def broken(**changes):
    return SMILE.to_json() | changes


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        SMILE.to_json() | {"more": 1},
        broken(strengths=[-1, 0], changes=[-1, 0, 1]),
        broken(strengths=[0], changes=[0]),
        broken(changes=[-0.6, -0.7, 0, 0.5, 1]),
        broken(strengths=[-2, -1, 0.5, 1, 3]),
        broken(changes=[-0.6, -0.4, 0, 0.5, float("nan")]),
        broken(safe=[-9, 1]),
        broken(safe=[1, 2]),
        broken(std=0),
        broken(std="big"),
        broken(unit="kg"),
        broken(attribute=3),
        broken(side_effects=[1]),
        broken(side_effects={"age": "much"}),
        broken(identity="me"),
        broken(images=True),
    ],
)
def test_damaged_ones_are_refused(value):
    with pytest.raises(ValueError, match="expected"):
        calibrations.from_json(value)


@pytest.fixture
def folder(tmp_path):
    directions = {"smile": np.ones(6, "f4"), "other": np.ones(6, "f4")}
    nets = {"generator": tiny_generator()}
    bundle.save(tmp_path / "b", nets, directions=directions, measured={"smile": SMILE})
    return tmp_path / "b"


def test_a_bundle_keeps_them_beside_its_directions(folder):
    loaded = bundle.load(folder)
    assert dict(loaded.calibrations) == {"smile": SMILE}
    assert "| smile | -1.2 to +1.0 sd |" in (folder / model_card.CARD).read_text()
    again = bundle.set_directions(folder, loaded.directions)
    assert again == loaded.id and not bundle.load(folder).calibrations


def test_a_bundle_with_a_damaged_one_is_refused(folder):
    manifest = manifests.read(folder)
    for name, value, why in (
        ("smile", broken(std=-1), "calibration of 'smile'"),
        ("wings", broken(), "no such direction"),
    ):
        manifest["directions"]["calibrations"] = {name: value}
        manifests.write(folder, manifest)
        with pytest.raises(ValueError, match=why):
            bundle.load(folder)
