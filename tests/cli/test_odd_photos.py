"""`hyperstyle invert` where not every photo can be read."""

import json
import os
import shutil
from pathlib import Path

import pytest
from command import invert, photo

from hyperstyle_jax import images
from hyperstyle_jax.system import atomic_files

FAST = ["--num-iters", "0"]


pytestmark = pytest.mark.usefixtures("no_cache")


@pytest.fixture
def folder(tmp_path) -> Path:
    images.save_png(tmp_path / "in" / "a.png", photo(0))
    images.save_png(tmp_path / "in" / "b.png", photo(1))
    return tmp_path / "in"


def test_odd_inputs_never_stop_the_others(model, tmp_path, capsys):
    """Not even a pipe, which nobody writes to, or a name of 249 bytes."""
    folder = tmp_path / "in"
    images.save_png(folder / "a.png", photo(0))
    (folder / "a.png").rename(folder / f"{'n' * 245}.png")
    images.save_png(tmp_path / "other" / "b.png", photo(1))
    (folder / "linked").symlink_to("../other")
    (folder / "dead.png").symlink_to("nothing")
    os.mkfifo(folder / "pipe.png")
    (folder / "phone.heic").touch()
    out = tmp_path / "out"
    assert invert(model, folder, out=out, more=FAST) == 1
    summary = json.loads((out / "summary.json").read_text())
    names = {Path(file).name for file in summary["failed"]}
    assert names == {"dead.png", "pipe.png"} and summary["photos"] == 2
    assert summary["left_out"] == {".heic": 1} and (out / "b.npz").exists()
    assert len(list(out.glob("nnn*_iterations.png"))) == 1
    assert "left out: 1 .heic: not read" in capsys.readouterr().err


def test_photos_in_zip_files(model, folder, tmp_path):
    path, losses = shutil.make_archive(str(tmp_path / "set"), "zip", folder), []
    for source, out in ((folder, tmp_path / "out"), (path, tmp_path / "zip")):
        assert invert(model, source, out=out, more=FAST) == 0
        lines = (out / "metrics.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["l2"] for line in lines])
    assert losses[0] == losses[1] and len(losses[0]) == 2


def test_where_every_photo_fails_no_rows_of_an_earlier_run_are_left(model, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    out = tmp_path / "out"
    atomic_files.write_whole(out / "metrics.jsonl", b'{"file": "a.png", "name": "a"}\n')
    assert invert(model, tmp_path / "a.png", out=out) == 1
    assert (out / "metrics.jsonl").read_bytes() == b""
    assert json.loads((out / "summary.json").read_text())["photos"] == 0


def test_a_photo_without_memory_is_listed(model, folder, tmp_path, capsys, monkeypatch):
    read = images.read

    def fail(data, name):
        if name.endswith("b.png"):
            raise MemoryError(f"{name}: not enough memory to read this image")
        return read(data, name)

    monkeypatch.setattr(images, "read", fail)
    assert invert(model, folder, out=tmp_path, more=FAST) == 1
    assert json.loads((tmp_path / "summary.json").read_text())["photos"] == 1
    assert "b.png: not enough memory to read" in capsys.readouterr().err
