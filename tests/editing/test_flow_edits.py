"""Edits by a flow: what is asked for, together with other edits, or refused."""

import numpy as np
import pytest
from networks import random_net, tiny_nets

from hyperstyle_jax.editing import amounts, flow_edits, steps, styleflow
from hyperstyle_jax.models.styleflow import StyleFlow
from hyperstyle_jax.offsets import latent_only
from hyperstyle_jax.weights import bundle
from hyperstyle_jax.weights.bundle import Bundle

NAMES, STDS = ("smile", "age", "yaw"), (0.5, 10.0, 20.0)


@pytest.fixture(scope="module")
def model():
    module = StyleFlow(6, NAMES, stds=STDS, widths=(8,))
    nets = {**tiny_nets(8), "flow": random_net(module, scale=0.3)}
    return Bundle(nets, {}, {"up": np.ones(6, "f4")}, "test")


def resolved(model, *texts):
    return steps.total(steps.resolve(model, amounts.parse(t))[0] for t in texts)


def test_amounts_are_in_own_units_or_in_deviations(model):
    step = resolved(model, "flow:age=+2sd", "flow:smile=0.3", "flow:yaw=-10deg")
    assert step.flow.changes == {"age": 20.0, "smile": 0.3, "yaw": -10.0}
    twice = resolved(model, "flow:age=5years", "flow:age=-1sd")
    assert twice.flow.changes == {"age": -5.0}
    assert not np.any(step.w) and not step.styles


def test_flows_come_before_directions(model):
    generator, flow = model.nets["generator"], model.nets["flow"]
    w = np.random.default_rng(0).normal(size=(2, 6)).astype("f4")
    start = latent_only(w, generator.module.num_ws)
    before = styleflow.measure(generator, model.nets["feature_extractor"], start)
    after = before.at[:, 1].add(10.0)
    expected = styleflow.edit(flow, start, before, after).w_plus + 0.5
    step = resolved(model, "up=.5", "flow:age=1sd")
    edited = steps.apply(generator, start, step)
    np.testing.assert_allclose(edited.w_plus, expected, rtol=1e-5, atol=1e-5)
    nothing = steps.apply(generator, start, resolved(model, "flow:age=0"))
    np.testing.assert_array_equal(nothing.w_plus, start.w_plus)


def test_what_a_flow_cannot_do_is_one_line(model):
    without = model._replace(nets={k: v for k, v in model.nets.items() if k != "flow"})
    with pytest.raises(ValueError, match="bundle test has no flow.*--flow"):
        resolved(without, "flow:age=1")
    with pytest.raises(ValueError, match="knows none.*smile, age, yaw"):
        resolved(model, "flow:beard=1")
    released = random_net(StyleFlow(6, NAMES, widths=(8,)))
    plain = model._replace(nets={**model.nets, "flow": released})
    assert resolved(plain, "flow:age=1").flow.changes == {"age": 1.0}
    with pytest.raises(ValueError, match="does not say the deviations"):
        resolved(plain, "flow:age=1sd")
    other = random_net(StyleFlow(6, ("age",), widths=(8,)))
    plain = model._replace(nets={**model.nets, "flow": other})
    with pytest.raises(ValueError, match="given 1 attributes.*reads 3"):
        resolved(plain, "flow:age=1")


def test_the_demo_has_its_flow_and_other_models_have_none(model):
    demo = flow_edits.with_flow(bundle.load("demo"), None)
    flow, features = demo.require("flow", "feature_extractor")
    assert flow.module.w_dim == demo.nets["generator"].module.w_dim
    assert tuple(flow.module.attributes) == tuple(demo.info["attributes"])
    assert len(flow.module.stds) == features.module.num_attributes
    other = model._replace(nets={}, id="other")
    assert "flow" not in flow_edits.with_flow(other, None).nets
    assert "flow" in flow_edits.with_flow(other, "demo_flow").nets
