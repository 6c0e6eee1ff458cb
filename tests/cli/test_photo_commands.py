"""`hyperstyle align`, `paste-back` and `edit-photo` on drawn photos."""

import json
from pathlib import Path

import numpy as np
import pytest
from command import error_of, save_model
from drawn_faces import encoded, photo, points68, save_points
from PIL import Image

from hyperstyle_jax import images
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.photos import records
from hyperstyle_jax.photos.photo import Photo


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("HYPERSTYLE_CACHE", "off")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Photos of one, two and no faces, a broken one, and the file of their points."""
    path = tmp_path / "photos"
    path.mkdir()
    exif = Image.Exif()
    exif[0x0110] = "camera"
    (path / "one.png").write_bytes(encoded(photo(seed=1), exif=exif))
    (path / "two.jpg").write_bytes(encoded(photo(seed=2), "JPEG"))
    (path / "none.png").write_bytes(encoded(photo(seed=3)))
    (path / "broken.png").write_bytes(encoded(photo(seed=4))[:900])
    small, large = points68((60.0, 60.0), 15.0), points68((150.0, 150.0), 30.0)
    save_points(
        tmp_path / "points.json",
        {"one.png": [points68()], "two.jpg": [small, large], "none.png": []},
    )
    return path


def run(command, *inputs, out, more=()) -> int:
    return main([command, *map(str, inputs), "--out", str(out), *map(str, more)])


def align(folder, out, *more) -> int:
    landmarks = folder.parent / "points.json"
    return run("align", folder, out=out, more=("--landmarks", landmarks, *more))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_faces_are_cut_out_and_failures_listed(folder, tmp_path, capsys):
    assert align(folder, tmp_path / "out", "--size", "64") == 1
    assert names(tmp_path / "out") == {
        f"{stem}{end}" for stem in ("one", "two") for end in (".png", ".align.json")
    }
    said = capsys.readouterr()
    assert "2 faces of 2 photos" in said.out and "2 failed" in said.out
    lines = said.err.splitlines()
    assert any("none.png: no face found" in line for line in lines)
    assert any("broken.png: damaged" in line for line in lines)
    assert any("two.jpg: 2 faces; took the largest" in line for line in lines)
    source = Photo.open(folder / "one.png")
    crop = images.read(tmp_path / "out" / "one.png")
    path = tmp_path / "out" / "one.align.json"
    record = records.load(path)
    assert np.array_equal(record.aligned(source).image, crop) and record.size == 64
    assert record.sha256 == source.sha256 and record.exif == {"Model": "camera"}
    assert records.source_of(record, path).samefile(folder / "one.png")


def test_all_faces_or_one_by_its_number(folder, tmp_path, capsys):
    align(folder, tmp_path / "all", "--face", "all", "--size", "32")
    assert {f"two_{i}.png" for i in (0, 1)} < names(tmp_path / "all")
    align(folder, tmp_path / "second", "--face", "1", "--size", "32")
    second = images.read(tmp_path / "second" / "two.png")
    assert np.array_equal(second, images.read(tmp_path / "all" / "two_1.png"))
    assert "one.png: no face 1, only 1 faces" in capsys.readouterr().err


def test_what_is_done_is_not_done_again_unless_anything_changed(folder, tmp_path):
    out, small = tmp_path / "out", ("--size", "32", "--face", "all")

    def times():
        return {p.name: p.stat().st_mtime_ns for p in out.glob("*.png")}

    align(folder, out, *small)
    first = times()
    align(folder, out, *small)
    assert times() == first
    (out / "one_0.png").write_bytes(b"damaged")
    align(folder, out, *small)
    again = times()
    assert again.pop("one_0.png") != first.pop("one_0.png") and again == first
    align(folder, out, "--size", "40", "--face", "all")
    assert not set(times().values()) & set(first.values())


def test_patterns_are_taken_as_shells_do(folder, tmp_path):
    landmarks = ("--landmarks", tmp_path / "points.json", "--size", "32")
    assert run("align", folder / "o*.png", out=tmp_path / "out", more=landmarks) == 0
    assert "one.png" in names(tmp_path / "out")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--size", "3"), "size 3: expected a number from 8"),
        (("--face", "left"), "--face left: expected a number"),
        (("--landmarks", "dlip"), "expected dlib, mediapipe, mtcnn"),
    ],
)
def test_wrong_options_are_one_line(folder, tmp_path, more, message, capsys):
    assert align(folder, tmp_path / "out", *more) == 1
    assert message in error_of(capsys)


def test_a_photo_is_never_overwritten(folder, capsys):
    before = (folder / "one.png").read_bytes()
    landmarks = ("--landmarks", folder.parent / "points.json")
    assert run("align", folder / "one.png", out=folder, more=landmarks) == 1
    assert "would overwrite the photo" in capsys.readouterr().err
    assert (folder / "one.png").read_bytes() == before


# --- paste-back


@pytest.fixture
def aligned(folder, tmp_path) -> Path:
    align(folder, tmp_path / "aligned", "--size", "64")
    return tmp_path / "aligned"


def test_edited_crops_go_back_by_their_names(folder, aligned, tmp_path, capsys):
    edited = tmp_path / "edited"
    images.save_png(edited / "one_smile.png", 255 - images.read(aligned / "one.png"))
    images.save_png(edited / "two.png", images.read(aligned / "two.png"))
    more = ("--aligned", aligned)
    assert run("paste-back", edited, out=tmp_path / "out", more=more) == 0
    before, after = folder / "one.png", tmp_path / "out" / "one_smile_photo.png"
    before, after = images.read(before), images.read(after)
    change = (before != after).any(axis=-1)
    assert before.shape == after.shape and 0.05 < change.mean() < 0.4
    with Image.open(tmp_path / "out" / "one_smile_photo.png") as file:
        assert file.getexif()[0x0110] == "camera"
    untouched = images.read(tmp_path / "out" / "two_photo.png")
    assert np.array_equal(untouched, images.read(folder / "two.jpg"))
    capsys.readouterr()
    run("paste-back", edited, out=tmp_path / "out", more=more)
    assert "2 photos were done before" in capsys.readouterr().out


def test_masks_and_formats(aligned, tmp_path):
    edited = tmp_path / "two.png"
    images.save_png(edited, 255 - images.read(aligned / "two.png"))
    images.save_png(tmp_path / "mask.png", np.zeros((64, 64, 3), np.uint8))
    more = ("--aligned", aligned / "two.align.json", "--mask", tmp_path / "mask.png")
    more = (*more, "--format", "same")
    assert run("paste-back", edited, out=tmp_path / "out", more=more) == 0
    with Image.open(tmp_path / "out" / "two_photo.jpg") as file:
        assert file.format == "JPEG"


def test_what_cannot_go_back_says_why(folder, aligned, tmp_path, capsys):
    edited = aligned / "one.png"

    def why(*more):
        assert run("paste-back", edited, out=tmp_path / "out", more=more) == 1
        return capsys.readouterr().err

    (tmp_path / "empty").mkdir()
    capsys.readouterr()
    assert "no one.align.json in" in why("--aligned", tmp_path / "empty")
    assert "expected face, crop or an image file" in why("--mask", "hair")
    assert "is not the one that was aligned" in why("--photo", folder / "two.jpg")
    (folder / "one.png").rename(tmp_path / "moved.png")
    assert "is not there; name it (--photo)" in why()
    assert run("paste-back", edited, out=tmp_path / "out",
               more=("--photo", tmp_path / "moved.png")) == 0  # fmt: skip
    record = json.loads((aligned / "one.align.json").read_text())
    (aligned / "one.align.json").write_text(json.dumps(record | {"points": [1, 2]}))
    assert "is no record of a crop" in why()
    (aligned / "one.align.json").write_text("{")
    assert "align the photo again" in why()


# --- edit-photo


def test_align_invert_edit_and_paste_back_in_one_call(folder, tmp_path, capsys):
    model = save_model(tmp_path / "model")
    more = ("--model", model, "--landmarks", tmp_path / "points.json")
    more = (*more, "--face", "all", "--edit", "smile=2", "--edit", "smile=-1")
    more = (*more, "--num-iters", "0")  # compiled fast
    photos, out = (folder / "one.png", folder / "two.jpg"), tmp_path / "out"
    assert run("edit-photo", *photos, out=out, more=more) == 0
    for stem in ("one_0", "two_0", "two_1"):
        ends = (".png", "_edit.png", ".npz", ".align.json")
        assert {f"{stem}{end}" for end in ends} < names(out)
    before, after = images.read(photos[1]), images.read(out / "two_photo.png")
    change = (before != after).any(axis=-1)
    assert change[60:75, 50:70].mean() > 0.8 and change[150:170, 140:160].mean() > 0.8
    assert 0.02 < change.mean() < 0.5
    capsys.readouterr()
    run("edit-photo", *photos, out=out, more=more)
    assert "2 photos were done before" in capsys.readouterr().out


@pytest.mark.parametrize("edit", ["smile", "smile=", "=2", "smile=nan", "smile=big"])
def test_edits_are_names_and_amounts(edit, folder, tmp_path, capsys):
    more = ("--edit", edit)
    assert run("edit-photo", folder, out=tmp_path / "out", more=more) == 1
    assert "expected NAME=AMOUNT" in error_of(capsys)


def test_a_full_disk_ends_the_command_with_one_line(folder, small_disk, capsys):
    """It would be full for all that follow; nothing half-written stays."""
    with pytest.raises(OSError), (small_disk / "filler").open("wb") as filler:
        while True:
            filler.write(bytes(1 << 12))
            filler.flush()
    assert align(folder, small_disk / "out") == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(errors) == 1 and "No space left on device" in errors[0]
    (small_disk / "filler").unlink()
    assert align(folder, small_disk / "out", "--size", "64") == 1  # one is broken
    assert {"one.png", "two.png"} < names(small_disk / "out")
