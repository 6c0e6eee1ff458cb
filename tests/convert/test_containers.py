"""The same networks in whatever published files wrap them; and what files may lack."""

import functools
import os
import pickle
import re

import jax
import networks
import numpy as np
import pytest
import torch_pickles

from hyperstyle_jax import trees
from hyperstyle_jax.convert import (
    assembling,
    containers,
    defaults,
    kinds,
    notes,
    official,
    reading,
)
from hyperstyle_jax.models.discriminator import Discriminator
from hyperstyle_jax.models.encoders import StyleEncoder, WEncoder
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.hypernet import Hypernet, tuned_layers
from hyperstyle_jax.models.resnet import ResNet
from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.weights import safetensors_writer

SIZE = 16


def as_numpy(value):
    if isinstance(value, dict):
        return {k: as_numpy(v) for k, v in value.items()}
    return np.asarray(value) if isinstance(value, jax.Array) else value


@pytest.fixture(autouse=True)
def quick_mean(monkeypatch):
    """Another test has the mean of ten thousand latents."""
    mean = functools.partial(np.full, 6, 0.25, np.float32)
    monkeypatch.setattr(defaults, "mean_latent", lambda generator: mean())


@pytest.fixture(scope="module")
def nets():
    small = {"channel_base": 64, "channel_max": 8}
    generator = Generator(SIZE, z_dim=4, w_dim=6, **small)
    trunk, inputs = {"widths": (4, 4), "depths": (1, 1)}, [(SIZE, SIZE, 3)]
    inner = {"embedding_dim": 5, "inner": 4, "inner_shared": 4, "hidden": 4}
    hypernet = Hypernet(tuned_layers(generator), **trunk, **inner)
    return {
        "generator": networks.random_net(generator),
        "discriminator": networks.random_net(Discriminator(SIZE, **small)),
        "encoder": networks.random_net(WEncoder(6, **trunk), 0, inputs),
        "hypernet": networks.random_net(hypernet, 0, inputs * 2),
    }


@pytest.fixture(scope="module")
def published(nets):
    """The official files' contents."""
    files = as_numpy(official.contents(nets).files)
    nvidia = as_numpy(official.generator_contents(nets["generator"], "nvidia"))
    return files | {"nvidia": nvidia["G_ema"]}


def converted(value):
    source = kinds.recognize(containers.plain(value))
    lines = []
    file = assembling.File("x", value, source)
    return assembling.assemble([file], (SIZE, SIZE), lines.append), lines


def assert_same(net, expected, without=()):
    """Equal arrays but for those that the file lacks."""
    assert net.module == expected.module
    arrays, wanted = trees.flatten(net.variables), trees.flatten(expected.variables)
    assert arrays.keys() == wanted.keys()
    for path, array in wanted.items():
        if not path.endswith(without):
            np.testing.assert_array_equal(arrays[path], array, path)


def prefixed(tensors, prefix):
    return {f"{prefix}{k}": v for k, v in tensors.items()}


def lightning(f):
    averaged = prefixed(f["generator"]["g_ema"], "G_ema.")
    raw = {k: v + 1 for k, v in prefixed(f["generator"]["g_ema"], "G.").items()}
    state = raw | averaged | prefixed(f["generator"]["d"], "D.")
    return {"state_dict": state, "epoch": 3, "hyper_parameters": {"lr": 0.1}}


def params_ema(f):
    averaged = f["generator"]["g_ema"]
    return {"params": {k: v + 1 for k, v in averaged.items()}, "params_ema": averaged}


