"""Batches: shuffled, sharded, flipped, resumed; each example once for evaluation."""

import numpy as np
import pytest
from example_sources import same, source

from hyperstyle_jax import faces
from hyperstyle_jax.data import pipeline, reading
from hyperstyle_jax.data.examples import FaceSource


def test_one_epoch_is_a_permutation():
    seen = [b["index"] for b in pipeline.batches(source(36), 6, 0, epochs=1)]
    seen = np.concatenate(seen)
    assert sorted(seen) == list(range(36)) and list(seen) != list(range(36))
    plain = pipeline.batches(source(36), 6, 0, epochs=1, shuffle=False)
    assert np.concatenate([b["index"] for b in plain]).tolist() == list(range(36))


def test_order_depends_on_seed_and_epoch_alone():
    def order(seed):
        stream = pipeline.batches(source(36), 6, seed, epochs=2)
        return np.concatenate([b["index"] for b in stream]).reshape(2, 36)

    np.testing.assert_array_equal(order(1), order(1))
    assert (order(1) != order(2)).any() and (order(1)[0] != order(1)[1]).any()


def test_resume_is_exact():
    make = lambda threads: pipeline.batches(  # noqa: E731
        source(), 8, 5, flip=True, threads=threads
    )
    stream = make(2)
    for _ in range(7):
        next(stream)
    state = stream.get_state()
    ahead = [next(stream) for _ in range(9)]
    for threads in (0, 2):
        again = make(threads)
        next(again)
        again.set_state(state)
        assert all(same(next(again), batch) for batch in ahead)


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_share_what_one_host_sees(hosts):
    """Step by step the same examples and flips, though 37 does not divide."""

    def steps(count):
        streams = [
            pipeline.batches(source(), 8 // count, 3, flip=True, shard=(i, count))
            for i in range(count)
        ]
        for _ in range(12):
            parts = [next(stream) for stream in streams]
            images_ = np.concatenate([p["image"] for p in parts])
            yield sorted(images_.reshape(8, -1).tolist())

    assert list(steps(hosts)) == list(steps(1))


def test_shards_are_disjoint_and_complete():
    parts = [
        [int(i) for b in pipeline.batches(source(), 1, 0, shard=(h, 3), epochs=1)
         for i in b["index"]]
        for h in range(3)
    ]  # fmt: skip
    assert sorted(sum(parts, [])) == list(range(37))


def test_half_is_flipped_and_labels_follow():
    drawn = reading.in_memory(FaceSource((0, 40), 16))
    plain = drawn.take(np.arange(40))
    flipped = 0
    for batch in pipeline.batches(drawn, 8, 0, flip=True, epochs=5):
        for i, index in enumerate(batch["index"]):
            mirrored = (batch["latent"][i] != plain["latent"][index]).any()
            flipped += mirrored
            expected = (
                plain["image"][index][:, ::-1] if mirrored else plain["image"][index]
            )
            np.testing.assert_array_equal(batch["image"][i], expected)
        again = faces.render(batch["latent"], 16)
        assert np.abs(batch["image"].astype(int) - again).max() <= 1  # rounding
        values = np.stack(list(faces.attributes(batch["latent"]).values()), 1)
        np.testing.assert_allclose(batch["attributes"], values, atol=1e-6)
    assert 70 < flipped < 130


def test_each_example_once_for_evaluation():
    for hosts in (1, 2):
        batches = [
            list(pipeline.each_once(source(), 5, (h, hosts))) for h in range(hosts)
        ]
        indices = [int(i) for host in batches for b in host for i in b["index"]]
        assert sorted(indices) == list(range(37))
    assert [len(b["index"]) for b in pipeline.each_once(source(), 10)] == [
        10,
        10,
        10,
        7,
    ]


def test_padding_marks_its_own():
    last = list(pipeline.each_once(source(), 10))[-1]
    full = pipeline.padded(last, 10)
    assert full["valid"].tolist() == [True] * 7 + [False] * 3
    assert same({k: v[:7] for k, v in full.items() if k != "valid"}, last)
    assert all(len(v) == 10 for v in full.values())


@pytest.mark.parametrize("call", [
    lambda: pipeline.batches(source(), 0, 0),
    lambda: pipeline.batches(source(), 4, 0, shard=(2, 2)),
])  # fmt: skip
def test_bad_input(call):
    with pytest.raises(ValueError, match="expected"):
        call()
