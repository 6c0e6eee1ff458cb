"""`hyperstyle inversions` says which files can be used, and how far two are apart."""

import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from command import invert
from networks import tiny_nets

from hyperstyle_jax.cli.main import main
from hyperstyle_jax.inversion import familiarity, storage
from hyperstyle_jax.offsets import Inversion
from hyperstyle_jax.weights import bundle

pytestmark = pytest.mark.usefixtures("no_cache")


@pytest.fixture
def made(model, tmp_path) -> Path:
    """Three inversions without iterations, and their rows."""
    loaded = bundle.load(model)
    latents = np.random.default_rng(0).normal(size=(3, 6, 6)).astype(np.float32)
    rows = ""
    for i, name in enumerate(("a", "b", "c")):
        path = tmp_path / "made" / f"{name}.npz"
        storage.save(path, Inversion(jnp.asarray(latents)), i, loaded)
        rows += json.dumps({"name": name, "key": "", "l2": [0.1 * i]}) + "\n"
    (path.parent / "metrics.jsonl").write_text(rows)
    return path.parent


def inversions(model, *argv) -> int:
    return main(["inversions", *map(str, argv), "--model", str(model)])


def test_each_file_is_good_foreign_or_damaged(model, made, tmp_path, capsys):
    assert inversions(model, made) == 0
    assert "3 inversions: 3 ok" in capsys.readouterr().out
    shutil.copytree(made, out := tmp_path / "out")
    content = dict(np.load(out / "a.npz"))
    np.savez(out / "a.npz", **content | {"bundle": "0123456789ab"})
    np.savez(out / "b.npz", **content | {"w_plus": content["w_plus"][:2]})
    (out / "c.npz").write_bytes((made / "a.npz").read_bytes()[:100])
    shutil.copy(made / "b.npz", out / "d.npz")
    assert inversions(model, out, "--out", tmp_path / "list.json") == 1
    said = capsys.readouterr().out
    assert "4 inversions: 2 damaged, 1 ok, 1 other model" in said
    rows = json.loads((tmp_path / "list.json").read_text())["inversions"]
    states = [row["state"] for row in rows]
    assert states == ["other model", "damaged", "damaged", "ok"]
    assert "w_plus has shape" in rows[1]["why"]


def test_an_inversion_differs_from_itself_by_nothing(model, made, tmp_path, capsys):
    shutil.copytree(made, out := tmp_path / "out")
    content = dict(np.load(out / "a.npz"))
    moved = content | {"w_plus": content["w_plus"] + np.float32(0.5)}
    np.savez(out / "a.npz", **moved)
    (out / "c.npz").unlink()
    more = ("--against", out, "--out", tmp_path / "list.json")
    assert inversions(model, made, *more) == 0
    captured = capsys.readouterr()
    assert "not in both: c" in captured.err
    a, b = json.loads((tmp_path / "list.json").read_text())["differences"]
    assert a["latent"] == pytest.approx(0.5, rel=1e-4) and a["image"] > 0
    assert (b["latent"], b["weights"], b["image"]) == (0, 0, 0)
    assert b["measures"][0] == b["measures"][1] != {}


def test_a_bundle_learns_what_its_pictures_are_like(tmp_path, capsys):
    model = tmp_path / "model"
    bundle.save(model, tiny_nets(8))
    before = bundle.load(model)
    assert main(["familiarize", str(model), "--count", "96"]) == 1  # too few for it
    assert "96 pictures: expected 100" in capsys.readouterr().err
    facts = familiarity.describe(before, familiarity.drawn(before, 112))
    assert facts["count"] == 112 and facts["measure"] == "lpips"
    assert bundle.set_info(model, familiarity=facts) == before.id
    changed = bundle.load(model)
    assert changed.info == before.info | {"familiarity": facts}
    far = {"lpips": [facts["limit"] + 0.01]}
    assert "does not look like" in familiarity.unlike(changed, far)
    assert familiarity.unlike(changed, {"lpips": [facts["limit"]]}) == ""
    for strange in ({}, {"measure": "psnr", "limit": 1}, 3, {"measure": "lpips"}):
        info = before.info | {"familiarity": strange}
        assert familiarity.unlike(before._replace(info=info), far) == ""


@pytest.mark.slow
def test_unlike_pictures_are_named_and_inverted(model, folder, tmp_path, capsys):
    shutil.copytree(model, changed := tmp_path / "model")
    bundle.set_info(changed, familiarity={"measure": "l2", "limit": 0})
    assert invert(changed, folder, out=tmp_path / "out") == 0
    assert capsys.readouterr().err.count("note:") == 3
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["unlike"] == 3


def test_without_features_l2_tells(tmp_path):
    nets = {k: v for k, v in tiny_nets(8).items() if k != "feature_extractor"}
    bundle.save(tmp_path / "plain", nets)
    model = bundle.load(tmp_path / "plain")
    batches = [np.zeros((100, 8, 8, 3), np.float32)]
    assert familiarity.describe(model, batches)["measure"] == "l2"
