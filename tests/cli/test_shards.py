"""Several processes of `hyperstyle invert` fill one folder and never meet."""

import json
import shutil

import numpy as np
import pytest
from command import edit, error_of, invert, photo
from threads import in_another_thread

from hyperstyle_jax import images
from hyperstyle_jax.cli import shards
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.cli.shards import Shard
from hyperstyle_jax.system import folder_lock

pytestmark = pytest.mark.usefixtures("no_cache")


def rows_of(out):
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_shards_make_together_what_one_process_makes(model, folder, tmp_path, capsys):
    photos = tmp_path / "photos"
    shutil.copytree(folder, photos)
    images.save_png(photos / "c.png", photo(3))
    (photos / "broken.png").write_text("no image")
    assert invert(model, photos, out=tmp_path / "whole") == 1
    capsys.readouterr()
    for shard, broken in {"2/2": 0, "1/2": 1}.items():
        more = ["--shard", shard]
        assert invert(model, photos, out=tmp_path / "parts", more=more) == broken
        said = capsys.readouterr().out
        assert ("all shards are through" in said) == (shard == "1/2")
    whole, parts = (
        json.loads((tmp_path / name / "summary.json").read_text())
        for name in ("whole", "parts")
    )
    assert parts["shards"] == 2 and parts["photos"] == whole["photos"] == 4
    assert [*parts["failed"]] == [*whole["failed"]] == [str(photos / "broken.png")]
    np.testing.assert_allclose(parts["l2"], whole["l2"], atol=1e-4)
    rows = [rows_of(tmp_path / name) for name in ("whole", "parts")]
    assert [r["name"] for r in rows[0]] == [r["name"] for r in rows[1]]
    files = [
        {p.name for p in (tmp_path / name).iterdir()} for name in ("whole", "parts")
    ]
    assert files[0] == files[1]


def test_a_shard_keeps_what_is_there_whoever_made_it(
    model, folder, inverted, tmp_path, capsys
):
    shutil.copytree(inverted, out := tmp_path / "out")
    assert invert(model, folder, out=out, more=["--shard", "1/2"]) == 0
    assert "(2 were there before)" in capsys.readouterr().out
    (out / "b.png").unlink()
    assert invert(model, folder, out=out) == 0  # alone, it does the rest
    assert "(2 were there before)" in capsys.readouterr().out
    assert {p.name for p in out.iterdir()} == {p.name for p in inverted.iterdir()}


def test_the_parts_are_all_and_do_not_overlap():
    for count in (1, 2, 5, 9):
        parts = [Shard(i + 1, count).part(range(7)) for i in range(count)]
        assert sorted(sum(parts, [])) == list(range(7))


def test_who_is_let_into_a_folder(model, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(folder_lock, "_ADMISSION", 0.1)
    out = tmp_path / "out"
    with in_another_thread(Shard(1, 2).hold(out, {"other": "photos"})):
        cases = {
            ("--shard", "1/2"): "is in use by process",
            ("--shard", "2/2"): "shards with other photos or options",
            ("--shard", "1/3"): "is being filled in other parts",
            (): "is being filled in parts by other processes",
        }
        for more, reason in cases.items():
            assert invert(model, folder, out=out, more=more) == 1
            assert reason in error_of(capsys)
        with Shard(2, 2).hold(out, {"other": "photos"}):
            pass
    with in_another_thread(folder_lock.hold(out)):
        assert invert(model, folder, out=out, more=["--shard", "1/2"]) == 1
        assert "is in use by process" in error_of(capsys)


def test_auto_asks_the_cluster(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "2")
    assert shards.parse("auto") == Shard(3, 4)
    for name, value in {"COUNT": "3", "MIN": "10", "STEP": "5", "ID": "20"}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    assert shards.parse("auto") == Shard(3, 3)
    for text in ("0/2", "3/2", "1", "a/b", "1/0"):
        with pytest.raises(ValueError, match="expected I/N"):
            shards.parse(text)


@pytest.mark.slow
def test_each_picture_is_iterated_until_it_is_good_enough(
    model, folder, inverted, tmp_path, capsys
):
    values = [row["l2"] for row in rows_of(inverted)]
    bound = sorted(min(v) for v in values)[1]
    out = tmp_path / "out"
    assert invert(model, folder, out=out, more=["--until", f"l2={bound + 1e-5}"]) == 0
    assert "iterations:" in capsys.readouterr().out
    for row, before in zip(rows_of(out), values, strict=True):
        count = next((t for t in range(2) if before[t] <= bound + 1e-5), 2)
        assert row["num_iters"] == count and len(row["l2"]) == count + 1
        np.testing.assert_allclose(row["l2"], before[: count + 1], atol=1e-4)
    assert edit(model, out, edits=["smile=1"]) == 0  # they differ in iterations
    for wrong, reason in {"psnr=3": "no measure", "l2": "expected NAME=VALUE"}.items():
        assert invert(model, folder, out=out, more=["--until", wrong]) == 1
        assert reason in error_of(capsys)


def points_file(path, names):
    """Five points of a face in the middle of each photo; two faces in "two.png"."""
    face = [[8, 8], [16, 8], [12, 12], [9, 15], [15, 15]]
    faces = {name: [face] * (2 if name == "two.png" else 1) for name in names}
    path.write_text(json.dumps(faces))
    return ["--align", "--landmarks", str(path)]


def test_aligned_faces_are_inverted_and_go_back_into_their_photos(
    model, tmp_path, capsys
):
    photos, out = tmp_path / "photos", tmp_path / "out"
    for i, name in enumerate(("one", "two", "none")):
        images.save_png(photos / f"{name}.png", photo(i, 24, 24))
    align = points_file(tmp_path / "points.json", ["one.png", "two.png"])
    align += ["--face", "all"]
    assert invert(model, photos, out=out, more=align) == 1
    captured = capsys.readouterr()
    assert "3 photos in" in captured.out and "none.png" in captured.err
    assert [r["name"] for r in rows_of(out)] == ["one_0", "two_0", "two_1"]
    again = invert(model, photos, out=out, more=align)
    assert again == 1 and "(3 were there before)" in capsys.readouterr().out
    back = ["paste-back", str(out / "two_1.png"), "--out", str(tmp_path / "back")]
    assert main([*back, "--mask", "crop"]) == 0
    assert images.read(tmp_path / "back" / "two_1_photo.png").shape == (24, 24, 3)
    assert invert(model, photos, out=out, more=["--face", "1"]) == 1
    assert "need --align" in error_of(capsys)
