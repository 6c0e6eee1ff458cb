"""The arithmetic of the tables of an evaluation."""

import numpy as np
import pytest

from hyperstyle_jax.evaluation import held_out_faces, tables

SIZE = 16


def inverted(l2, identity, seconds=(0.1, 0.5)):
    measures = {"l2": np.array(l2), "identity": np.array(identity)}
    blank = np.zeros((1, SIZE, SIZE, 3), np.float32)
    return held_out_faces.Inverted(
        measures, blank, np.stack([blank] * len(l2)), seconds
    )


def test_ratios_and_the_share_regained(model):
    good = inverted(
        [[0.1, 0.3], [0.05, 0.11], [0.04, 0.06]], [[0.2, 0.6]] * 2 + [[0.8, 0.9]]
    )
    weak = inverted([[0.1, 0.3], [0.1, 0.2]], [[0.2, 0.6], [0.3, 0.6]])
    results = {"in-domain": {"good": good, "weak": weak}}
    summary = tables.summarize(results, {"good": model, "weak": model})
    first, a, b = summary["domains"]["in-domain"]["rows"]
    assert first["method"] == tables.INITIAL and first["l2"] == pytest.approx(0.2)
    assert (a["method"], b["method"]) == ("good, T = 2", "weak, T = 1")
    assert a["l2_ratio"] == 0.25 and b["l2_ratio"] == 0.75
    assert a["regained"] == 0.75  # from 0.4 to 0.85
    assert a["seconds"] == 0.5 and first["seconds"] == 0.1 and summary["faces"] == 2
    assert summary["domains"]["in-domain"]["iterations"]["good"]["l2"] == [
        0.2,
        0.08,
        0.05,
    ]
    text = tables.markdown(summary)
    assert "| good, T = 2 | 0.0500 | 0.25 | 0.850 | 75% | 0.5000 |" in text
    assert "LPIPS" not in text


def test_each_model_is_compared_with_its_own_initial_inversion(model):
    results = {"in-domain": {
        "a": inverted([[0.2], [0.1]], [[0.5], [0.6]]),
        "b": inverted([[0.4], [0.1]], [[0.5], [0.6]]),
    }}  # fmt: skip
    summary = tables.summarize(results, {"a": model, "b": model})
    rows = summary["domains"]["in-domain"]["rows"]
    methods = [row["method"] for row in rows]
    first = [f"{tables.INITIAL} of {name}" for name in "ab"]
    assert methods == [first[0], "a, T = 1", first[1], "b, T = 1"]
    assert rows[3]["l2_ratio"] == 0.25


def test_without_a_feature_extractor_there_is_l2_alone(model):
    nets = {k: v for k, v in model.nets.items() if k != "feature_extractor"}
    blind = {"blind": model._replace(nets=nets)}
    results = held_out_faces.run(blind, count=2, domains=["accessories"])
    summary = tables.summarize(results, blind)
    assert list(results["accessories"]["blind"].measures) == ["l2"]
    assert "identity |" not in tables.markdown(summary)
