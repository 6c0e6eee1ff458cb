"""Zip archives: any name of an entry is read, tricks and other archives are not."""

import io
import zipfile

import numpy as np
import pytest

from hyperstyle_jax.convert import reading
from hyperstyle_jax.torch_format import files as torch_files


def renamed(path, root: str) -> bytes:
    """A file of PyTorch as `torch.save` to ROOT.pt writes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for entry in source.infolist():
            name = entry.filename.replace("archive/", root, 1)
            target.writestr(name, source.read(entry))
    return out.getvalue()


@pytest.fixture
def file(tmp_path):
    torch_files.write(tmp_path / "a.pt", {"w": np.arange(3.0)})
    return tmp_path / "a.pt"


NAMES = (
    "2024-01-02 10:30:00/", "gen..best/", "C:model/", "ünï 名/", "-rf */", "a\nb/",
    "...../", ".hidden/", "x" * 200 + "/", "a/b/", "",
)  # fmt: skip


@pytest.mark.parametrize("root", NAMES)
def test_any_name_of_the_file_is_read(file, root):
    file.write_bytes(renamed(file, root))
    np.testing.assert_array_equal(torch_files.read(file)["w"], np.arange(3.0))


@pytest.mark.parametrize("root", ["../", "/", "a/../", "\\\\host\\", "..\\x/", "a/.."])
def test_names_that_lead_out_of_the_archive_are_refused(file, root):
    root = root if root.endswith(("/", "\\")) else f"{root}/"
    file.write_bytes(renamed(file, root))
    with pytest.raises(ValueError, match="leads out of the archive"):
        torch_files.read(file)


def archive(entries, packing=zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as target:
        for name, content in entries:
            target.writestr(name, content)
    return out.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names, says",
    [
        (["bundle.json"], "packed bundle"),
        (["x/code/__torch__.py", "x/constants.pkl"], "TorchScript.*torch.jit.load"),
        ([".data/extern_modules", "x/y.py"], "torch.package"),
        (["config.json", "model.weights.h5"], "Keras"),
        (["m/archive_format", "m/models/model.json"], "torch.export"),
        (["folder/generator.pt", "readme"], "'folder/generator.pt' inside: unpack"),
        (["word/document.xml"], "without data.pkl.*document.xml"),
        ([], "zip file"),
        (["a/data.pkl", "a/data.pkl"], "twice"),
    ],
)
def test_other_archives_are_named(tmp_path, names, says):
    (tmp_path / "x.pt").write_bytes(archive([(name, b"N.") for name in names]))
    with pytest.raises(ValueError, match=says):
        torch_files.read(tmp_path / "x.pt")


def test_the_weights_of_a_program_are_read_and_its_code_is_not(tmp_path):
    """A TorchScript archive, in which a network is an object of a class of its own."""
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n"
        b"FloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x03tQK\x00"
        b"K\x03\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"
    )
    inner = b"c__torch__.nn\nNorm\n)\x81}(X\x06\x00\x00\x00weight" + tensor + b"ub"
    program = b"\x80\x02c__torch__\nModel\n)\x81}(X\x08\x00\x00\x00training\x88"
    program += b"X\x04\x00\x00\x00bias" + tensor + b"X\x04\x00\x00\x00norm" + inner
    path = tmp_path / "x.pt"
    values = np.array([1, 2, 3], "<f4")
    path.write_bytes(
        archive([("x/data.pkl", program + b"ub."), ("x/data/0", values.tobytes())])
    )
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as target:
        target.writestr("x/code/__torch__.py", "raise SystemExit" * 100)
        target.writestr("x/constants.pkl", b"N.")
    tensors = reading.read(path)
    assert tensors.keys() == {"bias", "norm.weight"}
    for tensor in tensors.values():
        np.testing.assert_array_equal(tensor, values)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_read(tmp_path, save):
    arrays = {"a": np.arange(6, dtype="f4").reshape(2, 3), "b": np.array([1, 2])}
    save(tmp_path / "x.npz", names=np.array(["p", "q"]), empty=np.zeros(0), **arrays)
    content = torch_files.read(tmp_path / "x.npz")
    for name, array in arrays.items():
        np.testing.assert_array_equal(content[name], array)
    assert content["names"] == ["p", "q"] and content["empty"].shape == (0,)


def test_npz_with_code_or_too_much_in_it_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([print, eval], dtype=object))
    with pytest.raises(ValueError, match="builtins.eval"):
        torch_files.read(tmp_path / "x.npz")
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(2**26, np.uint8))
    with pytest.raises(ValueError, match="would unpack to 67,108,9"):
        torch_files.read(tmp_path / "x.npz")
