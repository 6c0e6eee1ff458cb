"""`hyperstyle directions`, `calibrate` and `fit-direction` on a tiny bundle."""

import json

import numpy as np
import pytest
from command import error_of
from networks import tiny_nets

from hyperstyle_jax import images
from hyperstyle_jax.cli import directions
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.weights import bundle

pytestmark = pytest.mark.usefixtures("no_cache")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setattr(directions, "IMAGES", 3)
    info = {"attributes": ["yaw", "smile", "age"], "num_iters": 1}
    kept = {"mine": np.ones(6, "f4")}
    bundle.save(tmp_path / "tiny", tiny_nets(), info=info, directions=kept)
    return tmp_path / "tiny"


def run(command, *args) -> int:
    return main([command, *map(str, args)])


def test_directions_are_added_and_calibrated(tiny, capsys):
    before = bundle.load(tiny).id
    assert run("directions", tiny, "--count", 300, "--names", "smile", "age") == 0
    loaded = bundle.load(tiny)
    assert set(loaded.directions) == {"mine", "smile", "age"} and loaded.id == before
    for name, measured in loaded.calibrations.items():
        assert measured.attribute == name and measured.images == 6
    said = capsys.readouterr().out
    assert "of its variance is linear" in said and "3 directions" not in said
    assert run("directions", tiny, "--count", 300, "--names", "wings") == 1
    assert "there are: yaw, smile, age" in error_of(capsys)
    assert run("info", tiny) == 0
    said = capsys.readouterr().out
    for name, measured in loaded.calibrations.items():
        assert f"{name}: {measured.summary()}" in said


@pytest.mark.slow
def test_other_methods(tiny, capsys):
    small = ("--count", 300, "--names", "smile")
    assert run("directions", tiny, *small, "--method", "learned", "--steps", 2) == 0
    rows = bundle.load(tiny).nets["generator"].module.num_ws
    assert bundle.load(tiny).direction("smile").shape == (rows, 6)
    assert run("directions", tiny, *small, "--method", "svm") == 0
    assert "on held-out extremes" in capsys.readouterr().out
    for method in ("sefa", "ganspace"):
        argv = ("--method", method, "--components", 2, "--count", 100)
        assert run("directions", tiny, *argv) == 0
    names = {"mine", "smile", "sefa1", "sefa2", "pc1", "pc2"}
    assert set(bundle.load(tiny).directions) == names
    assert run("directions", tiny, "--method", "sefa", "--form", "best") == 1
    assert "ours, released, rosinality" in error_of(capsys)


def test_calibrate_measures_what_is_there(tiny, tmp_path, capsys):
    assert run("calibrate", tiny) == 1
    assert "named like an attribute, only mine" in error_of(capsys)
    found = {"smile": np.ones(6, "f4"), "mine": np.ones(6, "f4")}
    bundle.set_directions(tiny, found)
    images.save_png(tmp_path / "me.png", np.full((24, 24, 3), 99, np.uint8))
    assert run("calibrate", tiny, "--photos", tmp_path / "me.png") == 0
    said = capsys.readouterr().out
    assert "smile: " in said and "2 directions" not in said
    assert set(bundle.load(tiny).directions) == {"smile", "mine"}


def save_labelled(folder, count=24):
    """Grey images, labelled by their lightness."""
    rows = []
    for i, grey in enumerate(np.random.default_rng(0).integers(0, 255, count)):
        images.save_png(folder / f"{i}.png", np.full((16, 16, 3), grey, np.uint8))
        rows.append({"file": f"{i}.png", "attributes": {"light": int(grey)}})
    return rows


@pytest.mark.slow
def test_a_direction_is_fitted_to_labels(tiny, tmp_path, capsys):
    rows = [*save_labelled(tmp_path), {"file": "none.png", "attributes": {"light": 1}}]
    labels = tmp_path / "labels.jsonl"
    labels.write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "new"
    small = ("--count", 200, "--out", out)
    assert run("fit-direction", "light", tiny, "--labels", labels, *small) == 1
    said = capsys.readouterr()
    assert "none.png" in said.err and "accuracy" in said.out
    loaded = bundle.load(out)
    assert (
        set(loaded.directions) == {"mine", "light"} and "light" in loaded.calibrations
    )
    assert set(bundle.load(tiny).directions) == {"mine"}
    lines = ["file,light", *(f"{r['file']},{r['attributes']['light']}" for r in rows)]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    argv = ("--labels", tmp_path / "labels.csv", "--column", "dark")
    assert run("fit-direction", "light", tiny, *argv) == 1
    assert "row 1: expected `file` and a number `dark`" in error_of(capsys)


def test_a_direction_is_fitted_to_pairs(tiny, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for i in range(10):
        grey = rng.integers(0, 150, (16, 16, 3)).astype(np.uint8)
        images.save_png(tmp_path / "pairs" / f"{i}_before.png", grey)
        images.save_png(tmp_path / "pairs" / f"{i}_after.png", grey + 100)
    argv = ("--pairs", tmp_path / "pairs", "--count", 100)
    code = run("fit-direction", "light", tiny, *argv)
    said = capsys.readouterr()
    assert "10 pairs" in said.out
    # Random networks need not draw the change that they were shown.
    assert code == 0 or "does not raise light" in said.err
    assert run("fit-direction", "light", tiny, "--pairs", tiny) == 1
    assert "expected at least 8" in error_of(capsys)


@pytest.mark.slow
def test_edits_are_checked_on_photos(tiny, tmp_path, capsys):
    for i in range(3):
        picture = np.random.default_rng(i).integers(0, 256, (24, 24, 3), np.uint8)
        images.save_png(tmp_path / "photos" / f"{i}.png", picture)
    assert run("directions", tiny, "--count", 300, "--names", "smile") == 0
    argv = ("--photos", tmp_path / "photos", "--search", 0, "--out", tmp_path / "out")
    assert run("check-edits", tiny, *argv) == 0
    assert "| smile |" in capsys.readouterr().out
    names = {"edits.md", "edits.csv", "edits.png"}
    assert names <= {f.name for f in (tmp_path / "out").iterdir()}
    assert run("check-edits", tiny, *argv, "--names", "wings") == 1
    assert "wings is not calibrated" in error_of(capsys)
