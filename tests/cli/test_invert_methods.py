"""`hyperstyle invert --method`: files, resumption, refusals."""

import json

from command import error_of, invert

from hyperstyle_jax.cli import ways


def test_a_method_writes_the_same_files_and_resumes(no_cache, model, folder, tmp_path):
    more = ["--method", "w-plus", "--set", "steps=2", "lr=0.05"]
    assert invert(model, folder, out=tmp_path, more=more) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["method"] == "w-plus" and summary["settings"]["steps"] == 2
    assert summary["photos"] == 3 and len(summary["l2"]) == 2
    names = {p.name for p in tmp_path.iterdir()}
    assert {"b.npz", "b.png", "b_iterations.png", "metrics.jsonl"} <= names
    before = (tmp_path / "b.png").stat().st_mtime_ns
    assert invert(model, folder, out=tmp_path, more=more) == 0
    assert (tmp_path / "b.png").stat().st_mtime_ns == before
    more[-1] = "lr=0.1"
    assert invert(model, folder, out=tmp_path, more=more) == 0
    assert (tmp_path / "b.png").stat().st_mtime_ns > before


def test_bad_settings_end_in_one_line(no_cache, model, folder, tmp_path, capsys):
    for more, message in [
        (["--method", "best"], "no inversion method 'best'"),
        (["--method", "psp"], "train it with configs/ffhq_psp.py"),
        (["--method", "w", "--set", "steps"], "expected NAME=VALUE"),
        (["--method", "w", "--num-iters", "3"], "no setting 'num_iters'"),
        (["--method", "w", "--until", "l2=0.1"], "--until and --precision"),
    ]:
        assert invert(model, folder, out=tmp_path, more=more) == 1
        assert message in error_of(capsys)


def test_values_are_numbers_words_and_choices():
    parsed = ways.parse_settings(["a=3", "b=0.5", "c=true", "d=none", "e=w-encoder"])
    assert parsed == {"a": 3, "b": 0.5, "c": True, "d": None, "e": "w-encoder"}