WRAPPED = {
    "bare": lambda f: f["generator"]["g_ema"],
    "DataParallel": lambda f: {"g_ema": prefixed(f["generator"]["g_ema"], "module.")},
    "bare DataParallel": lambda f: prefixed(f["generator"]["g_ema"], "module."),
    "compiled": lambda f: prefixed(f["generator"]["g_ema"], "_orig_mod.module."),
    "model_state_dict": lambda f: {"model_state_dict": f["generator"]["g_ema"]},
    "two levels": lambda f: {"ema": {"shadow": f["generator"]["g_ema"], "decay": 0.9}},
    "only g": lambda f: {"g": f["generator"]["g_ema"], "g_optim": {"state": {}}},
    "as a part": lambda f: prefixed(f["generator"]["g_ema"], "decoder."),
    "latent inside": lambda f: (
        f["generator"]["g_ema"] | {"latent_avg": f["generator"]["latent_avg"]}
    ),
    "mean_latent": lambda f: {
        "generator": f["generator"]["g_ema"],
        "mean_latent": f["generator"]["latent_avg"][None],
    },
    "in a list": lambda f: [f["generator"]["g_ema"], {"epoch": 3}],
    "Lightning": lightning,
    "params_ema": params_ema,
    "NVIDIA, bare": lambda f: f["nvidia"],
    "NVIDIA's layout under g_ema": lambda f: {"g_ema": f["nvidia"]},
    "rosinality's layout under G_ema": lambda f: {"G_ema": f["generator"]["g_ema"]},
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_generator_is_the_same_in_any_wrapping(published, nets, name):
    made, lines = converted(WRAPPED[name](published))
    lacks = ("w_avg",) if any("no mean latent" in line for line in lines) else ()
    assert_same(made.nets["generator"], nets["generator"], lacks)


@pytest.mark.parametrize("name", WRAPPED)
def test_wrapped_files_come_back_as_they_were(published, name):
    value = WRAPPED[name](published)
    made, _ = converted(value)
    arrays = {role: trees.flatten(net.variables) for role, net in made.nets.items()}
    # Notes stand in place of the networks' tensors, which are not kept twice.
    assert str(made.official).count(notes.NOTE) >= 30
    back = notes.restore(made.official, arrays)["x"]
    jax.tree.map(np.testing.assert_array_equal, back, value)


def test_a_trainers_generators_and_discriminator_are_told_apart(published, nets):
    made, _ = converted(lightning(published))
    assert set(made.nets) == {"generator", "generator_raw", "discriminator"}
    jax.tree.map(
        np.testing.assert_array_equal,
        made.nets["discriminator"].variables,
        nets["discriminator"].variables,
    )


@pytest.mark.parametrize("role", ["hypernet", "encoder"])
@pytest.mark.parametrize("prefix", ["", "module.", "net."])
def test_bare_state_dicts_of_checkpoints(published, nets, role, prefix):
    state = published[role]["state_dict"]
    value = {"latent_avg": published[role]["latent_avg"], **prefixed(state, prefix)}
    made, _ = converted(value)
    assert set(made.nets) == {role, "generator"}
    params, expected = made.nets[role].params, nets[role].params
    jax.tree.map(np.testing.assert_array_equal, params, expected)


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "_orig_mod.net."])
def test_other_networks_in_a_trainers_file(prefix):
    net = networks.random_net(ResNet((4, 8), (1, 1)), 0, [(SIZE, SIZE, 3)])
    tensors = prefixed(as_numpy(official.tensors(net)), prefix)
    for value in (tensors, {"state_dict": tensors, "epoch": 3}, {"model": tensors}):
        made, _ = converted(value)
        variables = made.nets["resnet"].variables
        jax.tree.map(np.testing.assert_array_equal, variables, net.variables)


@pytest.mark.parametrize("in_dict", [True, False])
def test_whole_networks_of_both_layouts(tmp_path, published, nets, in_dict):
    for tensors in (published["generator"]["g_ema"], published["nvidia"]):
        with torch_pickles.fake_torch():
            network = torch_pickles.Network(tensors)
            value = {"g_ema": network, "epoch": 3} if in_dict else network
            (tmp_path / "pti.pt").write_bytes(pickle.dumps(value, 2))
        made, _ = converted(reading.read(tmp_path / "pti.pt"))
        assert_same(made.nets["generator"], nets["generator"], ("w_avg",))


