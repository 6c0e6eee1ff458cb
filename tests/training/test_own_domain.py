"""The chain of `hyperstyle domain`: what is planned, skipped and named."""

import json

import numpy as np
import pytest

from hyperstyle_jax import images
from hyperstyle_jax.config import checks, own_domain
from hyperstyle_jax.loop import checkpoint
from hyperstyle_jax.system import program
from hyperstyle_jax.training import own_domain as chains
from hyperstyle_jax.training import timing


@pytest.fixture
def pictures(tmp_path):
    for i in range(20):
        image = np.full((16, 16, 3), 12 * i, np.uint8)
        images.save_png(tmp_path / "pictures" / f"{i}.png", image)
    return tmp_path / "pictures"


@pytest.fixture
def log(monkeypatch):
    """What the stand-ins were asked to do; a step takes 0.1 s."""
    log, done = [], {}

    def measured(config):
        log.append(("measured", config.task))
        return 0.1

    def trained(config, workdir):
        log.append(("trained", workdir.name, config.num_steps))
        checks.check(config)
        done[workdir] = min(config.num_steps, log_most.get(workdir.name, 1 << 60))
        return done[workdir]

    log_most: dict = {}
    monkeypatch.setattr(timing, "seconds_per_step", measured)
    monkeypatch.setattr(chains.run, "run", trained)
    monkeypatch.setattr(chains.Chain, "_export", lambda self, step: None)
    monkeypatch.setattr(
        checkpoint, "steps", lambda workdir: [done[workdir]] if workdir in done else []
    )
    log.append(log_most)
    return log


def ready(pictures, work, **wish):
    options = {"size": 16, "networks": "tiny", "budget": 1000.0}
    wish = chains.Wish(str(pictures), **(options | wish))
    chain = chains.Chain(wish, work, lambda line: None)
    chain.check()
    chain.prepare()
    chain.plan()
    return chain


def test_the_budget_is_divided_by_measured_times(pictures, tmp_path, log):
    chain = ready(pictures, tmp_path / "work")
    plan = json.loads((tmp_path / "work/plan.json").read_text())
    # 40 % of 1000 s, less what the start took, in steps of 0.1 s.
    assert 3600 < plan["steps"]["generator"] <= 4000
    assert plan["steps"]["features"] <= plan["steps"]["generator"] / 4 + 1
    assert 820 < chain.seconds_left() <= 1000
    for step in own_domain.STEPS:
        chain.train(step)
    assert [line[1:] for line in log[1:] if line[0] == "trained"] == [
        (step, plan["steps"][step]) for step in own_domain.STEPS
    ]
    assert chain.seconds_left() == 0


def test_a_second_call_measures_and_trains_nothing(pictures, tmp_path, log):
    for _ in range(2):
        chain = ready(pictures, tmp_path / "work")
        for step in own_domain.STEPS:
            chain.train(step)
    assert len(log) == 1 + 2 * len(own_domain.STEPS)
    longer = ready(pictures, tmp_path / "work", budget=3000.0)
    longer.train("generator")  # goes on
    assert log[-1][:2] == ("trained", "generator") and log[-1][2] > 8000


def test_a_stopped_step_stops_the_chain(pictures, tmp_path, log):
    chain = ready(pictures, tmp_path / "work")
    log[0]["features"] = 7
    with pytest.raises(program.Stopped, match="step 7 of .* is saved"):
        chain.train("features")


@pytest.mark.parametrize(
    "wish, message",
    [
        ({"size": 48}, "size 48: expected one of 16, 32, 64"),
        ({"identity": "who"}, "--identity: name the table"),
        ({"labels": "none.csv"}, "none.csv: got nothing"),
        ({"transfer": "demo"}, "its generator draws 64² pixels; give --size 64"),
    ],
)
def test_what_cannot_work_is_refused_at_once(pictures, tmp_path, log, wish, message):
    with pytest.raises(ValueError, match=message):
        chain = ready(pictures, tmp_path / "work", **wish)
        chain.config("generator")
    assert not [line for line in log[1:] if line[0] == "trained"]


def test_a_step_names_itself():
    for error in (ValueError("bad"), program.Stopped("step 3 is saved")):
        with (
            pytest.raises(type(error), match=f"step 2 of 8, generator: {error}"),
            chains.naming("step 2 of 8, generator"),
        ):
            raise error


def test_transfer_takes_the_sizes_of_the_other_generator(pictures, tmp_path):
    wish = chains.Wish(str(pictures), transfer="demo")
    chain = chains.Chain(wish, tmp_path / "work", print)
    config = chain.config("generator")
    assert config.init.generator == "demo" and config.ada.images == 100_000
    assert config.model.generator.z_dim == 48 and not config.init.discriminator
    assert chain.config("encoder").model.generator.z_dim == 48
    for step in own_domain.STEPS:
        checks.check(chain.config(step))


def test_steps_within_some_time():
    assert timing.steps_within(10.0, 0.3, 1000) == 33
    assert timing.steps_within(10.0, 0.3, 20) == 20
    assert timing.steps_within(0.0, 0.3, 20) == 1
