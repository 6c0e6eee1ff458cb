"""Other formats are named by their bytes, with what to do; never a traceback."""

import gzip
import io
import struct
import tarfile

import numpy as np
import pytest

from hyperstyle_jax.torch_format import files as torch_files


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pt"), io.BytesIO())
    return out.getvalue()


ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\xd4\x01"
GRAPH = b"\n\x1c\n\x05input\x12\x0bPlaceholder"
FORMATS = {
    "HTML": (b"<!DOCTYPE html><html>Sign in", "HTML page.*download the file itself"),
    "XML": (b'<?xml version="1.0"?><Error><Code>AccessDenied', "XML"),
    "HTML with a mark": (b"\xef\xbb\xbf\n<!-- x --><html>", "HTML page"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'>", "XML"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "gzip": (gzip.compress(b"x" * 99), "packed.*unpack it"),
    "bzip2": (b"BZh91AY&SY", "packed"),
    "xz": (b"\xfd7zXZ\x00\x00", "packed"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04", "packed"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "7z archive.*unpack"),
    "rar": (b"Rar!\x1a\x07\x01\x00", "RAR archive.*unpack"),
    "tar": (tar(), "tar archive.*unpack"),
    "HDF5": (b"\x89HDF\r\n\x1a\n\x00", "HDF5.*Keras"),
    "ONNX": (ONNX, "ONNX.*state dict"),
    "TensorFlow graph": (GRAPH, "TensorFlow graph"),
    "TensorFlow meta": (b"\n\xb4\x05\x12\xb1\x05\n-\n\x03Add\x12\x06", "graph"),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "MATLAB"),
    "SavedModel": (b"\x08\x01\x12\x85\x02\n\xf8", "SavedModel"),
    "TensorFlow index": (
        b"\x00\x00\x0b\x12" + b"\x9f" * 90 + bytes.fromhex("57fb808b247547db"),
        "index of a TensorFlow checkpoint",
    ),
    "TensorFlow list": (b'model_checkpoint_path: "model"', "TensorFlow checkpoint"),
    "TensorFlow Lite": (b"\x1c\x00\x00\x00TFL3\x14\x00", "TensorFlow Lite"),
    "GGUF": (b"GGUF\x03\x00\x00\x00", "GGUF"),
    "msgpack": (b"\x82\xa6params\x81\xa7Dense_0", "flax.serialization"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "image"),
    "WebP": (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image"),
    "PDF": (b"%PDF-1.7", "PDF"),
    "program": (b"\x7fELF\x02\x01", "program"),
    "script": (b"#!/bin/sh\n", "program"),
    "macOS": (b"\x00\x05\x16\x07\x00\x02\x00\x00", "companion file of macOS"),
    "zeros": (bytes(4096), "zero bytes.*get it again"),
    "text": (b"Quota exceeded for this file\n", "text.*Quota exceeded"),
    "JSON": (b'{"error": "not found"}', "text"),
    "empty": (b"", "empty.*get it again"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_other_formats_are_named(tmp_path, name):
    content, says = FORMATS[name]
    (tmp_path / "weights.pt").write_bytes(content)
    with pytest.raises(ValueError, match=f"weights.pt: it is (?s:.*){says}") as error:
        torch_files.read(tmp_path / "weights.pt")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "names, says",
    [
        (["bundle.json", "generator.safetensors"], "needs no conversion"),
        (["data.pkl", "data", "version"], "zip -0"),
        (["model.index", "model.data-00000-of-00001"], "TensorFlow"),
        (["__0_0.distcp", ".metadata"], "dcp_to_torch_save"),
        (["config.json", "checkpoints", "images"], "hyperstyle export"),
        (["_CHECKPOINT_METADATA", "d"], "orbax"),
        (["photo.png"], "give a file in it"),
    ],
)
def test_folders_are_named(tmp_path, names, says):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=says):
        torch_files.read(tmp_path)


def test_parts_of_checkpoints_are_told_by_their_name_as_they_have_no_mark(tmp_path):
    file = tmp_path / "model.data-00000-of-00001"
    file.write_bytes(np.random.default_rng(0).bytes(600))
    with pytest.raises(ValueError, match="part of a TensorFlow checkpoint"):
        torch_files.read(file)


def test_numbers_are_not_taken_for_a_format(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(50):
        head = struct.pack("<f", rng.normal())
        (tmp_path / "x.bin").write_bytes(head + rng.bytes(600))
        with pytest.raises(ValueError, match="cannot read"):
            torch_files.read(tmp_path / "x.bin")
