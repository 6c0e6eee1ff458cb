"""StyleFlow's and CLIP's official tensors, to our networks and back."""

import json

import numpy as np
import procedural_clip
import pytest
from networks import random_net
from paths import SHARED

from hyperstyle_jax.convert import kinds, official
from hyperstyle_jax.models.styleflow import StyleFlow
from hyperstyle_jax.parity.case import convert
from hyperstyle_jax.weights import specs


def assert_same(tensors, expected):
    assert tensors.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(tensors[name], value, name)


def test_a_flow_comes_back():
    net = random_net(StyleFlow(6, ("attribute0", "attribute1"), widths=(5, 4)))
    tensors = official.tensors(net)
    made = convert(tensors)["flow"]
    assert made.module == net.module
    assert_same(official.tensors(made), tensors)


def test_the_released_flow_has_its_attributes_and_rows():
    path = SHARED / "goldens_peers" / "checkpoints" / "layouts_b.json"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    keys = json.loads(path.read_text())["modellarge10k.pt"]["keys"]
    tensors = {name: np.ones(shape, dtype) for name, shape, dtype in keys}
    source = kinds.recognize(tensors)
    module = source.modules["flow"]
    assert source.kind == "styleflow"
    assert (module.w_dim, module.widths) == (512, (512,) * 5)
    rows = dict(zip(module.attributes, module.rows, strict=True))
    assert len(rows) == 17
    assert (rows["light0"], rows["gender"], rows["expression"]) == (
        (7, 11),
        (0, 7),
        (4, 5),
    )
    official_names = official.tensors(convert(tensors)["flow"]).keys()
    assert official_names == tensors.keys()


def test_a_clip_comes_back():
    tensors = procedural_clip.tensors()
    net = procedural_clip.net()
    assert specs.module_from_spec(specs.spec(net.module)) == net.module
    back = official.tensors(net)
    sizes = {"input_resolution", "context_length", "vocab_size"}
    assert back.keys() - sizes == tensors.keys()
    assert_same({k: v for k, v in back.items() if k not in sizes}, tensors)


def test_a_clip_with_a_resnet_is_refused():
    tensors = procedural_clip.tensors()
    del tensors["visual.proj"]
    with pytest.raises(ValueError, match="ResNet.*ViT-B/32"):
        kinds.recognize(tensors)
