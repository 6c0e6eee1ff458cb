"""The command line's frame, and its smaller commands."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from command import edit, error_of

from hyperstyle_jax import images
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.cli.names import unique_names
from hyperstyle_jax.cli.seeds import parse_seeds
from hyperstyle_jax.system import compilation_cache

pytestmark = pytest.mark.usefixtures("no_cache")


# --- bundles


def test_export_needs_a_run(tmp_path, capsys):
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "b")]) == 1
    assert "is not a run" in error_of(capsys)


# --- generate, faces


def test_generate_draws_the_same_image_for_a_seed_in_any_batch(model, tmp_path):
    argv = ["generate", "--model", str(model), "--out"]
    assert main([*argv, str(tmp_path / "ten"), "--seeds", "0-9"]) == 0
    assert main([*argv, str(tmp_path / "two"), "--seeds", "9,3"]) == 0
    assert len(list((tmp_path / "ten").glob("seed_*.png"))) == 10
    assert (tmp_path / "two" / "grid.png").exists()
    for seed in (3, 9):
        a, b = (
            images.read(tmp_path / f / f"seed_000{seed}.png").astype(int)
            for f in ("ten", "two")
        )
        assert abs(a - b).max() <= 1
    assert edit(model, tmp_path / "two") == 0


def test_faces_and_their_labels(tmp_path):
    argv = ["faces", "--seeds", "1000000-1000002", "--size", "32"]
    assert main([*argv, "--out", str(tmp_path / "plain")]) == 0
    assert main([*argv, "--accessories", "--out", str(tmp_path / "worn")]) == 0
    rows = (tmp_path / "plain" / "labels.jsonl").read_text().splitlines()
    labels = [json.loads(row) for row in rows]
    assert [row["index"] for row in labels] == [1000000, 1000001, 1000002]
    for row in labels:
        assert images.read(tmp_path / "plain" / row["file"]).shape == (32, 32, 3)
        assert "yaw" in row["attributes"]
    name = labels[0]["file"]
    plain, worn = ((tmp_path / f / name).read_bytes() for f in ("plain", "worn"))
    assert plain != worn
    assert main([*argv, "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / name).read_bytes() == plain


# --- the frame


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["paint"],
        ["invert"],
        ["faces", "--seeds", "9-1", "--out", "x"],
        ["faces", "--seeds", "a", "--out", "x"],
        ["faces", "--seeds", "0-99999999", "--out", "x"],
        ["edit", "x"],
    ],
)
def test_wrong_usage_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2 and "error:" in capsys.readouterr().err


def test_our_own_bugs_are_shown_whole(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(images, "save_png", lambda *a: 1 / 0)
    assert main(["faces", "--seeds", "0", "--out", str(tmp_path)]) == 1
    text = capsys.readouterr().err
    assert "Traceback" in text and "ZeroDivisionError" in text


def test_debug_shows_expected_errors_whole(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HYPERSTYLE_DEBUG", "1")
    argv = ["--model", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    assert main(["generate", "--seeds", "0", *argv]) == 1
    text = capsys.readouterr().err
    assert "Traceback" in text and "is not a bundle" in text


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from hyperstyle_jax.cli.main import build_parser; build_parser();"
        "heavy = {'jax', 'numpy', 'PIL', 'flax', 'tqdm'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_seeds():
    assert parse_seeds("0-3,7, 2") == [0, 1, 2, 3, 7]


def test_names_never_meet():
    paths = ["x/a.png", "y/a.png", "y/a.jpg", "z/y/a.png", "x/a_steps.png", "x/A.PNG"]
    names = unique_names(map(Path, paths), ("", "_steps"))
    outputs = [(n + s).casefold() for n in names for s in ("", "_steps")]
    assert names[0] == "a" and len(set(outputs)) == 12


def test_the_cache_is_on_unless_it_is_switched_off(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("HYPERSTYLE_CACHE", str(tmp_path / "c"))
    try:
        compilation_cache.enable()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "c")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    monkeypatch.setenv("HYPERSTYLE_CACHE", "off")
    assert compilation_cache.folder() is None
    monkeypatch.setenv("HYPERSTYLE_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert compilation_cache.folder() == tmp_path / "hyperstyle_jax"
