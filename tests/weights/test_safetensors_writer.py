import numpy as np
from safetensors.numpy import load_file

from hyperstyle_jax.weights.safetensors_writer import Lazy, save_file


def lazy(array):
    return Lazy(array.shape, array.dtype, lambda: array)


def test_the_library_reads_what_is_written(tmp_path):
    arrays = {
        "params/b": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "params/a": np.float32(2.5).reshape(()),
        "half": np.ones((3, 1), np.float16),
        "empty": np.zeros((0, 4), np.float32),
    }
    save_file({k: lazy(v) for k, v in arrays.items()}, tmp_path / "x.safetensors")
    loaded = load_file(tmp_path / "x.safetensors")
    assert sorted(loaded) == sorted(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape
        np.testing.assert_array_equal(loaded[name], array)


def test_arrays_are_made_one_by_one(tmp_path):
    alive = []

    def make():
        assert not any(alive)
        alive.append(True)
        array = np.zeros(4, np.float32)
        alive[-1] = False
        return array

    two = {k: Lazy((4,), np.dtype("f4"), make) for k in "ab"}
    save_file(two, tmp_path / "x.safetensors")
    assert len(alive) == 2
