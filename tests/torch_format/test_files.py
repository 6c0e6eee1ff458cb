"""Files of weights: what is read, what is written, and what is refused."""

import io
import json
import pickle
import random
import resource
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest
import torch_pickles
from paths import GOLDENS

from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.torch_format.pickle_writer import Writer

needs_goldens = pytest.mark.skipif(
    not GOLDENS.is_dir(), reason=f"the official fixtures are not in {GOLDENS}"
)


def read_bytes(tmp_path, content: bytes):
    file = tmp_path / "weights.bin"
    file.write_bytes(content)
    return torch_files.read(file)


def make_zip(entries: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def example():
    shared = np.arange(6, dtype=np.float32).reshape(2, 3)
    return {
        "state_dict": {
            "a": shared,
            "alias": shared,
            "scalar": np.array(7, np.int64),
            "empty": np.zeros((0, 3), np.float32),
            "half": np.array([1.5, -2], np.float16),
            "bfloat": np.array([1.5, -2], ml_dtypes.bfloat16),
            "transposed": np.arange(6.0).reshape(2, 3).T,
            "flags": np.array([True, False]),
        },
        "opts": {"lr": 1e-4, "name": "é", "none": None, "on": True, "big": 2**40},
        "list": [1, (-2, 3.5), "x"],
    }


def test_what_is_written_is_read(tmp_path):
    torch_files.write(tmp_path / "x.pt", example())
    value = torch_files.read(tmp_path / "x.pt")
    assert value["opts"] == example()["opts"] and value["list"] == example()["list"]
    tensors, expected = value["state_dict"], example()["state_dict"]
    assert list(tensors) == list(expected)
    for name, array in expected.items():
        assert tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(tensors[name], array)
    assert tensors["a"] is tensors["alias"]
    assert list(tmp_path.iterdir()) == [tmp_path / "x.pt"]


def test_storages_are_aligned(tmp_path):
    torch_files.write(tmp_path / "x.pt", example())
    data = (tmp_path / "x.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            name, extra = struct.unpack_from("<HH", data, info.header_offset + 26)
            assert (info.header_offset + 30 + name + extra) % 64 == 0


@needs_goldens
@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_official_subset(kind):
    folder = GOLDENS / "checkpoints"
    value = torch_files.read(folder / f"hyperstyle_subset_{kind}.pt")
    tensors = {**value["state_dict"], "latent_avg": value["latent_avg"]}
    expected = np.load(folder / "hyperstyle_subset_expected.npz")
    assert sorted(tensors) == sorted(expected.files)
    for name in expected.files:
        np.testing.assert_array_equal(tensors[name].astype("f4"), expected[name])
    w1 = "hypernet.shared_weight_hypernet.w1"
    assert tensors[w1] is tensors["hypernet.refinement_blocks.0.hypernet.w1"]
    assert value["global_step"] == 10000


@needs_goldens
def test_official_layout_with_stride_zero_views():
    folder = GOLDENS / "checkpoints"
    value = torch_files.read(folder / "hyperstyle_256_layout.pt")
    tensors = value["state_dict"]
    w2 = tensors["hypernet.shared_weight_hypernet.w2"]
    assert w2.shape == (512, 262144) and w2.strides == (0, 4)
    np.testing.assert_array_equal(w2[0], w2[511])
    layouts = json.loads((folder / "layouts.json").read_text())
    expected = {k: tuple(s) for k, s, _ in layouts["hyperstyle_ffhq.pt"]["keys"]}
    same = [k for k in tensors if tensors[k].shape == expected.get(k)]
    assert len(same) > 300


@needs_goldens
def test_small_files_of_the_release():
    folder = GOLDENS / "release"
    assert torch_files.read(folder / "age.pt").shape == (1, 512)
    assert torch_files.read(folder / "cars_pca.pt")["comp"].shape == (80, 1, 512)
    mean, std = torch_files.read(folder / "S_mean_std")
    assert len(mean) == len(std) == 26
    net = torch_files.read(folder / "models_mtcnn" / "pnet.npy")
    assert net["features.conv1.weight"].shape == (10, 3, 3, 3)


def test_legacy_format(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    tensors = {"w": torch_pickles.Tensor(array), "t": torch_pickles.Tensor(array.T)}
    value = read_bytes(tmp_path, torch_pickles.save_legacy({"g_ema": tensors}))
    np.testing.assert_array_equal(value["g_ema"]["w"], array)
    np.testing.assert_array_equal(value["g_ema"]["t"], array.T)


def test_nvidia_networks_without_their_code(tmp_path):
    tensors = {"mapping.fc0.weight": np.ones((2, 3), np.float32)}
    tensors["mapping.w_avg"] = np.zeros(2, np.float32)
    content = torch_pickles.nvidia({"G_ema": ("Generator", tensors)})
    module = read_bytes(tmp_path, content)["G_ema"]
    assert module.class_name == "Generator"
    arrays = module.tensors()
    assert sorted(arrays) == sorted(tensors)
    np.testing.assert_array_equal(arrays["mapping.fc0.weight"], 1)


def test_plain_arrays(tmp_path):
    array = np.arange(6.0).reshape(2, 3)
    for order in ("C", "F"):
        np.save(tmp_path / "x.npy", np.asarray(array, order=order))
        np.testing.assert_array_equal(torch_files.read(tmp_path / "x.npy"), array)
    nested = np.array({"w": array.astype("f4")}, dtype=object)
    np.save(tmp_path / "o.npy", nested, allow_pickle=True)
    np.testing.assert_array_equal(torch_files.read(tmp_path / "o.npy")["w"], array)


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def _tensor_zip(offset=0, shape=(2,), strides=(1,), count=4, size=16):
    """A zip file with one tensor; every number can be wrong."""
    writer = Writer()
    writer.write(np.zeros(count, np.float32))
    out = bytes(writer.out)
    tail = Writer()
    for value in (offset, shape, strides, False):
        tail.write(value)
    head = out[: out.index(b"tQ") + 2]
    program = head + bytes(tail.out[2:]) + b"ccollections\nOrderedDict\n)RtR."
    entries = {"a/data.pkl": program, "a/data/0": b"\0" * size, "a/version": b"3"}
    return make_zip(entries)


def test_a_tensor_inside_its_storage_is_read(tmp_path):
    assert read_bytes(tmp_path, _tensor_zip(offset=2)).shape == (2,)


REFUSED = {
    "empty": (b"", "empty"),
    "html": (b"<!DOCTYPE html><html>Sign in</html>", "HTML"),
    "html after spaces": (b"\n  <html>", "HTML"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
    "json": (b'{"error": "not found"}', "text"),
    "gzip": (b"\x1f\x8b\x08\x00", "packed"),
    "noise": (bytes(range(200, 256)), "no file of PyTorch"),
    "other zip": (make_zip({"readme.txt": b"hello"}), "without data.pkl"),
    "packed": (
        make_zip({"a/data.pkl": b"0" * 10**6}, zipfile.ZIP_DEFLATED),
        "packed or encrypted",
    ),
    "parent folder": (make_zip({"../a/data.pkl": b"N."}), "entry name"),
    "absolute path": (make_zip({"/etc/data.pkl": b"N."}), "entry name"),
    "two roots": (make_zip({"a/data.pkl": b"N.", "b/data.pkl": b"N."}), "data.pkl"),
    "outside": (_tensor_zip(offset=3), "reaches element 4"),
    "far outside": (_tensor_zip(shape=(2, 2), strides=(2**40, 1)), "reaches element"),
    "negative offset": (_tensor_zip(offset=-1), "offset"),
    "negative stride": (_tensor_zip(strides=(-1,)), "strides"),
    "negative size": (_tensor_zip(shape=(-2,)), "shape"),
    "huge by stride 0": (_tensor_zip(shape=(2**40,), strides=(0,)), "too large"),
    "ranks differ": (_tensor_zip(strides=(1, 1)), "strides"),
    "short storage": (_tensor_zip(size=8), "2 of 4"),
    "eval": (b"\x80\x02cbuiltins\neval\n(X\x01\x00\x00\x001tR.", "builtins.eval"),
    "system": (b"\x80\x02cos\nsystem\n(X\x02\x00\x00\x00lstR.", "os.system"),
    "by stack": (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
    "old opcodes": (b"\x80\x02(cos\nsystem\nN.", "os.system"),
    "inst": (b"\x80\x02(X\x02\x00\x00\x00lsios\nsystem\n.", "INST"),
    "tensorflow": (b"\x80\x02cdnnlib.tflib.network\nNetwork\n.", "TensorFlow"),
    "circle": (b"\x80\x02]q\x00h\x00a.", "circle"),
    "deep": (b"\x80\x02" + b"]" * 200 + b"a" * 199 + b".", "deeper"),
    "nested keys": (b"\x80\x02}K\x01\x85\x85K\x02s.", "tuple"),
    "memo far away": (b"\x80\x02Nj\xff\xff\xff\xff.", "damaged"),
    "empty stack": (b"\x80\x02.", "stack"),
    "no end": (b"\x80\x02NNN", "STOP"),
    "claims 4 GB": (b"\x80\x04\x8e" + struct.pack("<Q", 2**32) + b"x.", "expected"),
    "scalar trick": (b"\x80\x02cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R.", ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_reason(tmp_path, name):
    content, reason = REFUSED[name]
    if name == "scalar trick":
        assert isinstance(read_bytes(tmp_path, content), str)
        return
    with pytest.raises(ValueError, match="cannot read .*weights.bin") as error:
        read_bytes(tmp_path, content)
    assert reason in str(error.value)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        torch_files.read(tmp_path / "none.pt")
    with pytest.raises(ValueError, match="cannot read"):
        torch_files.read(tmp_path)


def test_no_code_is_run(tmp_path):
    target = tmp_path / "owned"
    for protocol in range(2, 6):
        with pytest.raises(ValueError, match="open"):
            read_bytes(tmp_path, pickle.dumps(_Evil(target), protocol))
    assert not target.exists()


def test_every_cut_is_noticed(tmp_path):
    torch_files.write(tmp_path / "x.pt", {"w": np.arange(50.0)})
    whole = (tmp_path / "x.pt").read_bytes()
    for length in range(1, len(whole), 41):
        with pytest.raises(ValueError):
            read_bytes(tmp_path, whole[:length])


def test_a_changed_number_is_noticed(tmp_path):
    torch_files.write(tmp_path / "x.pt", {"w": np.full(50, 3.25)})
    content = (tmp_path / "x.pt").read_bytes()
    changed = content.replace(struct.pack("<d", 3.25), struct.pack("<d", 3.5), 1)
    with pytest.raises(ValueError, match="checksum"):
        read_bytes(tmp_path, changed)


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path):
    for value in ({1: object()}, np.array(["text"])):
        with pytest.raises(ValueError, match="cannot be written"):
            torch_files.write(tmp_path / "x.pt", value)
    assert not list(tmp_path.iterdir())


def corpus(tmp_path) -> list[bytes]:
    small = {"a": np.arange(6, dtype=np.float32), "opts": {"lr": 0.1, "l": [1, (2,)]}}
    torch_files.write(tmp_path / "x.pt", small)
    tensors = {"mapping.fc0.weight": np.ones((2, 3), np.float32)}
    np.save(tmp_path / "x.npy", np.arange(4.0))
    np.save(tmp_path / "o.npy", np.array(small, dtype=object), allow_pickle=True)
    return [
        (tmp_path / "x.pt").read_bytes(),
        torch_pickles.save_legacy({"w": torch_pickles.Tensor(np.ones((2, 2)))}),
        torch_pickles.nvidia({"G_ema": ("Generator", tensors)}),
        (tmp_path / "x.npy").read_bytes(),
        (tmp_path / "o.npy").read_bytes(),
        pickle.dumps([np.ones(3, "f4"), np.float64(2), {"k": (1, 2)}], 4),
    ]


def mutate(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        i, j = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        kind = rng.randrange(6)
        if kind == 0 and i < len(data):
            data[i] = rng.randrange(256)
        elif kind == 1 and i < len(data):
            data[i] ^= 1 << rng.randrange(8)
        elif kind == 2:
            data[i : min(j, i + 8)] = b""
        elif kind == 3:
            data[i:i] = data[i : min(j, i + 32)]
        elif kind == 4:
            data[i:i] = rng.choice(
                (b"\xff" * 8, b"\x00" * 4, b"r\xff\xff\xff\x7f", b"2")
            )
        elif rng.random() < 0.2:
            data = data[: max(i, 1)]
    return bytes(data)


def rewrap(content: bytes, rng: random.Random) -> bytes:
    """A zip file whose program is mutated and whose checksums are right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {n: archive.read(n) for n in archive.namelist()}
    name = rng.choice(sorted(entries))
    entries[name] = mutate(entries[name], rng)
    return make_zip(entries)


def fuzz(tmp_path, rounds):
    files, rng, accepted = corpus(tmp_path), random.Random(0), 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for i in range(rounds):
        content = files[i % len(files)]
        zipped = content.startswith(b"PK") and i % 4
        changed = rewrap(content, rng) if zipped else mutate(content, rng)
        try:
            read_bytes(tmp_path, changed or b"x")
            accepted += 1
        except ValueError as error:
            assert str(error).startswith("cannot read")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000, f"{grown} kB"
    assert 0 < accepted < rounds / 2


def test_mutated_files_raise_only_the_documented_error(tmp_path):
    fuzz(tmp_path, 600)


@pytest.mark.slow
def test_many_mutated_files(tmp_path):
    fuzz(tmp_path, 12_000)
