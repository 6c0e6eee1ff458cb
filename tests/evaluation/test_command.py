"""The command `hyperstyle evaluate`."""

import json

from evaluated_bundles import NUM_ITERS, save
from networks import tiny_nets

from hyperstyle_jax import images
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.evaluation import held_out_faces
from hyperstyle_jax.weights import bundle


def test_the_command_leaves_tables_curves_and_images(
    folder, tmp_path, capsys, short_search
):
    argv = ["evaluate", str(folder), "--count", "2", "--edits", "--out", str(tmp_path)]
    assert main(argv) == 0
    said = capsys.readouterr().out
    domains, measures = held_out_faces.DOMAINS, ("l2", "lpips", "identity")
    names = {f"iterations_{d}_{m}.png" for d in domains for m in measures}
    names |= {f"grid_{d}_tiny.png" for d in domains}
    names |= {"metrics.md", "metrics.json", "edits.md", "edits.json"}
    names |= {"edits_smile.png", "edits_yaw.png"}
    assert {file.name for file in tmp_path.iterdir()} == names
    assert (tmp_path / "metrics.md").read_text() in said
    assert (tmp_path / "edits.md").read_text() in said
    summary = json.loads((tmp_path / "metrics.json").read_text())
    assert summary["faces"] == 2 and summary["models"] == {
        "tiny": bundle.load(folder).id
    }
    assert (
        len(summary["domains"]["accessories"]["iterations"]["tiny"]["lpips"])
        == NUM_ITERS + 1
    )
    height, width, _ = images.read(tmp_path / "grid_in-domain_tiny.png").shape
    assert height > 2 * 96 and width > (NUM_ITERS + 3) * 96


def test_one_domain_may_be_chosen(folder, capsys):
    argv = ["evaluate", str(folder), "--accessories", "--count", "2"]
    assert main([*argv, "--num-iters", "0"]) == 0
    said = capsys.readouterr().out
    assert "faces, accessories" in said and "in-domain" not in said
    assert "tiny, T = 0" in said


def test_wrong_input_is_one_line(folder, tmp_path, capsys):
    plain = save(tmp_path / "plain", tiny_nets())
    blind = save(tmp_path / "blind", {"generator": tiny_nets()["generator"]})
    cases = {
        (str(tmp_path / "none"),): "is not a bundle",
        (str(folder), "--first-index", "5"): "are trained on",
        (str(folder), "--num-iters", "-1"): "expected a number from 0",
        (str(plain), "--edits"): "hyperstyle directions",
        (str(folder), "--eval-network", str(blind)): "has no feature_extractor",
    }
    for argv, reason in cases.items():
        assert main(["evaluate", *argv, "--count", "2"]) == 1
        text = capsys.readouterr().err
        assert reason in text and "Traceback" not in text
