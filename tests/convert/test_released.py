"""Checkpoints as their authors released them: every key, shape and shared storage."""

import json

import numpy as np
import pytest
from paths import GOLDENS

from hyperstyle_jax import trees
from hyperstyle_jax.convert import assembling, kinds, layouts, notes

LAYOUTS = GOLDENS / "checkpoints" / "layouts.json"
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
    made = assembling.assemble([assembling.File(name, value, source)])
    assert made.info["image_size"] == ([192, 256] if name in WIDE else 256)
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
    for group in layout.get("shared_storage", []):
        assert len({id(back["state_dict"][alias]) for alias in group}) == 1