@pytest.mark.parametrize("prefix", ["", "g_ema.", "module."])
def test_safetensors(tmp_path, published, nets, prefix):
    tensors = prefixed(published["generator"]["g_ema"], prefix)
    lazy = {
        k: safetensors_writer.Lazy(v.shape, v.dtype, lambda v=v: v)
        for k, v in tensors.items()
    }
    safetensors_writer.save_file(lazy, tmp_path / "x.safetensors")
    made, _ = converted(reading.read(tmp_path / "x.safetensors"))
    assert_same(made.nets["generator"], nets["generator"], ("w_avg",))
    content = (tmp_path / "x.safetensors").read_bytes()
    for damaged in (content[:-7], content[:100], content[:9]):
        (tmp_path / "x.safetensors").write_bytes(damaged)
        with pytest.raises(ValueError, match="x.safetensors"):
            reading.read(tmp_path / "x.safetensors")


def without(tensors, pattern):
    return {k: v for k, v in tensors.items() if pattern not in k}


LACKING = {
    "noises.": ("noise_const", "no fixed noise for 5 layers.*seed 0"),
    "noises.noise_3": ("noise_const", "no fixed noise for 1 layers"),
    ".noise.weight": ("noise_strength", "no strength of the noise"),
    "kernel": ((), None),
}


@pytest.mark.parametrize("pattern", LACKING)
def test_what_loaders_treat_as_optional_may_be_missing(published, nets, pattern):
    path, says = LACKING[pattern]
    value = published["generator"] | {
        "g_ema": without(published["generator"]["g_ema"], pattern)
    }
    made, lines = converted(value)
    assert_same(made.nets["generator"], nets["generator"], path)
    assert bool(lines) == bool(says)
    if says:
        assert len(lines) == 1 and "\n" not in lines[0]
        assert re.search(says, lines[0])


def test_drawn_noise_is_the_same_every_time_and_normal(published):
    value = {"g_ema": without(published["generator"]["g_ema"], "noises.")}
    first, second = (
        converted(value | {"latent_avg": published["generator"]["latent_avg"]})[0]
        for _ in range(2)
    )
    buffers = [trees.flatten(m.nets["generator"].variables["buffers"])
               for m in (first, second)]  # fmt: skip
    noises = [k for k in buffers[0] if k.endswith("noise_const")]
    assert len(noises) == 5
    for name in noises:
        np.testing.assert_array_equal(buffers[0][name], buffers[1][name])
    fine = np.asarray(buffers[0]["synthesis/b16/conv1/noise_const"])
    assert abs(fine.mean()) < 0.2 and 0.8 < fine.std() < 1.2
    assert not np.array_equal(fine, buffers[0]["synthesis/b16/conv0/noise_const"])


@pytest.mark.parametrize("missing", ["w_avg", "noise_const", "resample", "noise_"])
def test_nvidias_optional_buffers(published, nets, missing):
    made, _ = converted({"G_ema": without(published["nvidia"], missing)})
    lacks = {"resample": ()}.get(missing, ("w_avg", "noise_const", "noise_strength"))
    assert_same(made.nets["generator"], nets["generator"], lacks)


def test_a_decoder_without_noise_in_a_checkpoint(published):
    value = published["hypernet"]
    state = without(value["state_dict"], "decoder.noises")
    made, lines = converted({"state_dict": state})
    assert set(made.nets) == {"hypernet", "generator"}
    assert [line.split(":")[0] for line in lines] == ["generator"] * 2


@pytest.mark.parametrize("relative", [True, False, None])
def test_an_encoder_without_its_mean_latent(published, relative):
    """The training's options say whether it starts from the generator's."""
    opts = {} if relative is None else {"start_from_latent_avg": relative}
    value = {"state_dict": published["encoder"]["state_dict"], "opts": opts}
    made, lines = converted(value)
    latent = made.nets["encoder"].variables["buffers"]["latent_avg"]
    w_avg = made.nets["generator"].variables["buffers"]["mapping"]["w_avg"]
    expected = w_avg if relative else np.zeros_like(w_avg)
    np.testing.assert_array_equal(latent, np.broadcast_to(expected, latent.shape))
    assert any("encoder: no mean latent" in line for line in lines)


