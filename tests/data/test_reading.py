"""Examples that cannot be read: replaced in training, left out of evaluation."""

import pytest
from example_sources import Damaged, same, source

from hyperstyle_jax.data import pipeline, reading


def test_a_damaged_example_is_replaced_by_the_next():
    bad = {3, 4, 36}
    stream = pipeline.batches(Damaged(bad), 8, 1, flip=True, threads=2)
    plain = pipeline.batches(source(), 8, 1, flip=True, threads=2)
    replaced = {3: 5, 4: 5, 36: 0}
    for _ in range(12):
        expected = [replaced.get(int(i), int(i)) for i in next(plain)["index"]]
        assert next(stream)["index"].tolist() == expected
    numbers, lines = stream.report()
    assert numbers["data_unreadable"] == 3
    assert sorted(lines)[0] == "warning: record 3 is damaged; left out"
    state, again = stream.get_state(), pipeline.batches(Damaged(bad), 8, 1, flip=True)
    again.set_state(state)
    assert same(next(again), next(stream))


def test_a_damaged_example_is_replaced_in_memory_too():
    bad, problems = {3, 4, 36}, {}
    kept = reading.in_memory(Damaged(bad), problems, threads=2, chunk=8)
    stream, again = (pipeline.batches(s, 8, 1, flip=True) for s in (Damaged(bad), kept))
    for _ in range(12):
        assert same(next(stream), next(again))
    assert problems.keys() == bad


def test_evaluation_leaves_damaged_examples_out():
    problems = {}
    batches = list(pipeline.each_once(Damaged({0, 5, 36}), 12, problems=problems))
    indices = [int(i) for b in batches for i in b["index"]]
    assert indices == [i for i in range(37) if i not in (0, 5, 36)]
    assert problems.keys() == {0, 5, 36} and len(batches) == 3
    with pytest.raises(ValueError, match="record 0 is damaged"):
        list(pipeline.each_once(Damaged({0}), 12))


def test_nothing_readable_is_an_error():
    with pytest.raises(ValueError, match="no example can be read"):
        next(pipeline.batches(Damaged(range(37)), 8, 1, threads=0))
