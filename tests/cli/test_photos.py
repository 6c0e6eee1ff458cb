"""`hyperstyle invert` and `edit` on real files: what they write, what they refuse."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import NUM_ITERS as T
from command import SIZE, edit, error_of, invert, photo
from networks import tiny_nets
from PIL import Image

from hyperstyle_jax import images
from hyperstyle_jax.editing.directions import sweep
from hyperstyle_jax.inversion import pipeline, storage
from hyperstyle_jax.offsets import synthesize
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.weights import bundle

pytestmark = pytest.mark.usefixtures("no_cache")


# --- invert


def test_every_photo_leaves_its_four_files(inverted):
    names = {f.name for f in inverted.iterdir()}
    stems = ("a", "b", "more_a")
    outputs = {
        f"{s}{end}" for s in stems for end in (".npz", ".png", "_iterations.png")
    }
    assert names == outputs | {"metrics.jsonl", "summary.json"}
    for stem in stems:
        assert images.read(inverted / f"{stem}.png").shape == (SIZE, SIZE, 3)
        assert (inverted / f"{stem}.npz").stat().st_size < 200_000


def test_measures_stand_in_jsonl_and_summary(inverted, model):
    rows = [
        json.loads(r) for r in (inverted / "metrics.jsonl").read_text().split("\n")[:-1]
    ]
    summary = json.loads((inverted / "summary.json").read_text())
    assert [row["name"] for row in rows] == ["a", "b", "more_a"]
    for measure in ("l2", "lpips", "identity"):
        table = np.array([row[measure] for row in rows])
        assert table.shape == (3, T + 1)
        np.testing.assert_allclose(summary[measure], table.mean(0), atol=2e-6)
    assert summary["photos"] == 3 and summary["failed"] == {}
    assert summary["bundle"] == bundle.load(model).id and summary["num_iters"] == T


def test_the_npz_alone_renders_the_reconstruction(inverted, model):
    loaded = bundle.load(model)
    saved = storage.load(inverted / "more_a.npz")
    assert (saved.num_iters, saved.bundle) == (T, loaded.id)
    again = synthesize(loaded.nets["generator"], storage.restore(loaded, [saved]))
    written = images.read(inverted / "more_a.png").astype(int)
    assert abs(images.to_uint8(again[0]) - written).max() <= 1


def test_a_padded_batch_is_a_batch_of_one(inverted, model, folder):
    """more/a.png was the third photo at two at a time."""
    loaded = bundle.load(model)
    x = images.read(folder / "more" / "a.png")[None]
    inversion = pipeline.invert(loaded, np.repeat(x, 2, 0))
    saved = storage.load(inverted / "more_a.npz")
    for path, embedding in saved.embeddings.items():
        values = inversion.embeddings.values[path][0]
        np.testing.assert_allclose(embedding, values, atol=1e-4)
    np.testing.assert_allclose(saved.w_plus, inversion.w_plus[0], atol=1e-5)


def test_half_precision_is_nearly_the_same(model, folder, tmp_path, inverted):
    assert invert(model, folder, out=tmp_path, more=("--precision", "bfloat16")) == 0
    rows = [json.loads(line) for line in open(tmp_path / "metrics.jsonl")]
    for row, line in zip(rows, open(inverted / "metrics.jsonl"), strict=True):
        wanted = json.loads(line)
        assert row["l2"] == pytest.approx(wanted["l2"], rel=0.05)
        assert row["l2"] != wanted["l2"]
    half, full = (images.read(d / "a.png").astype(int) for d in (tmp_path, inverted))
    assert 0 < abs(half - full).mean() < 4


def test_no_iterations_is_the_initial_inversion(model, folder, tmp_path, inverted):
    assert invert(model, folder, out=tmp_path, more=["--num-iters", "0"]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    first = json.loads((inverted / "summary.json").read_text())["l2"][0]
    assert summary["l2"] == [pytest.approx(first, abs=2e-6)]
    saved = storage.load(tmp_path / "a.npz")
    assert saved.embeddings == {} and saved.num_iters == 0
    assert storage.restore(bundle.load(model), [saved]).offsets == {}


def test_one_bad_file_never_stops_the_others(model, folder, tmp_path, capsys):
    bad = tmp_path / "in"
    images.save_png(bad / "good.png", photo(5))
    images.save_png(bad / "zz.png", photo(6))
    (bad / "text.png").write_text("this is not an image")
    images.save_png(bad / "dot.png", photo(0, 1, 1))
    whole = (bad / "good.png").read_bytes()
    (bad / "cut.png").write_bytes(whole[: len(whole) // 2])
    (bad / "empty.png").touch()
    out = tmp_path / "out"
    assert invert(model, bad, tmp_path / "missing.png", out=out) == 1
    summary = json.loads((out / "summary.json").read_text())
    names = {Path(file).name for file in summary["failed"]}
    assert names == {"text.png", "dot.png", "cut.png", "empty.png", "missing.png"}
    assert summary["photos"] == 2 and (out / "good.npz").exists()
    shown = capsys.readouterr().err
    assert shown.count("failed: ") == 5 and "Traceback" not in shown


def test_truncated_jpeg_is_listed(model, tmp_path, capsys):
    file = tmp_path / "cut.jpg"
    Image.fromarray(photo(3, 64, 64)).save(file)
    file.write_bytes(file.read_bytes()[:700])
    assert invert(model, file, out=tmp_path / "out") == 1
    assert "cut.jpg" in capsys.readouterr().err


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()])
def test_missing_and_empty_folders_are_one_line(model, tmp_path, capsys, make):
    make(tmp_path / "photos")
    code = invert(model, tmp_path / "photos", out=tmp_path / "out")
    text = capsys.readouterr().err
    assert code == 1 and "photos" in text and "Traceback" not in text


def test_results_are_no_photos_and_photos_are_never_overwritten(
    model, tmp_path, capsys
):
    images.save_png(tmp_path / "a.png", photo(0))
    images.save_png(tmp_path / "b.png", photo(1))
    for _ in range(2):  # the second time the folder has the results of the first
        assert invert(model, tmp_path, out=tmp_path / "out") == 0
        summary = json.loads((tmp_path / "out" / "summary.json").read_text())
        assert summary["photos"] == 2
    before = (tmp_path / "a.png").read_bytes()
    assert invert(model, tmp_path / "a.png", out=tmp_path) == 1
    assert "overwrite" in error_of(capsys)
    assert (tmp_path / "a.png").read_bytes() == before


def test_a_full_disk_is_one_line_and_keeps_what_is_there(
    model, folder, tmp_path, capsys, monkeypatch
):
    real, count = atomic_files.write_whole, []

    def full(path, data):
        count.append(path)
        if len(count) > 4:
            raise OSError(28, "No space left on device", str(path))
        return real(path, data)

    monkeypatch.setattr(atomic_files, "write_whole", full)
    assert invert(model, folder, out=tmp_path) == 1
    assert "No space left on device" in error_of(capsys)
    assert storage.load(tmp_path / "a.npz").num_iters == T


def test_senseless_numbers_are_refused(model, folder, tmp_path, capsys):
    for more in (["--num-iters", "-1"], ["--num-iters", "1000"]):
        assert invert(model, folder, out=tmp_path, more=more) == 1
        assert "0 to 100" in error_of(capsys)
    assert invert(model, folder, out=tmp_path, more=["--batch-size", "0"]) == 1
    assert "--batch-size" in error_of(capsys)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda d: (d / "encoder.safetensors").write_bytes(b"x"), "is damaged"),
        (lambda d: (d / "encoder.safetensors").unlink(), "is missing"),
        (lambda d: (d / "bundle.json").unlink(), "is not a bundle"),
        (lambda d: (d / "bundle.json").write_text("{"), "is not valid"),
        (lambda d: rename_widths(d), "do not fit the network"),
    ],
)
def test_bad_bundles_are_one_line(model, folder, tmp_path, capsys, damage, reason):
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    damage(copy)
    assert invert(copy, folder, out=tmp_path / "out") == 1
    assert reason in error_of(capsys)
    assert not (tmp_path / "out").exists()


def rename_widths(folder):
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["networks"]["encoder"]["module"]["widths"] = [4, 8]
    (folder / "bundle.json").write_text(json.dumps(manifest))


# --- edit


def test_strips_come_from_npz_files_alone(inverted, model, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    for stem in ("a", "b"):
        shutil.copy(inverted / f"{stem}.npz", alone)
    assert edit(model, alone) == 0
    names = {f.name for f in alone.glob("*.png")}
    assert names == {"a_smile.png", "b_smile.png", "overview_smile.png"}
    strip = images.read(alone / "a_smile.png")
    assert strip.shape[1] > 3 * SIZE


def test_strength_zero_is_the_reconstruction(inverted, model, tmp_path):
    loaded = bundle.load(model)
    inversion = storage.restore(loaded, [storage.load(inverted / "a.npz")])
    strip = sweep(
        loaded.nets["generator"], inversion, loaded.direction("smile"),
        np.array([-3.0, 0.0, 3.0], np.float32),
    )[0]  # fmt: skip
    written = images.read(inverted / "a.png").astype(int)
    assert abs(images.to_uint8(strip[1]) - written).max() <= 1
    assert abs(images.to_uint8(strip[0]) - written).max() > 3


def test_a_single_amount_is_a_picture_for_paste_back(inverted, model, tmp_path):
    edits = ("smile=-.5", "smile=+1e0")
    assert edit(model, inverted / "a.npz", out=tmp_path, edits=edits) == 0
    picture = images.read(tmp_path / "a_smile-0.5_smile+1.png")
    assert picture.shape == (SIZE, SIZE, 3)
    assert edit(model, inverted / "a.npz", out=tmp_path, edits=["smile=.5"]) == 0
    assert np.array_equal(images.read(tmp_path / "a_smile+0.5.png"), picture)
    assert edit(model, inverted / "a.npz", out=tmp_path, edits=["smile=0"]) == 0
    before = images.read(inverted / "a.png").astype(int)
    assert abs(images.read(tmp_path / "a_smile+0.png") - before).max() <= 1


def test_directions_are_also_files(inverted, model, tmp_path, capsys):
    np.save(tmp_path / "up.npy", np.eye(6, dtype="f4")[:1].repeat(2, 1))
    np.save(tmp_path / "components.npy", np.zeros((2000, 6), "f4"))
    save = {"mean": np.zeros(6), "std": np.ones(2), "comp": np.eye(6)[:2]}
    np.savez(tmp_path / "pca.npz", **{k: v.astype("f4") for k, v in save.items()})
    out, file = tmp_path / "out", inverted / "a.npz"
    assert edit(model, file, out=out, edits=[f"{tmp_path / 'pca.npz'}#0=1"]) == 0
    assert edit(model, file, out=out, edits=["smile=1"]) == 0
    (by_file,) = out.glob("*pca*.png")
    assert np.array_equal(images.read(by_file), images.read(out / "a_smile+1.png"))
    for name, why in {
        "up.npy=1": "of another generator|made for another generator",
        "pca.npz#2=1": "a file of 2 components",
        "components.npy=1": "holds no such edit direction",
        "none.pt=1": "does not exist",
    }.items():
        assert edit(model, file, out=out, edits=[f"{tmp_path}/{name}"]) == 1
        assert re.search(why, error_of(capsys))


def test_two_ranges_are_a_grid(inverted, model, tmp_path):
    edits = ("smile=0:2:1", "smile=-1:1:2")
    assert edit(model, inverted, out=tmp_path, edits=edits) == 0
    grid = images.read(tmp_path / "a_smile_smile.png")
    assert grid.shape[0] > 2 * SIZE and grid.shape[1] > 3 * SIZE
    assert not (tmp_path / "overview_smile_smile.png").exists()


def test_another_models_inversion_is_refused(inverted, model, tmp_path, capsys):
    other = tmp_path / "other"
    bundle.save(other, tiny_nets(seed=1), directions={"smile": np.ones(6, "f4")})
    assert edit(other, inverted / "a.npz", out=tmp_path / "out") == 1
    line = error_of(capsys)
    assert "a.npz" in line and bundle.load(model).id in line


def test_wrong_inputs_of_edit_are_one_line(inverted, model, tmp_path, capsys):
    (tmp_path / "text.npz").write_text("no zip")
    np.savez(tmp_path / "else.npz", x=np.zeros(3))
    np.savez(tmp_path / "code.npz", w_plus=np.array([print], dtype=object))
    for name in ("text", "else", "code"):
        assert edit(model, tmp_path / f"{name}.npz") == 1
        assert f"{name}.npz is not an inversion" in error_of(capsys)
    for path in (tmp_path / "none", tmp_path / "none.npz"):
        assert edit(model, path) == 1
        assert "does not exist" in error_of(capsys)
    (tmp_path / "empty").mkdir()
    assert edit(model, tmp_path / "empty") == 1
    assert "has no .npz files" in error_of(capsys)
    assert edit(model, inverted, edits=["wings=1"]) == 1
    assert "it has: smile" in error_of(capsys)
    assert edit(model, inverted, edits=["smile=nan"]) == 1
    assert "expected NAME=AMOUNT" in error_of(capsys)
    assert edit(model, inverted, edits=["smile=1sd"]) == 1
    assert "not calibrated" in error_of(capsys)
    assert edit(model, inverted, edits=["smile=0:1:1"] * 3) == 1
    assert "at most two" in error_of(capsys)


def test_a_bad_inversion_does_not_stop_the_others(inverted, model, tmp_path, capsys):
    (tmp_path / "0_bad.npz").write_text("no zip")
    (tmp_path / "a.npz").write_bytes((inverted / "a.npz").read_bytes())
    assert edit(model, tmp_path) == 1
    assert "0_bad.npz is not an inversion" in capsys.readouterr().err
    assert (tmp_path / "a_smile.png").exists()


def test_inversions_of_other_shapes_are_refused(inverted, model):
    loaded = bundle.load(model)
    saved = storage.load(inverted / "a.npz")
    with pytest.raises(ValueError, match="w_plus has shape"):
        storage.restore(loaded, [saved._replace(w_plus=saved.w_plus[1:])])
    with pytest.raises(ValueError, match="weight has shape None"):
        storage.restore(loaded, [saved._replace(embeddings={})])
    with pytest.raises(ValueError, match="different kinds"):
        storage.restore(loaded, [saved, saved._replace(num_iters=1)])


def test_embeddings_of_single_iterations_survive_the_file(model, tmp_path, inverted):
    rng = np.random.default_rng(0)
    embeddings = {"a/b": rng.normal(size=(1, 3, 5)), "c": rng.normal(size=(1, 5))}
    embeddings["one"] = rng.normal(size=(1, 1, 5))
    compact = storage.Refinement(
        np.zeros((1, 6, 6)), storage.LayerEmbeddings(embeddings, 3), None
    )
    storage.save(tmp_path / "x.npz", compact, 0, bundle.load(model))
    stored = storage.load(tmp_path / "x.npz").embeddings
    assert stored.keys() == embeddings.keys()
    for path, code in embeddings.items():
        np.testing.assert_allclose(stored[path], code[0].astype("f4"))