def test_one_row_of_mean_latent_is_for_all_layers(nets):
    module = StyleEncoder(6, w_dim=6, pyramid=False, widths=(4, 8), depths=(1, 1))
    encoder = networks.random_net(module, 0, [(SIZE, SIZE, 3)])
    both = {"generator": nets["generator"], "encoder": encoder}
    value = as_numpy(official.contents(both).files["encoder"])
    row = np.arange(6, dtype="f4")
    for latent in (row, row[None], row[None, None]):
        made, lines = converted(value | {"latent_avg": latent})
        rows = made.nets["restyle_psp"].variables["buffers"]["latent_avg"]
        np.testing.assert_array_equal(rows, np.broadcast_to(row, (6, 6)))
        assert not lines


FOREIGN = {
    "StyleGAN3": {"G_ema": {"synthesis.input.freqs": np.ones((4, 2), "f4")}},
    "EG3D": {"backbone.synthesis.b4.const": np.ones((4, 4), "f4")},
    "diffusion": {"state_dict": {"model.diffusion_model.x": np.ones(2, "f4")}},
    "StyleCLIP mapper": {"state_dict": {"mapper.course_mapping.0.w": np.ones(2, "f4")}},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_networks_of_other_kinds_are_named(name):
    with pytest.raises(ValueError, match=f"{name} network.*not converted"):
        converted(FOREIGN[name])


def test_conditional_networks_are_named(published):
    labels = {"mapping.embed.weight": np.ones((6, 10), "f4")}
    with pytest.raises(ValueError, match=r"conditional generator.*c_dim = 10"):
        converted({"G_ema": published["nvidia"] | labels})
    with pytest.raises(ValueError, match="conditional discriminator"):
        converted({"D": {"b4.conv.weight": np.ones(3), **labels}})


def test_ganspaces_own_files(tmp_path):
    rng = np.random.default_rng(0)
    steps = {"comp": rng.normal(size=(5, 1, 6)), "mean": np.zeros((1, 6))}
    steps["stdev"] = np.arange(5.0)
    arrays = {f"{s}_{k}": v for s in ("act", "lat") for k, v in steps.items()}
    np.savez_compressed(tmp_path / "x.npz", var_ratio=np.ones(5), **arrays)
    made, _ = converted(reading.read(tmp_path / "x.npz"))
    np.testing.assert_array_equal(made.directions["x_3"], 3 * steps["comp"][3, 0])
    arrays |= {"lat_comp": rng.normal(size=(5, 8, 4, 6)), "act_comp": 0 * steps["comp"]}
    np.savez_compressed(tmp_path / "y.npz", **arrays)
    with pytest.raises(ValueError, match="only those of the latent space W"):
        converted(reading.read(tmp_path / "y.npz"))


def test_the_size_that_fits_is_named(published):
    value = published["hypernet"]
    file = assembling.File("x", value, kinds.recognize(value))
    for wrong in ((256, 256), (8, 8)):
        with pytest.raises(ValueError, match="--image-size 16x16"):
            assembling.assemble([file], wrong)
    broken = {"state_dict": without(published["hypernet"]["state_dict"], "relu")}
    file = assembling.File("x", broken, kinds.recognize(broken))
    with pytest.raises(ValueError) as error:  # no size would help
        assembling.assemble([file], (SIZE, SIZE))
    assert "--image-size" not in str(error.value)


@pytest.mark.parametrize("name", ["x.pt", "folder", "fifo"])
def test_what_cannot_be_opened_is_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match=f"cannot read .*{name}"):
        reading.read(tmp_path / name)


def test_what_is_written_has_only_types_that_pytorch_has(tmp_path, published):
    extra = {
        "random": np.arange(3, dtype=np.uint32),
        "large": np.array([2**63], dtype=np.uint64),
        "key": {1: b"raw", None: 2.5},
    }
    made, _ = converted(published["generator"] | {"opts": extra})
    torch_files.write(tmp_path / "official.pt", made.official)
    opts = torch_files.read(tmp_path / "official.pt")["sources"][0]["value"]["opts"]
    np.testing.assert_array_equal(opts["random"], [0, 1, 2])
    assert opts["large"] == [2**63] and opts["key"] == extra["key"]
