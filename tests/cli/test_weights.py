"""`hyperstyle info`, and convert_weights.py."""

import json
import os
import signal as signals
import subprocess
import sys

import jax
import networks
import numpy as np
import pytest
from paths import ROOT

import convert_weights
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.convert import official
from hyperstyle_jax.models.hypernet import Hypernet, tuned_layers
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.weights import bundle, manifests


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "ffhq.pt"
    value = official.generator_contents(networks.tiny_generator())
    torch_files.write(path, value | {"args": {"size": 8}})
    return path


def test_there_and_back(source, tmp_path, capsys):
    made = str(tmp_path / "bundle")
    assert convert_weights.main([str(source), "--out", made]) == 0
    assert "stylegan2" in capsys.readouterr().out
    back = tmp_path / "back.pt"
    assert convert_weights.main([made, "--to-torch", "--out", str(back)]) == 0
    a, b = torch_files.read(source), torch_files.read(back)
    assert a.keys() == b.keys() and a["args"] == b["args"]
    for name, tensor in a["g_ema"].items():
        np.testing.assert_array_equal(b["g_ema"][name], tensor)
    assert main(["info", made]) == 0
    out = capsys.readouterr().out
    assert "generator: Generator" in out and "missing to invert photos" in out


def test_info_of_a_file(source, capsys):
    assert main(["info", str(source), "--tensors"]) == 0
    out = capsys.readouterr().out
    assert "stylegan2" in out and "resolution=8" in out
    assert "conv1.conv.weight float32" in out
    assert "missing to invert photos: encoder, hypernet" in out


def test_info_of_a_hypernetwork_says_its_layers_and_what_is_assumed(tmp_path, capsys):
    generator = networks.tiny_generator()
    small = {"widths": (4, 4), "depths": (1, 1), "embedding_dim": 5, "hidden": 4}
    module = Hypernet(tuned_layers(generator.module), **small, inner=4, inner_shared=4)
    hypernet = networks.random_net(module, 0, [(256, 256, 3)] * 2, 0.1)
    nets = {"hypernet": hypernet, "generator": generator}
    value = official.contents(nets).files["hypernet"]
    torch_files.write(tmp_path / "x.pt", value)
    assert main(["info", str(tmp_path / "x.pt")]) == 0
    out = capsys.readouterr().out
    assert "hypernet: Hypernet" in out and "layers=3 layers" in out
    assert "generator: Generator" in out and "resolution=8" in out
    assert "images of 256x256 are assumed" in out
    assert "missing to invert photos: encoder" in out


def test_info_of_something_else(tmp_path, capsys):
    torch_files.write(tmp_path / "x.pt", {"epoch": 3, "net": {"w": np.zeros(5, "f4")}})
    assert main(["info", str(tmp_path / "x.pt")]) == 0
    out = capsys.readouterr().out
    assert "no known kind" in out and "epoch: 3" in out and "5 numbers" in out


def test_info_of_a_complete_bundle(tmp_path, capsys):
    bundle.save(tmp_path / "b", networks.tiny_nets(), info={"licence": "MIT"})
    assert main(["info", str(tmp_path / "b"), "--tensors"]) == 0
    out = capsys.readouterr().out
    assert "complete" in out and "licence: MIT" in out
    assert "params/linear/weight" in out


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"\x80\x02cos\nsystem\n.", "os.system"),
        (b"PK\x03\x04 cut off", "damaged"),
    ],
)
def test_bad_files_give_one_line(tmp_path, capsys, content, reason):
    (tmp_path / "x.pt").write_bytes(content)
    out = ["--out", str(tmp_path / "b")]
    assert convert_weights.main([str(tmp_path / "x.pt"), *out]) == 1
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1
    assert not (tmp_path / "b").exists()
    assert main(["info", str(tmp_path / "x.pt")]) == 1


def test_back_without_a_source(tmp_path, capsys):
    nets = networks.tiny_nets()
    up = np.arange(6, dtype=np.float32)
    bundle.save(tmp_path / "b", nets, directions={"up": up})
    out = tmp_path / "torch"
    argv = [str(tmp_path / "b"), "--to-torch", "--out", str(out)]
    assert convert_weights.main(argv) == 0
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.pt")) == [
        "directions/up.pt", "encoder.pt", "generator.pt", "hypernet.pt",
    ]  # fmt: skip
    (left,) = [x for x in capsys.readouterr().out.splitlines() if "stays behind" in x]
    assert "feature_extractor (there is no official layout" in left
    np.testing.assert_array_equal(torch_files.read(out / "directions/up.pt"), [up])
    value = torch_files.read(out / "hypernet.pt")
    assert value["opts"]["encoder_type"] == "SharedWeightsHyperNetResNet"
    assert json.dumps(value["opts"])


