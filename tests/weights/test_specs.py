"""Descriptions of networks: there and back, and what is refused."""

import importlib
import json

import jax
import numpy as np
import pytest
from flax import linen as nn

from hyperstyle_jax import trees
from hyperstyle_jax.models.discriminator import Discriminator
from hyperstyle_jax.models.encoders import StyleEncoder, WEncoder
from hyperstyle_jax.models.feature_extractor import FeatureExtractor
from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.hypernet import Hypernet, tuned_layers
from hyperstyle_jax.models.irnet import FaceNet
from hyperstyle_jax.models.lpips import LPIPS
from hyperstyle_jax.weights import specs

TINY = Generator(8, z_dim=4, w_dim=6, channel_base=64, channel_max=8)


def test_spec_and_back_is_the_same_module():
    text = json.dumps(specs.spec(TINY))
    assert specs.module_from_spec(json.loads(text)) == TINY


def test_spec_names_every_field_so_that_defaults_may_change():
    assert specs.spec(TINY)["num_mapping_layers"] == 8


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"class": "os.system", "resolution": 8}, "unknown network class"),
        ({"resolution": 8}, "needs a 'class'"),
        ({"class": "Generator", "resolution": 8, "colour": 1}, "no field"),
        ({"class": "Generator"}, "cannot build Generator"),
        ([], "needs a 'class'"),
    ],
)
def test_senseless_specs_are_refused(spec, reason):
    with pytest.raises(ValueError, match=reason):
        specs.module_from_spec(spec)


def test_values_that_json_cannot_hold_are_refused():
    with pytest.raises(ValueError, match=r"Generator\.z_dim"):
        specs.spec(Generator(8, z_dim=float("inf")))


def test_shapes_are_those_of_fresh_weights():
    net = specs.init_net(TINY, jax.random.key(0))
    trees.merge(specs.shapes(TINY), net.variables)
    assert set(net.variables) == {"params", "buffers"}


def test_every_known_class_is_where_the_table_says():
    for name in specs._NETWORKS:
        cls = getattr(importlib.import_module(specs._home(name)), name)
        assert issubclass(cls, nn.Module)


@pytest.mark.parametrize(
    "module",
    [
        Discriminator(8, channel_base=64, channel_max=8),
        WEncoder(6, widths=(4, 4), depths=(1, 1)),
        StyleEncoder(4, 6, (4, 4, 4, 4), (1, 1, 1, 1), pyramid=False),
        FaceNet((4, 4, 4, 4), (1, 1, 1, 1), embedding=5),
        Hypernet(
            tuned_layers(TINY),
            widths=(4, 4),
            depths=(1, 1),
            embedding_dim=5,
            inner=4,
            inner_shared=4,
        ),
        LPIPS("squeeze"),
        FeatureExtractor(3, (4, 4), (1, 1), embedding=5),
    ],
    ids=lambda module: type(module).__name__,
)
def test_every_kind_of_network_survives_json_and_has_shapes(module):
    again = specs.module_from_spec(json.loads(json.dumps(specs.spec(module))))
    inputs = specs.default_inputs(module, 32)
    expected = trees.flatten(specs.shapes(module, inputs))
    assert trees.flatten(specs.shapes(again, inputs)) == expected


@pytest.mark.parametrize("host", [True, False])
def test_fresh_weights_are_the_same_for_another_kind_of_device(monkeypatch, host):
    wanted, devices = specs.init_net(TINY, jax.random.key(0)), jax.local_devices()

    def local_devices(backend=None):
        if backend and not host:
            raise RuntimeError("Unknown backend cpu")
        return devices

    monkeypatch.setattr(jax, "local_devices", local_devices)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    net = specs.init_net(TINY, jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, net.variables, wanted.variables)
    assert {leaf.device for leaf in jax.tree.leaves(net)} == {devices[0]}
