"""`hyperstyle invert` into a folder that an earlier command has filled in part."""

import json
import shutil

import numpy as np
import pytest
from command import invert, photo

from hyperstyle_jax import images
from hyperstyle_jax.cli import inverted as cli_inverted

pytestmark = pytest.mark.usefixtures("no_cache")


def rows_of(out):
    lines = (out / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "position")}
        for row in rows
    ]


def test_stopped_it_goes_on_and_nothing_is_made_twice(
    model, folder, tmp_path, inverted, monkeypatch, capsys
):
    real, made = cli_inverted.Inverted.add, []

    def add(self, row):
        if made == ["a"]:
            made.append("stopped")
            raise KeyboardInterrupt
        real(self, row)
        made.append(row["name"])

    monkeypatch.setattr(cli_inverted.Inverted, "add", add)
    assert invert(model, folder, out=tmp_path) == 130
    assert "stopped by Ctrl-C: 1 of 3 photos are inverted" in capsys.readouterr().err
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"file": "x", "na')  # cut short by a kill
    assert invert(model, folder, out=tmp_path) == 0
    assert "3 photos in" in (said := capsys.readouterr().out)
    assert "1 were there before" in said
    assert made == ["a", "stopped", "b", "more_a"]
    for ours, theirs in zip(rows_of(tmp_path), rows_of(inverted), strict=True):
        assert ours.keys() == theirs.keys() and ours["key"] == theirs["key"]
        np.testing.assert_allclose(ours["l2"], theirs["l2"], atol=1e-4)
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in inverted.iterdir()}


def test_what_has_changed_is_inverted_again(model, folder, tmp_path, inverted, capsys):
    photos, out = tmp_path / "photos", tmp_path / "out"
    shutil.copytree(folder, photos)
    shutil.copytree(inverted, out)
    images.save_png(photos / "a.png", photo(7))
    (out / "b.png").unlink()
    assert invert(model, photos, out=out) == 0
    assert "1 were there before" in capsys.readouterr().out
    assert invert(model, photos, out=out, more=["--num-iters", "0"]) == 0
    assert "before" not in capsys.readouterr().out


def test_no_rows_stay_of_photos_that_have_failed(model, inverted, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(inverted, out)
    (tmp_path / "a.png").write_text("no image")
    assert invert(model, tmp_path / "a.png", out=out) == 1
    assert rows_of(out) == []


def test_the_longest_names_are_inverted(model, tmp_path):
    names = ["n" * 251, "n" * 250 + "m", "\u4e2d" * 83]
    for i, name in enumerate(names):
        images.save_png(tmp_path / "photos" / f"{name}.png", photo(i))
    assert invert(model, tmp_path / "photos", out=tmp_path / "out") == 0
    assert len([*(tmp_path / "out").glob("*.npz")]) == 3
