"""`hyperstyle verify`: every file is looked at, every fault is said."""

import json
import re
import shutil

import numpy as np
import pytest
from networks import tiny_nets

from hyperstyle_jax.cli.main import main
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.weights import bundle, safetensors_reader, safetensors_writer


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "mine"
    up = {"up": np.arange(6, dtype=np.float32)}
    extra = {"notes.txt": lambda file: file.write_text("hello")}
    bundle.save(path, tiny_nets(), directions=up, extra=extra)
    return path


@pytest.fixture
def folder(tmp_path, whole):
    return shutil.copytree(whole, tmp_path / "mine")


def lines(folder, capsys):
    code = main(["verify", str(folder)])
    return code, capsys.readouterr().out.splitlines()


def test_a_whole_bundle(folder, capsys):
    code, out = lines(folder, capsys)
    assert code == 0 and len(out) == 7
    assert all(line.startswith("ok ") for line in out[:-1])
    assert any("encoder.safetensors: encoder," in line for line in out)
    sha256 = atomic_files.sha256(folder / "bundle.json")
    assert out[-1] == f"bundle {bundle.load(folder).id}, sha256 {sha256}"


def test_the_published_checksum_is_compared(folder, capsys):
    sha256 = atomic_files.sha256(folder / "bundle.json")
    assert main(["verify", str(folder), "--sha256", sha256]) == 0
    assert main(["verify", str(folder), "--sha256", "0" * 64]) == 1
    assert "another bundle" in capsys.readouterr().err


def rewrite(folder, change, name="encoder"):
    """Changes arrays, with sizes and checksums that fit: only the content is wrong."""
    file = folder / f"{name}.safetensors"
    arrays = safetensors_reader.read(file)
    change(arrays)
    lazy = {
        k: safetensors_writer.Lazy(v.shape, v.dtype, lambda v=v: v)
        for k, v in arrays.items()
    }
    safetensors_writer.save_file(lazy, file)
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["files"][file.name] = {
        "sha256": atomic_files.sha256(file), "bytes": file.stat().st_size
    }  # fmt: skip
    (folder / "bundle.json").write_text(json.dumps(manifest))


def flip(file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def not_finite(arrays):
    name = next(k for k in arrays if k.startswith("params/"))
    arrays[name] = np.full_like(arrays[name], np.nan)


DAMAGE = {
    "a bit": (lambda f: flip(f / "encoder.safetensors"), "sha256 is"),
    "cut off": (
        lambda f: (f / "encoder.safetensors").write_bytes(b"abc"), "it has 3 bytes"),
    "missing": (lambda f: (f / "encoder.safetensors").unlink(), "it is missing"),
    "a folder": (
        lambda f: ((f / "encoder.safetensors").unlink(),
                   (f / "encoder.safetensors").mkdir()), "it is missing"),
    "not finite": (lambda f: rewrite(f, not_finite), "not finite"),
    "a tensor less": (lambda f: rewrite(f, dict.popitem), "do not fit the network"),
    "direction's shape": (
        lambda f: rewrite(f, lambda a: a.update(up=np.ones(5, "f4")), "directions"),
        r"the direction up has shape \(5,\)"),
    "direction's name": (
        lambda f: rewrite(f, lambda a: a.update(down=a.pop("up")), "directions"),
        "not those that bundle.json names"),
    "other file": (lambda f: (f / "notes.txt").write_text("hallo"), "sha256 is"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_the_other_files_are_checked(folder, capsys, name):
    change, says = DAMAGE[name]
    change(folder)
    code = main(["verify", str(folder)])
    out, err = capsys.readouterr()
    damaged = [line for line in out.splitlines() if line.startswith("DAMAGED")]
    assert code == 1 and len(damaged) == 1
    assert re.search(says, damaged[0])
    assert err == "1 files are damaged: copy the bundle again\n"


def test_a_file_that_nobody_lists_is_said(folder, capsys):
    (folder / "evil.py").write_text("")
    code, out = lines(folder, capsys)
    assert code == 0 and any("unknown evil.py" in line for line in out)


def test_the_card_may_be_edited(folder, capsys):
    (folder / "README.md").write_text("# My words")
    assert lines(folder, capsys)[0] == 0
    bundle.set_directions(folder, {})
    assert (folder / "README.md").read_text() == "# My words"


@pytest.mark.parametrize("content", ["<html>", "{}", "[" * 100_000, "\udcff"])
def test_a_damaged_manifest_is_one_line(folder, capsys, content):
    (folder / "bundle.json").write_text(content, errors="surrogateescape")
    assert main(["verify", str(folder)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
