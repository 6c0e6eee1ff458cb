"""Sources of examples: arrays, faces, records and subsets of them."""

import shutil

import numpy as np
import pytest
from example_sources import same, source

from hyperstyle_jax.data import reading
from hyperstyle_jax.data.examples import ArraySource, FaceSource, RecordSource, Subset


def test_sources_hold_the_same(faces_dir):
    records = RecordSource(faces_dir)
    memory = reading.in_memory(records, chunk=7)
    subset = Subset(records, range(5, 9))
    assert len(memory) == 23 and len(subset) == 4
    assert same(memory.take(np.arange(23)), records.take(np.arange(23)))
    assert same(subset.take(np.arange(4)), memory.take(np.arange(5, 9)))


@pytest.mark.parametrize("call", [
    lambda: Subset(source(), range(5, 99)),
    lambda: FaceSource((9, 3), 16),
    lambda: ArraySource({"index": np.arange(3)}),
])  # fmt: skip
def test_bad_input(call):
    with pytest.raises(ValueError, match="expected"):
        call()


def test_a_damaged_record_is_named(faces_dir, tmp_path):
    copy = shutil.copytree(faces_dir, tmp_path / "copy")
    (file,) = copy.glob("*array_record*")
    data = bytearray(file.read_bytes())
    data[data.index(b"IDAT") + 9] ^= 255
    file.write_bytes(data)
    with pytest.raises(ValueError, match="copy, record 0: Corrupted"):
        RecordSource(copy).take(np.arange(1))
    assert reading.image_size(RecordSource(copy)) == (16, 16)
