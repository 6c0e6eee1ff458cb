"""A zip file of photos in, a zip file of results out; nothing stops it."""

import zipfile

import numpy as np
import pytest

from hyperstyle_jax import images
from hyperstyle_jax.app import batch
from hyperstyle_jax.app.engine import Iteration
from hyperstyle_jax.editing import recipes
from hyperstyle_jax.editing.looks import Look
from hyperstyle_jax.offsets import latent_only


@pytest.fixture
def engine(engine, monkeypatch):
    """Inverts everything to the mean latent, which takes no time to compile."""

    def invert(session):
        generator = engine.model.nets["generator"]
        w = generator.variables["buffers"]["mapping"]["w_avg"]
        inversion = latent_only(w[None], generator.module.num_ws)
        done = engine.take(session, inversion, session.notes)
        yield Iteration(done.inverted.before, 0, done)

    monkeypatch.setattr(engine, "invert", invert)
    return engine


def packed(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_good_ones_are_edited_and_bad_ones_listed(engine, two_faces, tmp_path):
    grey = images.encode_png(np.full((40, 50, 3), 100, np.uint8))
    files = {
        "../../evil<b>.png": two_faces.data,
        "a/two.png": two_faces.data,
        "grey.png": grey,
        "bad.jpg": b"no image",
    }
    archive, out = packed(tmp_path / "in.zip", files), tmp_path / "out.zip"
    *before, last = batch.run(engine, archive, Look(("smile=1",)), out)
    assert before[0].done == 0 and (last.done, last.total) == (4, 4)
    assert {name.split("/")[-1] for name in last.failed} == {"grey.png", "bad.jpg"}
    assert "2 failed" in str(last) and "s left" in str(before[1])
    with zipfile.ZipFile(out) as results:
        names = results.namelist()
        assert len(names) == 9 and "failed.txt" in names
        assert all(name.replace("_", "").replace(".", "").isalnum() for name in names)
        edit = next(name for name in names if name.endswith("two_edit.png"))
        recipe = recipes.read(results.read(edit))
        picture = images.read(results.read(edit))
    np.testing.assert_array_equal(recipes.draw(engine.model, recipe), picture)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a.txt": b"text"}, "no image"),
        ({"in.zip": b""}, "unpack it first"),
        ({"a.png": bytes(1001)}, "1001 bytes in the zip file"),
    ],
)
def test_other_zip_files_are_refused(engine, tmp_path, monkeypatch, files, why):
    monkeypatch.setattr(batch, "_MOST_BYTES", 1000)
    archive = packed(tmp_path / "in.zip", files)
    with pytest.raises(ValueError, match=why):
        next(batch.run(engine, archive, Look(), tmp_path / "out.zip"))


def test_what_is_no_zip_file_is_refused(engine, tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"no zip")
    with pytest.raises(ValueError, match="no zip file"):
        next(batch.run(engine, path, Look(), tmp_path / "out.zip"))
