"""`mix`, `interpolate`, `adapt`, `drag` and `report`, on tiny networks."""

import re

import numpy as np
import pytest
from command import SIZE, error_of, save_model
from networks import tiny_nets
from PIL import Image

from hyperstyle_jax import images
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.inversion import storage
from hyperstyle_jax.weights import bundle

pytestmark = pytest.mark.usefixtures("no_cache")


def names(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


@pytest.fixture
def run(model):
    def run(*argv):
        return main([*map(str, argv), "--model", str(model)])

    return run


def test_mix_makes_every_pair(inverted, run, model, tmp_path):
    a, b = inverted / "a.npz", inverted / "b.npz"
    assert run("mix", a, "--with", a, b, "--above", 8, "--out", tmp_path) == 0
    assert names(tmp_path) == ["a_a.npz", "a_a.png", "a_b.npz", "a_b.png", "mixed.png"]
    before, same, mixed = (
        storage.load(p).w_plus for p in (a, tmp_path / "a_a.npz", tmp_path / "a_b.npz")
    )
    np.testing.assert_array_equal(before, same)
    assert (before[:3] == mixed[:3]).all() and (before[-1] != mixed[-1]).any()


def test_interpolate_writes_strips_and_an_animation(inverted, run, tmp_path):
    files = inverted / "a.npz", inverted / "b.npz", "mean"
    gif = tmp_path / "way.gif"
    argv = ("--steps", 3, "--animate", gif, "--out", tmp_path)
    assert run("interpolate", *files, *argv) == 0
    assert images.read(tmp_path / "interpolated.png").ndim == 3
    assert gif.read_bytes()[:3] == b"GIF"


def test_edit_shows_a_range_to_and_fro(inverted, run, tmp_path, capsys):
    files, gif = (inverted / "a.npz", inverted / "b.npz"), tmp_path / "smile.gif"
    argv = ("--out", tmp_path, "--animate", gif)
    assert run("edit", *files, "--edit", "smile=-1:1:1", *argv) == 0
    picture = Image.open(gif)
    assert picture.n_frames == 4 and picture.size == (2 * 128, 128)
    assert run("edit", *files, "--edit", "smile=1", *argv) == 1
    assert "expected one edit with a range" in error_of(capsys)


def test_interpolate_refuses_what_makes_no_sense(inverted, run, tmp_path, capsys):
    a = inverted / "a.npz"
    for argv, reason in (
        ((a,), "expected 2 or more"),
        (("mean", a), "comes after the file"),
        ((a, a, "--animate", "x.avi"), "ends in .gif"),
    ):
        assert run("interpolate", *argv, "--out", tmp_path / "out") == 1
        assert reason in error_of(capsys)


def test_adapt_shows_the_other_domain(inverted, run, model, tmp_path):
    other = save_model(tmp_path / "other")
    bundle.save(other, {"generator": tiny_nets(SIZE, seed=1)["generator"]})
    out = tmp_path / "out"
    argv = ("adapt", inverted / "a.npz", "--generator", other, "--swap", 4, 8)
    assert run(*argv, "--out", out) == 0
    made = ["a_adapted.png", "a_adapted_4.png", "a_adapted_8.png", "adapted.png"]
    assert names(out) == made
    a, b = (images.read(out / name) for name in made[1:3])
    assert (a != b).any()
    # A generator of one's own is no other domain: nothing changes.
    again = ("adapt", inverted / "a.npz", "--generator", model, "--out", out)
    assert run(*again) == 0
    own = images.read(inverted / "a.png")
    np.testing.assert_array_equal(images.read(out / "a_adapted.png"), own)


def test_drag_writes_an_inversion_and_its_pictures(inverted, run, model, tmp_path):
    argv = ("--from", "4,4", "--to", "6,4", "--max-steps", 3, "--out", tmp_path)
    assert run("drag", inverted / "a.npz", *argv) == 0
    endings = (".gif", ".npz", ".png", "_before_after.png")
    assert names(tmp_path) == [f"a_drag{ending}" for ending in endings]
    stored = storage.load(tmp_path / "a_drag.npz")
    before = storage.load(inverted / "a.npz")
    assert stored.w_plus.shape == before.w_plus.shape
    for path, value in before.embeddings.items():
        np.testing.assert_array_equal(stored.embeddings[path], value)


def test_drag_refuses_points_without_targets(inverted, run, capsys):
    argv = ("--from", "4,4", "--from", "5,5", "--to", "6,4")
    assert run("drag", inverted / "a.npz", *argv) == 1
    assert "2 --from and 1 --to" in error_of(capsys)
    with pytest.raises(SystemExit):
        run("drag", inverted / "a.npz", "--from", "x", "--to", "1,2")
    assert "expected X,Y" in capsys.readouterr().err


def test_a_report_needs_no_other_file(inverted, capsys):
    assert main(["report", str(inverted)]) == 0
    page = (inverted / "report.html").read_text()
    (inverted / "report.html").unlink()
    assert page.count("data:image/png;base64,") == 6
    assert "more_a" in page and "identity" in page
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page)
    assert "//" not in re.sub(r"base64,[^\"]*", "", page)


def test_an_empty_folder_has_no_report(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 1
    assert "no pictures" in error_of(capsys)
