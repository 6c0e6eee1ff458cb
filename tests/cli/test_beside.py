"""A run's encoder beside the networks of a bundle of the same generator."""

import numpy as np
import pytest
from networks import random_net, tiny_nets

from hyperstyle_jax.models.encoders import StyleEncoder
from hyperstyle_jax.training import exporting
from hyperstyle_jax.weights import bundle


@pytest.fixture
def base(tmp_path):
    nets = tiny_nets(resolution=8)
    directions = {"smile": np.ones(6, "f4")}
    bundle.save(tmp_path / "base", nets, info={"image_size": 8}, directions=directions)
    return bundle.load(tmp_path / "base")


def encoder():
    module = StyleEncoder(4, 6, (4, 4, 4), (1, 1, 1))
    return random_net(module, 0, [(8, 8, 3)])


def test_a_bundles_networks_stay_and_the_encoder_is_added(base):
    other = tiny_nets(resolution=8, seed=1)["feature_extractor"]
    run = {"generator": base.nets["generator"], "psp": encoder()}
    nets = exporting._beside(base, run | {"feature_extractor": other}, (8, 8), "base")
    assert nets.keys() == {*base.nets, "psp"}
    for role, net in base.nets.items():
        assert nets[role] is net


def test_a_run_of_another_generator_is_refused(base):
    run = {"generator": tiny_nets(resolution=8, seed=1)["generator"]}
    with pytest.raises(ValueError, match=r"another generator.*init\.generator=base"):
        exporting._beside(base, run, (8, 8), "base")


def test_a_run_of_other_images_is_refused(base):
    with pytest.raises(ValueError, match=r"\(8, 8\), the run of \(4, 8\)"):
        exporting._beside(base, base.nets, (4, 8), "base")
