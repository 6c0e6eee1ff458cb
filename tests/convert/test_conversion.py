import json

import jax
import networks
import numpy as np
import pytest
import torch_pickles

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
from hyperstyle_jax.convert.layouts import Constant, Rule
from hyperstyle_jax.inversion import storage
from hyperstyle_jax.inversion.hyperstyle import Refinement
from hyperstyle_jax.models.discriminator import Discriminator
from hyperstyle_jax.models.encoders import StyleEncoder, WEncoder
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.hypernet import Hypernet, tuned_layers
from hyperstyle_jax.models.irnet import FaceNet
from hyperstyle_jax.models.lpips import LPIPS
from hyperstyle_jax.models.mtcnn import ONet, PNet, RNet
from hyperstyle_jax.models.resnet import ResNet
from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.weights import bundle, specs

SIZE = 16
SMALL = {"widths": (4, 8), "depths": (1, 2)}


def make(module, size=SIZE, channels=3, scale=1.0):
    inputs = specs.default_inputs(module, size)
    if isinstance(module, StyleEncoder):
        inputs = [(size, size, channels)]
    return networks.random_net(module, 0, inputs, scale)


def generator(**fields):
    widths = {"channel_base": 64, "channel_max": 8}
    return make(Generator(SIZE, z_dim=4, w_dim=8, **widths, **fields))


def encoder(**fields):
    return make(StyleEncoder(6, w_dim=8, **SMALL, **fields), SIZE, 6)


def hypernet(**fields):
    module = Hypernet(
        tuned_layers(generator().module, **fields),
        **SMALL, embedding_dim=8, inner=4, inner_shared=5, hidden=6,
    )  # fmt: skip
    return make(module)


def hyperstyle(**fields):
    nets = {"generator": generator(), "hypernet": hypernet(**fields)}
    value = official.contents(nets).files["hypernet"]
    value["opts"] |= {"n_iters_per_batch": 3, "device": "cuda:0"}
    return value | {"global_step": 7, "best_val_loss": None}


def encoder_file(net):
    nets = {"generator": generator(), "encoder": net}
    value = official.contents(nets).files["encoder"]
    value["latent_avg"] = np.repeat(value["latent_avg"][:1], 6, 0)
    return value


def stylegan2():
    pair = {"generator": generator(), "discriminator": discriminator()}
    value = official.contents(pair).files["generator"]
    return value | {"g": value["g_ema"], "args": {"size": SIZE}}


def discriminator():
    return make(Discriminator(SIZE, channel_base=64, channel_max=8))


def face_net(**fields):
    return make(FaceNet(**SMALL, embedding=8, **fields), 112)


def moco():
    trunk = official.tensors(make(ResNet(**SMALL, bottleneck=True)))
    extra = {"module.encoder_q.fc.0.weight": np.ones((2, 2), np.float32)}
    named = {f"module.encoder_q.{k}": v for k, v in trunk.items()}
    return {"state_dict": named | extra, "epoch": 800}


def lpips():
    tensors = official.tensors(make(LPIPS("squeeze"), 64))
    return tensors | {"classifier.1.bias": np.ones(3, np.float32)}


VALUES = {
    "hyperstyle": ("hyperstyle", hyperstyle),
    "hyperstyle with toRGB": ("hyperstyle", lambda: hyperstyle(to_rgb=True)),
    "hyperstyle separable": ("hyperstyle", lambda: hyperstyle(separable=True)),
    "hyperstyle, few layers": ("hyperstyle", lambda: hyperstyle(preset="medium_fine")),
    "w-encoder": ("w-encoder", lambda: encoder_file(make(WEncoder(8, **SMALL)))),
    "psp": ("psp", lambda: encoder_file(pyramid())),
    "e4e": ("e4e", lambda: encoder_file(pyramid(progressive=True))),
    "restyle-psp": ("restyle-psp", lambda: encoder_file(encoder(pyramid=False))),
    "restyle-e4e": (
        "restyle-e4e",
        lambda: encoder_file(
            encoder(pyramid=False, progressive=True, trunk="resnet"),
        ),
    ),
    "stylegan2": ("stylegan2", stylegan2),
    "arcface": ("arcface", lambda: official.tensors(face_net())),
    "curricularface": (
        "curricularface",
        lambda: official.tensors(face_net(squeeze_excite=False, affine=False)),
    ),
    "resnet": ("resnet", lambda: official.tensors(make(ResNet(**SMALL)))),
    "moco": ("moco", moco),
    "lpips": ("lpips", lpips),
    "pnet": ("mtcnn", lambda: official.tensors(make(PNet()))),
    "rnet": ("mtcnn", lambda: official.tensors(make(RNet()))),
    "onet": ("mtcnn", lambda: official.tensors(make(ONet()))),
    "direction": ("direction", lambda: np.ones((1, 16), np.float32)),
    "ganspace": (
        "ganspace",
        lambda: {
            "mean": np.zeros((1, 8), np.float32),
            "std": np.ones(3, np.float32),
            "comp": np.eye(3, 8, dtype=np.float32)[:, None],
        },
    ),
}


def pyramid(**fields):
    small = {"widths": (4, 8, 12, 8), "depths": (1, 1, 1, 1)}
    return make(StyleEncoder(6, w_dim=8, **small, **fields), 32, 3)


