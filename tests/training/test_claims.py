"""A folder is bound at its first checkpoint, and knows the networks it rests on."""

import json

import jax.numpy as jnp
import pytest
import toy_config
from flax import linen as nn

from hyperstyle_jax.net import Net
from hyperstyle_jax.training import claims


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(claims.checkpoint, "steps", lambda workdir: steps)
    return tmp_path, steps


def nets(value):
    variables = {"params": {"kernel": jnp.full((2, 3), value)}}
    return {"generator": Net(nn.Dense(3), variables), "noise": {"b4": jnp.ones(2)}}


def start(folder, frozen=(), lr=0.1, force=False):
    config = toy_config.get_config()
    config.optim.lr = lr
    claim = claims.Claim(folder, config, force)
    claim.compare_networks(frozen)
    return claim


def lr_of(folder):
    return json.loads((folder / "config.json").read_text())["optim"]["lr"]


def test_a_start_without_a_checkpoint_binds_nothing(workdir):
    folder, _ = workdir
    start(folder, lr=7.0)  # failed before its first checkpoint
    start(folder, lr=0.1)
    assert lr_of(folder) == 0.1


def test_from_the_first_checkpoint_on_another_config_is_refused(workdir):
    folder, steps = workdir
    start(folder).settle()
    steps.append(5)
    with pytest.raises(ValueError, match="optim.lr: 0.1 there, 7.0 here"):
        start(folder, lr=7.0)
    forced = start(folder, lr=7.0, force=True)
    assert lr_of(folder) == 0.1  # until it has come to a checkpoint
    start(folder)
    forced.settle()
    assert lr_of(folder) == 7.0


def test_a_network_that_was_trained_further_is_said_once(workdir, capsys):
    folder, steps = workdir
    start(folder, nets(1.0)).settle()
    steps.append(5)
    start(folder, nets(1.0)).settle()
    assert capsys.readouterr().err == ""
    start(folder, nets(2.0))  # not settled: says it again
    start(folder, nets(2.0)).settle()
    said = capsys.readouterr().err
    assert (
        said.count("the generator is not the one that this run used up to step 5") == 2
    )
    start(folder, nets(2.0)).settle()
    assert capsys.readouterr().err == ""
    recorded = json.loads((folder / "networks.json").read_text())
    assert [entry["step"] for entry in recorded] == [0, 5]
    assert recorded[0]["networks"] != recorded[1]["networks"]
    assert recorded[0]["networks"].keys() == {"generator"}


def test_a_run_from_before_networks_were_recorded_goes_on(workdir, capsys):
    folder, steps = workdir
    steps.append(5)
    start(folder, nets(1.0)).settle()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["config.json", "networks.json"])
def test_a_damaged_file_is_named(workdir, name):
    folder, steps = workdir
    start(folder, nets(1.0)).settle()
    steps.append(5)
    (folder / name).write_text("{")
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        start(folder, nets(1.0))
