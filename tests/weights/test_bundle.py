"""Bundles: there and back, whole or not at all, and what is refused."""

import json
import shutil

import jax
import numpy as np
import pytest
from networks import tiny_generator

from hyperstyle_jax import trees
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.weights import bundle, safetensors_reader, specs, stored_arrays

TINY = tiny_generator().module


@pytest.fixture(scope="module")
def net():
    return tiny_generator()


@pytest.fixture
def folder(tmp_path, net):
    path = tmp_path / "mine"
    direction = np.linspace(-1, 1, 6, dtype=np.float32)
    bundle.save(
        path, {"generator": net}, info={"licence": "MIT"}, directions={"up": direction}
    )
    return path


def same(a, b):
    a, b = trees.flatten(a), trees.flatten(b)
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def doubled(net):
    return net.with_params(jax.tree.map(lambda x: 2 * x, net.params))


def edit_json(folder, change):
    manifest = json.loads((folder / "bundle.json").read_text())
    change(manifest)
    (folder / "bundle.json").write_text(json.dumps(manifest))


def test_load_gives_back_what_was_saved(folder, net):
    loaded = bundle.load(folder)
    assert loaded.nets["generator"].module == TINY
    assert same(loaded.nets["generator"].variables, net.variables)
    assert np.array_equal(loaded.direction("up"), np.linspace(-1, 1, 6, dtype="f4"))
    assert loaded.info == {"licence": "MIT", "image_size": 8}


def test_the_file_names_parameters_by_path(folder):
    names = safetensors_reader.shapes(folder / "generator.safetensors")
    assert "params/synthesis/b8/conv0/weight" in names
    assert "buffers/mapping/w_avg" in names


def test_the_id_names_the_networks_and_not_the_directions(tmp_path, folder, net):
    again = bundle.save(tmp_path / "again", {"generator": net})
    assert again == bundle.load(folder).id
    assert bundle.save(tmp_path / "other", {"generator": doubled(net)}) != again


def test_float16_halves_the_file_and_loads_as_float32(tmp_path, folder, net):
    half = tmp_path / "half"
    bundle.save(half, {"generator": net}, dtype={"generator": "float16"})
    params = trees.flatten(bundle.load(half).nets["generator"].params)
    for name, value in trees.flatten(net.params).items():
        assert params[name].dtype == np.float32
        expected = np.asarray(value).astype(np.float16).astype(np.float32)
        assert np.array_equal(params[name], expected)
    sizes = [(f / "generator.safetensors").stat().st_size for f in (half, folder)]
    assert sizes[0] < 0.8 * sizes[1]


def test_values_beyond_float16_and_nan_are_refused(tmp_path, net):
    for value, reason in ((1e6, "overflows float16"), (np.nan, "is not finite")):
        params = jax.tree.map(lambda x: x, net.params)
        params["synthesis"]["b4"]["const"] = np.full((4, 4, 8), value, np.float32)
        with pytest.raises(ValueError, match=reason):
            nets = {"generator": net.with_params(params)}
            bundle.save(tmp_path / "bad", nets, dtype="float16")
        assert list(tmp_path.iterdir()) == []


def test_a_failed_save_keeps_the_old_bundle(folder, net, monkeypatch):
    before = bundle.load(folder)

    def full_disk(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stored_arrays, "save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        bundle.save(folder, {"generator": doubled(net)})
    after = bundle.load(folder)
    assert after.id == before.id and list(folder.parent.iterdir()) == [folder]


def test_other_directions_leave_the_networks_alone(folder, net):
    before, data = bundle.load(folder), (folder / "generator.safetensors").read_bytes()
    assert bundle.set_directions(folder, {"down": np.ones(6)}) == before.id
    after = bundle.load(folder)
    assert set(after.directions) == {"down"} and after.info == before.info
    assert (folder / "generator.safetensors").read_bytes() == data
    bundle.set_directions(folder, {})
    assert bundle.load(folder).directions == {}
    assert not (folder / "directions.safetensors").exists()


def test_saving_again_replaces_the_bundle_whole(folder, net):
    bundle.save(folder, {"generator": net})
    assert bundle.load(folder).directions == {}
    assert not (folder / "directions.safetensors").exists()


def test_a_folder_of_something_else_is_never_replaced(tmp_path, net):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="not a bundle"):
        bundle.save(tmp_path, {"generator": net})
    assert (tmp_path / "thesis.tex").exists()


def test_one_changed_byte_is_noticed(folder):
    file = folder / "generator.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"generator\.safetensors is damaged.*again"):
        bundle.load(folder)


def test_another_architecture_is_refused_with_both_lists(folder):
    edit_json(
        folder, lambda m: m["networks"]["generator"]["module"].update(resolution=16)
    )
    with pytest.raises(ValueError, match="− params/synthesis/b16/conv0") as error:
        bundle.load(folder)
    assert "generator.safetensors" in str(error.value)
    module = specs.spec(TINY) | {"num_mapping_layers": 7}
    edit_json(folder, lambda m: m["networks"]["generator"].update(module=module))
    with pytest.raises(ValueError, match=r"\+ params/mapping/fc7"):
        bundle.load(folder)


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "", "..", 3, None]
)
def test_path_tricks_are_refused(folder, name):
    edit_json(folder, lambda m: m["networks"]["generator"].update(file=name))
    with pytest.raises(ValueError, match=r"bundle\.json is not valid"):
        bundle.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("networks"),
        lambda m: m.update(networks=[]),
        lambda m: m.update(version=99),
        lambda m: m.update(files={}),
        lambda m: m.update(info=None),
        lambda m: m["info"].update(image_size="big"),
        lambda m: m["info"].update(image_size=[64]),
        lambda m: m["networks"]["generator"].pop("module"),
        lambda m: m["networks"]["generator"].update(inputs=[["4"]]),
        lambda m: m["networks"]["generator"]["module"].update({"class": "Popen"}),
    ],
)
def test_damaged_manifests_are_refused(folder, change):
    edit_json(folder, change)
    with pytest.raises(ValueError, match=r"bundle\.json is not valid"):
        bundle.load(folder)


@pytest.mark.parametrize("field", [{"resolution": 9}, {"resolution": "8"}])
def test_senseless_fields_are_refused_in_one_error(folder, field):
    edit_json(folder, lambda m: m["networks"]["generator"]["module"].update(field))
    with pytest.raises(ValueError, match="cannot build Generator"):
        bundle.load(folder)


def test_no_bundle_no_file_no_json(tmp_path, folder):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ValueError, match="is not a bundle"):
            bundle.load(path)
    (folder / "generator.safetensors").unlink()
    with pytest.raises(ValueError, match="is missing"):
        bundle.load(folder)
    (folder / "bundle.json").write_text("<html>")
    with pytest.raises(ValueError, match="is not valid"):
        bundle.load(folder)


def test_a_file_that_is_no_safetensors_is_refused(folder):
    shutil.copy(folder / "bundle.json", folder / "generator.safetensors")
    sha = atomic_files.sha256(folder / "generator.safetensors")
    edit_json(folder, lambda m: m["files"]["generator.safetensors"].update(sha256=sha))
    with pytest.raises(ValueError, match="is not a safetensors file"):
        bundle.load(folder)


def test_missing_roles_and_directions_are_named(folder):
    loaded = bundle.load(folder)
    with pytest.raises(ValueError, match="no encoder and no hypernet"):
        loaded.require("encoder", "hypernet", "generator")
    with pytest.raises(ValueError, match="no edit direction 'smile'.*up"):
        loaded.direction("smile")
