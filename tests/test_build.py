"""Descriptions of networks: there and back, and what is refused."""

import importlib
import json

import jax
import pytest
from flax import linen as nn

from hyperstyle_jax import build, trees
from hyperstyle_jax.models.generator import Generator

TINY = Generator(8, z_dim=4, w_dim=6, channel_base=64, channel_max=8)


def test_spec_and_back_is_the_same_module():
    text = json.dumps(build.spec(TINY))
    assert build.module_from_spec(json.loads(text)) == TINY


def test_spec_names_every_field_so_that_defaults_may_change():
    assert build.spec(TINY)["num_mapping_layers"] == 8


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
        build.module_from_spec(spec)


def test_values_that_json_cannot_hold_are_refused():
    with pytest.raises(ValueError, match=r"Generator\.z_dim"):
        build.spec(Generator(8, z_dim=float("inf")))


def test_shapes_are_those_of_fresh_weights():
    net = build.init_net(TINY, jax.random.key(0))
    trees.merge(build.shapes(TINY), net.variables)
    assert set(net.variables) == {"params", "buffers"}


def test_every_known_class_is_where_the_table_says():
    for name, (module, _) in build._NETWORKS.items():
        assert issubclass(getattr(importlib.import_module(module), name), nn.Module)