def test_exported_networks_are_converted_back(tmp_path):
    nets = networks.tiny_nets()
    bundle.save(tmp_path / "b", nets, directions={"up": np.ones((6, 6))})
    out, again = tmp_path / "torch", tmp_path / "again"
    convert_weights.main([str(tmp_path / "b"), "--to-torch", "--out", str(out)])
    files = [str(p) for p in sorted(out.rglob("*.pt"))]
    argv = [*files, "--out", str(again), "--image-size", "16x16"]
    assert convert_weights.main(argv) == 0
    made = bundle.load(again)
    assert set(made.nets) == set(nets) - {"feature_extractor"}
    assert list(made.directions) == ["up"]
    for role in ("encoder", "hypernet"):
        expected, restored = nets[role].params, made.nets[role].params
        jax.tree.map(np.testing.assert_array_equal, restored, expected)


def test_without_any_official_layout_nothing_is_exported(tmp_path, capsys):
    nets = networks.tiny_nets()
    only = {k: nets[k] for k in ("feature_extractor", "hypernet")}
    bundle.save(tmp_path / "b", only, info={"image_size": 16})
    argv = [str(tmp_path / "b"), "--to-torch", "--out", str(tmp_path / "x")]
    assert convert_weights.main(argv) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "nothing in the bundle can be exported" in error
    assert "FeatureExtractor" in error and "includes the generator" in error
    assert not (tmp_path / "x").exists()


def test_a_converted_bundle_says_what_it_was_made_of(source, tmp_path):
    convert_weights.main([str(source), "--out", str(tmp_path / "b")])
    made_of = manifests.read(tmp_path / "b")["provenance"]
    assert made_of["made_by"] == "convert_weights.py"
    assert made_of["sources"] == [{
        "name": source.name,
        "kind": "stylegan2",
        "bytes": source.stat().st_size,
        "sha256": atomic_files.sha256(source),
    }]  # fmt: skip
    assert source.name in (tmp_path / "b" / "README.md").read_text()
    assert main(["verify", str(tmp_path / "b")]) == 0


def test_only_one_bundle_goes_back(source, tmp_path, capsys):
    argv = [str(source), str(source), "--to-torch", "--out", str(tmp_path / "x")]
    assert convert_weights.main(argv) == 1
    assert "expected one" in capsys.readouterr().err


@pytest.mark.parametrize("back", [True, False])
def test_a_full_disk_is_one_line_with_the_file(
    source, tmp_path, small_disk, back, capsys
):
    big = torch_files.read(source) | {"optimizer": np.ones(2**18, np.float32)}
    torch_files.write(tmp_path / "big.pt", big)
    argv = [str(tmp_path / "big.pt"), "--out", str(tmp_path / "b")]
    if back:
        assert convert_weights.main(argv) == 0
        argv = [str(tmp_path / "b"), "--to-torch", "--out", ""]
    (small_disk / "filler").write_bytes(b"x" * (5 << 19))
    argv[-1] = str(small_disk / "out")
    capsys.readouterr()
    assert convert_weights.main(argv) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "disk is full" in error
    assert str(small_disk / "out") in error
    assert [p.name for p in small_disk.iterdir()] == ["filler"]


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("back", [True, False])
def test_a_stop_leaves_nothing_and_says_so(
    source, tmp_path, capsys, monkeypatch, signal, back
):
    if back:
        convert_weights.main([str(source), "--out", str(tmp_path / "b")])

    def stop(*args):
        os.kill(os.getpid(), getattr(signals, signal))
        raise AssertionError("the signal comes first")

    monkeypatch.setattr(torch_files, "_add", stop)  # while the file is being written
    argv = [str(tmp_path / "b"), "--to-torch"] if back else [str(source)]
    before = sorted(tmp_path.iterdir())
    code = convert_weights.main([*argv, "--out", str(tmp_path / "out")])
    assert code == {"SIGINT": 130, "SIGTERM": 143}[signal]
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("stopped by")
    assert back or "nothing was written" in error
    assert sorted(tmp_path.iterdir()) == before


def test_what_a_killed_conversion_left_is_swept(source, tmp_path):
    """kill -9 leaves a half-written folder; the next start removes it."""
    code = (
        "import os, convert_weights;"
        "from hyperstyle_jax.torch_format import files;"
        "files._add = lambda *a: os.kill(os.getpid(), 9);"
        f"convert_weights.main([{str(source)!r}, '--out', {str(tmp_path / 'b')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)
    assert done.returncode == -9 and list(tmp_path.iterdir())
    assert convert_weights.main([str(source), "--out", str(tmp_path / "b")]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
