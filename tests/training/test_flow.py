"""Training of a flow: it learns, and edits as its exported network does."""

import jax
import numpy as np
import pytest
import tasks

from hyperstyle_jax.editing import styleflow
from hyperstyle_jax.net import Net
from hyperstyle_jax.training import flow


@pytest.fixture(scope="module")
def config():
    c = tasks.tiny("flow")
    c.model.flow.widths = (8, 8)
    return c


@pytest.fixture(scope="module")
def trained(config):
    return tasks.train(flow.make_task(config), config, steps=8)


@pytest.mark.slow
def test_density_rises(trained):
    state, metrics = trained
    assert metrics[-1]["bits"] < metrics[0]["bits"]
    assert state["step"] == 8


@pytest.mark.slow
def test_exported_flows_take_attributes_in_their_own_units(config, trained):
    state, _ = trained
    frozen = flow.make_task(config).frozen
    net = flow.export(config, state, frozen)["flow"]
    count = len(net.module.attributes)
    assert len(net.module.stds) == count and min(net.module.stds) > 0
    rng = np.random.default_rng(0)
    w = rng.normal(size=(2, net.module.w_dim)).astype("f4")
    attributes = 30 * rng.normal(size=(2, count)).astype("f4")
    variables = {"params": state["params"], "batch_stats": state["batch_stats"]}
    inner = Net(net.module, variables)
    unit = np.asarray(frozen["feature_extractor"].variables["buffers"]["attribute_std"])
    expected = styleflow.encode(inner, w, attributes / unit)
    np.testing.assert_allclose(
        styleflow.encode(net, w, attributes), expected, rtol=1e-3, atol=1e-4
    )


def test_other_attributes_need_names(config):
    c = config.copy_and_resolve_references()
    c.model.flow.attributes = ("smile", "age")
    c.init.generator = c.init.feature_extractor = "demo"
    with pytest.raises(ValueError, match="2 names.*reads 30 attributes"):
        flow.make_task(c)


def test_summary_of_edits():
    requested = np.eye(3)[[0, 1, 2, 0]] * [[1], [-1], [1], [-1]]
    measured = 0.5 * requested + 0.1 * (requested == 0)
    scores = flow.summarize(
        {"bits": np.ones(4), "requested": requested, "measured": measured}
    )
    assert scores["gain"] == pytest.approx(0.5)
    assert scores["correlation"] == pytest.approx(1.0)
    assert scores["side_effect"] == pytest.approx(0.1)
    assert jax.tree.all(jax.tree.map(np.isfinite, scores))
