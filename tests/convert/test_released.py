"""Checkpoints as their authors released them: every key, shape and shared storage."""

import json

import numpy as np
import pytest
from paths import GOLDENS, SHARED

from hyperstyle_jax import trees
from hyperstyle_jax.convert import assembling, kinds, layouts, notes, reading

LAYOUTS = GOLDENS / "checkpoints" / "layouts.json"
PEERS = SHARED / "goldens_peers" / "checkpoints"
ENCODERS = PEERS / "layouts_psp_e4e_restyle.json"
RELEASED = {
    "hyperstyle_ffhq.pt": "hyperstyle",
    "hyperstyle_cars.pt": "hyperstyle",
    "faces_w_encoder.pt": "w-encoder",
    "cars_w_encoder.pt": "w-encoder",
    "stylegan2-ffhq-config-f.pt": "stylegan2",
    "stylegan2-car-config-f.pt": "stylegan2",
    "generator_256": "stylegan2",
    "restyle_e4e_ffhq_encode.pt": "restyle-e4e",
    "model_ir_se50.pth": "arcface",
    "CurricularFace_Backbone.pth": "curricularface",
    "resnet34-333f7ec4.pth": "resnet",
    "moco_v2_800ep_pretrain.pt": "moco",
    "lpips v0.1 alex.pth": "lpips",
    "torchvision alex": "lpips",
    "lpips v0.1 vgg.pth": "lpips",
    "torchvision vgg": "lpips",
    "lpips v0.1 squeeze.pth": "lpips",
    "torchvision squeeze": "lpips",
    "mtcnn/pnet.npy": "mtcnn",
    "mtcnn/rnet.npy": "mtcnn",
    "mtcnn/onet.npy": "mtcnn",
}


WIDE = {"hyperstyle_cars.pt": "cars_hypernet", "cars_w_encoder.pt": "cars_encode"}


def released(layout, dataset, rng):
    """A checkpoint of this layout; every tensor is one row, repeated."""
    tensors, groups = {}, {}
    for group in layout.get("shared_storage", []):
        groups |= dict.fromkeys(group, group[0])
    for name, shape, dtype in layout["keys"]:
        first = groups.get(name, name)
        if first not in tensors:
            row = rng.normal(size=shape[-1:]).astype(dtype)
            tensors[first] = np.broadcast_to(row, shape)
        tensors[name] = tensors[first]
    tensors = {name: tensors[name] for name, *_ in layout["keys"]}
    top = layout.get("top_level")
    if top is None:
        return tensors
    value = {}
    for key, what in top.items():
        value[key] = tensors if what == "see keys" else {}
        if key == "opts":
            value[key] = {"dataset_type": dataset}
        if isinstance(what, list):
            row = rng.normal(size=what[1][-1:]).astype(what[0])
            value[key] = np.broadcast_to(row, what[1])
        elif isinstance(what, str) and key not in ("state_dict", "g_ema", "opts"):
            value[key] = 3
    return value


@pytest.mark.slow
@pytest.mark.skipif(not LAYOUTS.is_file(), reason=f"no {LAYOUTS}")
@pytest.mark.parametrize("name", RELEASED)
def test_every_released_checkpoint_fits_and_comes_back(name):
    layout = json.loads(LAYOUTS.read_text())[name]
    dataset = WIDE.get(name, "ffhq_hypernet")
    value = released(layout, dataset, np.random.default_rng(0))
    kind = RELEASED[name]
    source = kinds.recognize(value, kind if kind == "restyle-e4e" else "auto")
    assert source.kind == kind
    back = goes_and_comes_back(name, value, source, name in WIDE)
    for group in layout.get("shared_storage", []):
        assert len({id(back["state_dict"][alias]) for alias in group}) == 1


def goes_and_comes_back(name, value, source, wide):
    made = assembling.assemble([assembling.File(name, value, source)])
    assert made.info["image_size"] == ([192, 256] if wide else 256)
    arrays = {role: trees.flatten(net.variables) for role, net in made.nets.items()}
    back = notes.restore(made.official, arrays)[name]
    assert list(back) == list(value)
    restored, expected = (trees.flatten(v) for v in (back, value))
    assert list(restored) == list(expected)
    for path, tensor in expected.items():
        if isinstance(tensor, np.ndarray):
            same = restored[path]
            assert same.dtype == tensor.dtype and same.shape == tensor.shape
            assert layouts.same(same.reshape(-1)[:100], tensor.reshape(-1)[:100])
    return back


def encoder_names():
    layouts = json.loads(ENCODERS.read_text()) if ENCODERS.is_file() else {}
    return [name for name in layouts if name.endswith(".pt")]


def of_encoder(name, rng):
    """A checkpoint of pSp, e4e or ReStyle, and what belongs to its discriminator."""
    every = json.loads(ENCODERS.read_text())
    layout = every[name]
    keys = every[layout.get("same_keys_as", name)]["keys"]
    options = layout["top_level"]["opts"]
    plain = {k: v.strip("'") for k, v in options.items() if v[:1] in "'0123456789"}
    value = released(layout | {"keys": keys}, plain["dataset_type"], rng)
    value = {k: v for k, v in value.items() if not k.startswith("optional")}
    value["opts"] = plain | {"start_from_latent_avg": True}
    if "e4e" in name:
        (of_discriminator,) = [v for k, v in every.items() if k.startswith("discr")]
        tensors = {
            k: np.full(shape, 0.5, t) for k, shape, t in of_discriminator["keys"]
        }
        value |= {"discriminator_state_dict": tensors, "global_step": 3}
    return value


@pytest.mark.parametrize("name", encoder_names())
def test_released_encoders_are_recognized(name):
    """By their options; pSp's and e4e's tensors have the same names and shapes."""
    value = of_encoder(name, np.random.default_rng(0))
    source = kinds.recognize(value)
    first = name.split("_")[0]
    kind = f"restyle-{name.split('_')[1]}" if first == "restyle" else first
    assert source.kind == kind
    role = kind.replace("-", "_")
    assert source.modules.keys() == {role, "generator"}
    rows = source.modules["generator"].num_ws
    assert source.modules[role].num_ws == rows == len(value["latent_avg"])
    channels = {"sketch": 1, "seg": 19}.get(name.split("_")[2], 3)
    assert source.channels == (6 if first == "restyle" else channels)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["psp_celebs_seg_to_face.pt", "e4e_horse_encode.pt", "restyle_e4e_cars_encode.pt"],
)
@pytest.mark.skipif(not ENCODERS.is_file(), reason=f"no {ENCODERS}")
def test_released_encoders_come_back(name):
    value = of_encoder(name, np.random.default_rng(0))
    back = goes_and_comes_back(name, value, kinds.recognize(value), "cars" in name)
    assert back["opts"] == value["opts"]


@pytest.mark.skipif(not PEERS.is_dir(), reason=f"no {PEERS}")
@pytest.mark.parametrize(
    "name, reason",
    [
        ("ada_cond_64", r"a conditional generator.*class labels \(c_dim = 3\)"),
        ("ada_64_legacy", "a TensorFlow network"),
        ("stylegan3_t_64", "a StyleGAN3 network"),
    ],
)
def test_nvidias_other_files_are_refused_by_name(name, reason):
    with pytest.raises(ValueError, match=reason):
        kinds.recognize(reading.read(PEERS / f"{name}_seed0.pkl"))