def numpy_values(value):
    """JAX's arrays as NumPy's, dicts in their order."""
    if isinstance(value, dict):
        return {k: numpy_values(v) for k, v in value.items()}
    return np.asarray(value) if isinstance(value, jax.Array) else value


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
        expected, found = (
            trees.flatten(net.variables),
            trees.flatten(made.nets[role].variables),
        )
        assert sorted(found) == sorted(expected)
        for path in expected:
            np.testing.assert_array_equal(found[path], expected[path], path)
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
    found = net.variables["buffers"]["mapping"]["w_avg"]
    np.testing.assert_allclose(found, expected, atol=0.3)
    assert float(abs(found).max()) > 0
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


@pytest.mark.parametrize(
    "value, reason",
    [
        ({"weights": np.zeros(3, np.float32)}, "no known kind of weights: a dict of 1"),
        ([1, 2], "no known kind of weights: a list"),
        ({"g_ema": {"style.1.weight": np.zeros((4, 4), "f4")}}, "conv1.conv"),
        ({"G_ema": {"mapping.embed.weight": np.zeros((4, 4), "f4")}}, "class labels"),
    ],
)
def test_unknown_content_is_described(tmp_path, value, reason):
    torch_files.write(tmp_path / "x.pt", value)
    with pytest.raises(ValueError, match="x.pt") as error:
        conversion.read(tmp_path / "x.pt")
    assert reason in str(error.value)


def test_the_kind_can_be_given_and_is_checked(tmp_path):
    value = encoder_file(pyramid())
    del value["opts"]
    torch_files.write(tmp_path / "x.pt", value)
    with pytest.raises(ValueError, match="--kind psp or e4e"):
        conversion.read(tmp_path / "x.pt")
    assert conversion.read(tmp_path / "x.pt", "e4e").source.kind == "e4e"
    with pytest.raises(ValueError, match="it is stylegan2, not moco"):
        torch_files.write(tmp_path / "y.pt", official.generator_contents(generator()))
        conversion.read(tmp_path / "y.pt", "moco")


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


LAYOUTS = {
    "o i h w -> h w i o": ((2, 3, 4, 5), (4, 5, 3, 2), {}),
    "1 c 1 1 -> c": ((1, 6, 1, 1), (6,), {}),
    "1 ->": ((1,), (), {}),
    "(o i) c 1 1 -> c i o": ((6, 4, 1, 1), (4, 3, 2), {"o": 2, "i": 3}),
    "e (c h w) -> (h w c) e": ((5, 24), (24, 5), {"h": 2, "w": 3}),
    "l* d -> d": ((3, 4), (4,), {"l": 3}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_followed_both_ways(layout):
    shape, ours, sizes = LAYOUTS[layout]
    table = [Rule("t", "params/t", layout, sizes)]
    assert layouts.official_shapes(table, {"params/t": ours}) == {"t": shape}
    tensor = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    if "*" in layout:
        tensor = np.repeat(tensor[:1], shape[0], 0)
    found = layouts.apply(table, {"params/t": ours}, {"t": tensor}, "test")
    assert found["params/t"].shape == ours
    np.testing.assert_array_equal(layouts.invert(table, found)["t"], tensor)


def test_axes_go_where_the_layout_says():
    table = [Rule("t", "p", "e (c h w) -> (h w c) e", {"h": 2, "w": 3})]
    tensor = np.arange(5 * 24).reshape(5, 24)
    found = layouts.apply(table, {"p": (24, 5)}, {"t": tensor}, "test")["p"]
    h, w, c, e = 1, 2, 3, 4
    assert found[(h * 3 + w) * 4 + c, e] == tensor[e, (c * 2 + h) * 3 + w]


def test_rows_that_should_be_equal():
    table = [Rule("t", "p", "l* d -> d", {"l": 2})]
    with pytest.raises(ValueError, match="t: rows"):
        layouts.apply(table, {"p": (2,)}, {"t": np.eye(2)}, "test")


def test_constants_may_be_missing_and_are_written():
    table = [Constant("c", np.ones(2)), Rule("t", "p")]
    assert layouts.apply(table, {"p": (1,)}, {"t": np.zeros(1)}, "test").keys() == {"p"}
    assert sorted(layouts.invert(table, {"p": np.zeros(1)})) == ["c", "t"]


def test_info_is_json(tmp_path):
    convert(tmp_path, hyperstyle())
    assert json.loads((tmp_path / "bundle" / "bundle.json").read_text())


def mangle(value, rng):
    """One tensor of the file lost, renamed, reshaped or replaced by something else."""
    groups = [v for v in value.values() if isinstance(v, dict) and len(v) > 3]
    group = groups[rng.integers(len(groups))] if groups else value
    name = sorted(group)[rng.integers(len(group))]
    kind = rng.integers(5)
    if kind == 0:
        del group[name]
    elif kind == 1:
        group[name + ".x"] = group.pop(name)
    elif kind == 2:
        shape = rng.integers(0, 9, rng.integers(0, 6))
        group[name] = np.zeros(shape, np.float32)
    elif kind == 3:
        group[name] = np.broadcast_to(np.float32(0), (2**20, 2**9))
    else:
        group[name] = ["text", 3, None, {}, []][rng.integers(5)]


@pytest.mark.parametrize("name", ["hyperstyle", "e4e", "stylegan2", "arcface", "lpips"])
def test_mangled_files_are_recognized_or_refused(name):
    rng, original = np.random.default_rng(0), VALUES[name][1]()
    refused = 0
    for _ in range(200):
        value = {k: dict(v) if isinstance(v, dict) else v for k, v in original.items()}
        for _ in range(rng.integers(1, 4)):
            mangle(value, rng)
        try:
            kinds.recognize(value)
        except ValueError:
            refused += 1
    assert 0 < refused < 200


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
