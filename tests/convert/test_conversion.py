"""Official files become a bundle, and come back bit for bit."""

import json

import jax
import numpy as np
import pytest
import torch_pickles
from official_files import (
    SIZE,
    SMALL,
    VALUES,
    discriminator,
    encoder_file,
    generator,
    hypernet,
    hyperstyle,
    make,
    mangle,
    numpy_values,
    stylegan2,
)

from hyperstyle_jax import offsets, trees
from hyperstyle_jax.convert import (
    assembling,
    conversion,
    kinds,
    layouts,
    merging,
    official,
    restoring,
)
from hyperstyle_jax.convert.kinds import stylegan2_nvidia
from hyperstyle_jax.inversion import storage
from hyperstyle_jax.inversion.hyperstyle import Refinement
from hyperstyle_jax.models.encoders import WEncoder
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.lpips import LPIPS
from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.weights import bundle


def assert_same(a, b, where=""):
    """Equal values, types and bits."""
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            assert_same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}/{i}")
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape, where
        assert a.tobytes() == b.tobytes(), where
    else:
        assert a == b, where


def convert(tmp_path, value, **options):
    torch_files.write(tmp_path / "source.pt", value)
    options.setdefault("image_size", (SIZE, SIZE))
    quiet = {"log": lambda _: None} | options
    conversion.convert([tmp_path / "source.pt"], tmp_path / "bundle", **quiet)
    return bundle.load(tmp_path / "bundle")


@pytest.mark.parametrize("name", VALUES)
def test_there_and_back_again(tmp_path, name):
    kind, build_value = VALUES[name]
    value = numpy_values(build_value())
    size = (32, 32) if name in ("psp", "e4e") else (SIZE, SIZE)
    made = convert(tmp_path, value, image_size=size)
    assert [s["kind"] for s in made.info["sources"]] == [kind]
    restoring.export(tmp_path / "bundle", tmp_path / "back.pt", log=lambda _: None)
    assert_same(torch_files.read(tmp_path / "back.pt"), value)


def test_networks_come_out_as_they_were(tmp_path):
    made = convert(tmp_path, hyperstyle())
    for role, net in {"generator": generator(), "hypernet": hypernet()}.items():
        assert made.nets[role].module == net.module
        expected, restored = (
            trees.flatten(net.variables),
            trees.flatten(made.nets[role].variables),
        )
        assert sorted(restored) == sorted(expected)
        for path in expected:
            np.testing.assert_array_equal(restored[path], expected[path], path)
    assert made.info["num_iters"] == 3


def test_nvidia_pickle(tmp_path):
    net = generator()
    tensors = {"G_ema": official.generator_contents(net, "nvidia")["G_ema"]}
    table = stylegan2_nvidia.discriminator_table(discriminator().module)
    tensors["D"] = layouts.invert(table, trees.flatten(discriminator().variables))
    content = torch_pickles.nvidia(
        {k: ("Network", jax.tree.map(np.asarray, v)) for k, v in tensors.items()}
    )
    (tmp_path / "network.pkl").write_bytes(content)
    conversion.convert([tmp_path / "network.pkl"], tmp_path / "bundle")
    made = bundle.load(tmp_path / "bundle").nets
    for role, expected in {"generator": net, "discriminator": discriminator()}.items():
        assert made[role].module == expected.module
        jax.tree.map(
            np.testing.assert_array_equal, made[role].variables, expected.variables
        )
    restoring.export(tmp_path / "bundle", tmp_path / "back.pt")
    back = torch_files.read(tmp_path / "back.pt")
    assert sorted(back) == ["D", "G_ema", "training_set_kwargs"]
    for name, tensor in tensors["G_ema"].items():
        np.testing.assert_array_equal(back["G_ema"][name], tensor)


def test_several_files_make_one_bundle(tmp_path):
    torch_files.write(tmp_path / "hyperstyle.pt", hyperstyle())
    first = encoder_file(make(WEncoder(8, **SMALL)))
    torch_files.write(tmp_path / "encoder.pt", first)
    torch_files.write(tmp_path / "smile.pt", np.ones((1, 8), np.float32))
    names = [tmp_path / f"{n}.pt" for n in ("hyperstyle", "encoder", "smile")]
    conversion.convert(names, tmp_path / "all", image_size=(SIZE, SIZE))
    made = bundle.load(tmp_path / "all")
    assert sorted(made.nets) == ["encoder", "generator", "hypernet"]
    assert list(made.directions) == ["smile"]
    restoring.export(tmp_path / "all", tmp_path / "back")
    back = torch_files.read(tmp_path / "back" / "encoder.pt")
    assert_same(back, numpy_values(first))


def test_lpips_from_two_files(tmp_path):
    net = make(LPIPS("squeeze"), 64)
    both = jax.tree.map(np.asarray, official.tensors(net))
    for name in ("lin", "features"):
        part = {k: v for k, v in both.items() if k.startswith(name)}
        torch_files.write(tmp_path / f"{name}.pt", part)
    paths = [tmp_path / "features.pt", tmp_path / "lin.pt"]
    conversion.convert(paths, tmp_path / "bundle")
    (made,) = bundle.load(tmp_path / "bundle").require("lpips")
    jax.tree.map(np.testing.assert_array_equal, made.variables, net.variables)


def test_half_and_double_come_back_in_their_type(tmp_path):
    value = stylegan2()
    del value["g"]
    value["g_ema"]["style.1.weight"] = np.asarray(
        value["g_ema"]["style.1.weight"]
    ).astype(np.float16)
    value["g_ema"]["style.2.weight"] = np.full((8, 8), 0.1)
    value = numpy_values(value)
    convert(tmp_path, value)
    restoring.export(tmp_path / "bundle", tmp_path / "back.pt")
    assert_same(torch_files.read(tmp_path / "back.pt"), value)


