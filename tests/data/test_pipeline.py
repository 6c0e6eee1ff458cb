import shutil
import sys

import numpy as np
import pytest

from hyperstyle_jax import faces, images
from hyperstyle_jax.data import builders, pipeline, preparing, reading, shard_files
from hyperstyle_jax.data.examples import ArraySource, FaceSource, RecordSource, Subset


@pytest.fixture(scope="module")
def faces_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return builders.prepare_faces(folder, (10, 33), 16, seed=2, images_per_identity=3)


@pytest.fixture
def photos(tmp_path):
    """Nine images in two folders, and two broken ones."""
    folder = tmp_path / "My photos (1)"
    for i in range(9):
        image = np.full((20 + i, 30, 3), 20 * i, np.uint8)
        images.save_png(folder / ("sub" if i % 2 else ".") / f"{i}.png", image)
    (folder / "broken.png").write_text("no image")
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    return folder


def source(n=37, size=8):
    image = np.arange(n, dtype=np.uint8)[:, None, None, None]
    ramp = np.arange(size, dtype=np.uint8)[None, None, :, None]
    return ArraySource(
        {"image": image + 0 * ramp + ramp * 5 + np.zeros((1, size, 1, 3), np.uint8)}
    )


def same(a, b):
    return a.keys() == b.keys() and all((a[k] == b[k]).all() for k in a)


def test_prepared_faces_are_the_drawn_ones(faces_dir):
    records = RecordSource(faces_dir)
    drawn = FaceSource((10, 33), 16, seed=2, images_per_identity=3)
    assert len(records) == len(drawn) == 23
    positions = np.array([4, 0, 22])
    a, b = records.take(positions), drawn.take(positions)
    assert same(a, b)
    assert {k: v.dtype for k, v in a.items()} == {k: v.dtype for k, v in b.items()}
    assert a["index"].tolist() == [14, 10, 32]
    assert a["identity"].tolist() == [4, 3, 10]


def test_prepared_data_is_reused(faces_dir, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("drawn again")

    monkeypatch.setattr(faces, "draw", refuse)
    root = faces_dir.parents[2]
    again = builders.prepare_faces(root, (10, 33), 16, seed=2, images_per_identity=3)
    assert again == faces_dir


def test_interrupted_preparation_starts_over(tmp_path, monkeypatch):
    draw = faces.draw

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(faces, "draw", stop)
    with pytest.raises(KeyboardInterrupt):
        builders.prepare_faces(tmp_path, (0, 4), 16)
    monkeypatch.setattr(faces, "draw", draw)
    assert len(RecordSource(builders.prepare_faces(tmp_path, (0, 4), 16))) == 4


def test_accessories_are_another_data_set(tmp_path):
    paths = [
        builders.prepare_faces(tmp_path, (0, 4), 32, accessories=a) for a in (0, 1)
    ]
    plain, worn = (RecordSource(p).take(np.arange(4)) for p in paths)
    assert (plain["image"] != worn["image"]).any() and paths[0] != paths[1]


def test_folder_skips_and_lists_what_it_cannot_read(photos, tmp_path, capsys):
    path = preparing.prepare_folder(photos, tmp_path / "data", 16)
    assert set(shard_files.skipped(path)) == {"broken.png", "cut.jpg"}
    assert "skipped 2 of 11 files" in capsys.readouterr().out
    records = RecordSource(path)
    batch = records.take(np.arange(len(records)))
    assert batch["image"].shape == (9, 16, 16, 3)
    assert batch["index"].tolist() == list(range(9))
    for name, image in zip(records.names(), batch["image"], strict=True):
        np.testing.assert_array_equal(
            image, images.fit(images.read(photos / name), 16, 16)
        )
    preparing.prepare_folder(photos, tmp_path / "data", 16)
    assert "broken.png" in capsys.readouterr().out  # said again when reused


def test_a_changed_folder_is_prepared_anew(photos, tmp_path):
    before = preparing.prepare_folder(photos, tmp_path / "data", 16)
    images.save_png(photos / "new.png", np.zeros((20, 20, 3), np.uint8))
    after = preparing.prepare_folder(photos, tmp_path / "data", 16)
    assert before != after and len(RecordSource(after)) == 10


def test_bad_folders(photos, tmp_path):
    with pytest.raises(ValueError, match="expected a folder or a zip"):
        preparing.prepare_folder(tmp_path / "none", tmp_path / "data", 16)
    for path in photos.rglob("*.png"):
        path.write_text("no image")
    with pytest.raises(ValueError, match="no readable image"):
        preparing.prepare_folder(photos, tmp_path / "data", 16)
    with pytest.raises(ValueError, match="not a prepared data set"):
        len(RecordSource(tmp_path / "none"))
    with pytest.raises(ValueError, match="first < end"):
        builders.prepare_faces(tmp_path, (5, 5), 16)


def test_no_tensorflow(faces_dir):
    RecordSource(faces_dir).take(np.arange(2))
    assert "tensorflow" not in sys.modules


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


def test_sources_hold_the_same(faces_dir):
    records = RecordSource(faces_dir)
    memory = reading.in_memory(records, chunk=7)
    subset = Subset(records, range(5, 9))
    assert len(memory) == 23 and len(subset) == 4
    assert same(memory.take(np.arange(23)), records.take(np.arange(23)))
    assert same(subset.take(np.arange(4)), memory.take(np.arange(5, 9)))


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
    lambda: Subset(source(), range(5, 99)),
    lambda: FaceSource((9, 3), 16),
    lambda: ArraySource({"index": np.arange(3)}),
])  # fmt: skip
def test_bad_input(call):
    with pytest.raises(ValueError, match="expected"):
        call()


def test_a_missing_record_file_is_reported(faces_dir, tmp_path):
    copy = shutil.copytree(faces_dir, tmp_path / "copy")
    next(copy.glob("*array_record*")).unlink()
    with pytest.raises(Exception, match="array_record|No such|not found"):
        RecordSource(copy).take(np.arange(1))


class Damaged:
    """`source()` with some positions that cannot be read."""

    def __init__(self, bad):
        self._source, self._bad = source(), set(bad)

    def __len__(self):
        return len(self._source)

    def take(self, positions):
        if bad := self._bad.intersection(int(i) for i in positions):
            raise ValueError(f"record {min(bad)} is damaged")
        return self._source.take(positions)


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


def test_a_damaged_record_is_named(faces_dir, tmp_path):
    copy = shutil.copytree(faces_dir, tmp_path / "copy")
    (file,) = copy.glob("*array_record*")
    data = bytearray(file.read_bytes())
    data[data.index(b"IDAT") + 9] ^= 255
    file.write_bytes(data)
    with pytest.raises(ValueError, match="copy, record 0: Corrupted"):
        RecordSource(copy).take(np.arange(1))
    assert reading.image_size(RecordSource(copy)) == (16, 16)
