"""Edits of HyperStyle's inversions against those of a W+ search."""

import numpy as np
import pytest

from hyperstyle_jax.evaluation import edits, held_out_faces
from hyperstyle_jax.inversion import pipeline
from hyperstyle_jax.weights import bundle

SIZE = 16


LAWS = {
    "one over the steps": lambda n: 1 / n,
    "slow": lambda n: 0.02 * n**-0.3,
    "with a floor": lambda n: 0.004 + 0.05 / n,
    "fast": lambda n: 0.02 * np.exp(-n / 50),
}


@pytest.mark.parametrize("target", [0.3, 0.02, 0.0079])
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_search_is_as_close_as_asked_and_hardly_closer(law, target):
    tried = []

    def search(steps):
        tried.append(steps)
        return f"{steps}", law(steps)

    steps, (result, distance) = edits.match(search, target)
    assert result == f"{steps}" and distance == law(steps) <= target
    assert steps == 1 or law(steps - 1) > target or law(steps) >= 0.95 * target
    assert len(tried) == len(set(tried)) < 10
    assert sum(tried) < 4 * steps + 80


def test_a_search_that_never_gets_there_is_the_longest():
    assert edits.match(lambda n: (n, 1.0), 0.5, limit=70) == (70, (70, 1.0))


def test_an_edit_of_strength_zero_changes_nothing(model, short_search):
    x = held_out_faces.held_out(2, 1_000_000, SIZE, False)
    rows, images = edits.compare(model, x, directions=["yaw"], strength=0.0)
    assert [row["method"] for row in rows] == ["HyperStyle, T = 2", "W+, 2 steps"]
    for row in rows:
        assert row["identity"] == pytest.approx(row["unedited"], abs=1e-5)
        assert row["change"] == pytest.approx(0, abs=1e-4)
    expected = pipeline.measure(model, x, pipeline.refine(model, x, 2).images[-1:])
    assert rows[0]["l2"] == pytest.approx(expected["l2"].mean(), rel=1e-3)
    assert rows[0]["unedited"] == pytest.approx(expected["identity"].mean(), abs=0.05)
    assert images["yaw"].shape[1] > 7 * 96


def test_another_eval_network_reads_edits_and_the_search_stays(
    model, stranger, short_search
):
    x = held_out_faces.held_out(2, 1_000_000, SIZE, False)
    eval_network = bundle.load(stranger)
    own = edits.compare(model, x, directions=["yaw"])
    others = edits.compare(model, x, directions=["yaw"], eval_network=eval_network)
    np.testing.assert_array_equal(others.images["yaw"], own.images["yaw"])
    for row, its in zip(own.rows, others.rows, strict=True):
        assert row["l2"] == its["l2"] and row["identity"] != its["identity"]


def test_an_edit_needs_its_attribute(model):
    blind = model._replace(info=model.info | {"attributes": ["age"]})
    with pytest.raises(ValueError, match=r"reads \['age'\], not 'smile'"):
        edits.compare(blind, np.zeros((1, SIZE, SIZE, 3), np.float32))