def test_a_missing_mean_latent_is_computed_and_stays_missing_outside(tmp_path):
    value = {"g_ema": stylegan2()["g_ema"]}
    made = convert(tmp_path, value)
    net = made.nets["generator"]
    z = np.random.default_rng(1).standard_normal((2000, 4), np.float32)
    expected = net(z, method="mapping").mean(0)
    w_avg = net.variables["buffers"]["mapping"]["w_avg"]
    np.testing.assert_allclose(w_avg, expected, atol=0.3)
    assert float(abs(w_avg).max()) > 0
    restoring.export(tmp_path / "bundle", tmp_path / "back.pt")
    assert list(torch_files.read(tmp_path / "back.pt")) == ["g_ema"]


def test_grey_generators_are_converted(tmp_path):
    net = generator(image_channels=1)
    made = convert(tmp_path, official.generator_contents(net)).nets["generator"]
    assert made.module.image_channels == 1
    jax.tree.map(np.testing.assert_array_equal, made.variables, net.variables)


def change(value, remove=(), **put):
    state = {k: v for k, v in value["state_dict"].items() if k not in remove}
    return value | {
        "state_dict": state | {k.replace("__", "."): v for k, v in put.items()}
    }


def test_what_does_not_fit_is_listed_with_its_official_name(tmp_path):
    block = "hypernet.refinement_blocks.0.linear."
    odd = change(
        hyperstyle(),
        [f"{block}bias"],
        hypernet__fancy=np.zeros(3, np.float32),
        **{"hypernet__relu__weight": np.zeros(9, np.float32)},
    )
    with pytest.raises(ValueError) as error:
        convert(tmp_path, odd)
    text = str(error.value)
    assert "− refinement_blocks.0.linear.bias (8,)" in text
    assert "+ fancy (3,)" in text
    assert "≠ relu.weight (9,), expected (4,)" in text
    assert not (tmp_path / "bundle").exists()


def test_aliases_must_agree(tmp_path):
    name = "hypernet.refinement_blocks.0.hypernet.w1"
    value = hyperstyle()
    changed = np.asarray(value["state_dict"][name]) + 1
    value["state_dict"] = value["state_dict"] | {name: changed}
    with pytest.raises(ValueError, match="should be equal"):
        convert(tmp_path, value)


def test_another_image_size_is_noticed(tmp_path):
    with pytest.raises(ValueError, match="for images of 256x256"):
        convert(tmp_path, hyperstyle(), image_size=(256, 256))


def test_different_generators_are_refused(tmp_path):
    torch_files.write(tmp_path / "a.pt", official.generator_contents(generator()))
    other = make(Generator(8, z_dim=4, w_dim=8, channel_base=64, channel_max=8))
    torch_files.write(tmp_path / "b.pt", official.generator_contents(other))
    with pytest.raises(ValueError, match="a different generator each"):
        conversion.convert([tmp_path / "a.pt", tmp_path / "b.pt"], tmp_path / "out")


@pytest.mark.parametrize("layout", ["rosinality", "nvidia"])
def test_a_merged_generator_renders_the_inversion(tmp_path, layout):
    convert(tmp_path, hyperstyle())
    made = bundle.load(tmp_path / "bundle")
    net = made.nets["generator"]
    rng = np.random.default_rng(0)
    embeddings = {
        layer.path: rng.normal(size=(1, 8)).astype("f4")
        for layer in made.nets["hypernet"].module.tuned_layers
    }
    w = rng.normal(size=(1, 8)).astype("f4")
    w_plus = np.repeat(w[:, None], 6, 1)
    compact = Refinement(w_plus, offsets.LayerEmbeddings(embeddings, 2), None)
    storage.save(tmp_path / "photo.npz", compact, 0, made)
    merging.merge(
        tmp_path / "bundle", tmp_path / "photo.npz", tmp_path / "m.pt", layout
    )
    full = storage.restore(made, [storage.load(tmp_path / "photo.npz")])
    expected = offsets.synthesize(net, full)
    name = {"rosinality": "g_ema", "nvidia": "G_ema"}[layout]
    value = torch_files.read(tmp_path / "m.pt")
    np.testing.assert_array_equal(value["w_plus"], np.repeat(w, 6, 0))
    single = {k: v for k, v in value.items() if k in (name, "latent_avg")}
    source = kinds.recognize(single)
    merged = assembling.assemble([assembling.File("m", single, source)])
    image = merged.nets["generator"](full.w_plus, method="synthesis")
    np.testing.assert_allclose(image, expected, atol=1e-4)


def test_own_learning_rate_of_the_mapping_is_worked_in():
    net = generator(mapping_lr_mul=1.0)
    value = official.generator_contents(net)
    made = assembling.assemble([assembling.File("m", value, kinds.recognize(value))])
    z = np.random.default_rng(0).normal(size=(3, 4)).astype("f4")
    np.testing.assert_allclose(
        made.nets["generator"](z, method="mapping"), net(z, method="mapping"), rtol=1e-4
    )


def test_info_is_json(tmp_path):
    convert(tmp_path, hyperstyle())
    assert json.loads((tmp_path / "bundle" / "bundle.json").read_text())


@pytest.mark.parametrize("name", ["hyperstyle", "stylegan2"])
def test_mangled_files_are_converted_or_refused(name):
    rng, original = np.random.default_rng(1), VALUES[name][1]()
    for _ in range(4):
        value = {k: dict(v) if isinstance(v, dict) else v for k, v in original.items()}
        mangle(value, rng)
        try:
            file = assembling.File("x", value, kinds.recognize(value))
            assembling.assemble([file], (SIZE, SIZE))
        except ValueError:
            pass
