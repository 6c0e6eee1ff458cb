"""Options of trainings: objects of any class become plain values, and none is made."""

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import pathlib
import pickle
import types
import uuid

import numpy as np
import pytest
import torch_pickles

from hyperstyle_jax.torch_format import files as torch_files


class Colour(enum.Enum):
    RED = 1


class Options:
    """Holds itself, as objects of trainers often do."""

    def __init__(self):
        self.rate, self.folder, self.owner = 0.1, pathlib.Path("/runs"), self


class Config(dict):
    pass


class Names(list):
    pass


@dataclasses.dataclass
class Schedule:
    steps: int = 5


@dataclasses.dataclass(slots=True)
class Slots:
    steps: int = 5


DAY = datetime.date(2024, 1, 2)
NOON = datetime.datetime(2024, 1, 2, 12)
VALUES = {
    "path": (pathlib.PurePosixPath("/a/b"), "/a/b"),
    "windows path": (pathlib.PureWindowsPath("C:/a/b"), "C:\\a\\b"),
    "date": (DAY, "2024-01-02"),
    "datetime": (NOON, "2024-01-02 12:00:00"),
    "with zone": (NOON.replace(tzinfo=datetime.UTC), "2024-01-02 12:00:00"),
    "time span": (datetime.timedelta(1), "1 day, 0:00:00"),
    "namespace": (argparse.Namespace(a=1, b=pathlib.PurePosixPath("x")),
                  {"a": 1, "b": "x"}),
    "simple namespace": (types.SimpleNamespace(a=1), {"a": 1}),
    "defaultdict": (collections.defaultdict(list, {"a": [1]}), {"a": [1]}),
    "counter": (collections.Counter("aab"), {"a": 2, "b": 1}),
    "ordered": (collections.OrderedDict(a=1), {"a": 1}),
    "deque": (collections.deque([1, 2], 5), [1, 2]),
    "set": ({1}, [1]),
    "frozenset": (frozenset([1]), [1]),
    "float of NumPy": (np.float32(1.5), 1.5),
    "integer of NumPy": (np.int64(7), 7),
    "boolean of NumPy": (np.bool_(True), True),
    "text of NumPy": (np.str_("hi"), "hi"),
    "texts": (np.array(["a", "bc"]), ["a", "bc"]),
    "objects": (np.array([{"a": 1}], dtype=object), [{"a": 1}]),
    "date of NumPy": (np.datetime64("2024-01-01"), "a scalar of type 'M8'"),
    "complex numbers": (np.array([1 + 2j]), ["(1+2j)"]),
    "decimal": (decimal.Decimal("1.50"), "1.50"),
    "uuid": (uuid.UUID(int=10), f"{10:032x}"),
    "bytearray": (bytearray(b"x"), b"x"),
    "large": (10**700, hex(10**700)),
    "dict of a class": (Config(a=1), {"a": 1}),
    "list of a class": (Names(["a"]), ["a"]),
    "dataclass": (Schedule(), {"steps": 5}),
    "slots": (Slots(), {"steps": 5}),
    "itself inside": (Options(), {"rate": 0.1, "folder": "/runs", "owner": "…"}),
    "keys": ({(1, "a"): 1, 1.5: 2, None: 3, Colour.RED: 4},
             {"(1, 'a')": 1, 1.5: 2, None: 3, f"{__name__}.Colour(1)": 4}),
}  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("name", VALUES)
def test_objects_become_plain_values(tmp_path, name, protocol):
    value, expected = VALUES[name]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"opts": value}, protocol))
    assert torch_files.read(tmp_path / "x.pkl")["opts"] == expected
    torch_files.write(tmp_path / "y.pt", {"opts": expected})
    assert torch_files.read(tmp_path / "y.pt")["opts"] == expected


@pytest.mark.parametrize(
    "value", [Colour.RED, functools.partial(print, 1), slice(1, 2), range(3), dict]
)
def test_other_objects_are_described(tmp_path, value):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([value], 4))
    (text,) = torch_files.read(tmp_path / "x.pkl")
    assert isinstance(text, str) and len(text) <= 200
    assert type(value).__name__.lower() in text.lower() or "dict" in text


def test_a_description_never_unfolds_nested_values(tmp_path):
    """Forty pairs of pairs would be a text of 2^40 entries."""
    value = (1,)
    for _ in range(40):
        value = (value, value)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"o": _Holder(value)}, 4))
    assert len(torch_files.read(tmp_path / "x.pkl")["o"]) <= 200


class _Holder:
    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return _Holder, (self.value,)


@pytest.mark.parametrize("legacy", [True, False])
def test_whole_networks_are_read_without_their_class(tmp_path, legacy):
    tensors = {"style.1.weight": np.ones((2, 3), "f4"), "w_avg": np.zeros(2, "f4")}
    with torch_pickles.fake_torch():
        network = {"g_ema": torch_pickles.Network(tensors)}
        content = torch_pickles.legacy(network) if legacy else pickle.dumps(network, 2)
    (tmp_path / "x.pt").write_bytes(content)
    read = torch_files.read(tmp_path / "x.pt")["g_ema"].tensors()
    assert sorted(read) == sorted(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read[name], tensor)


def test_arrays_of_protocol_5_are_read(tmp_path):
    arrays = {"w": np.arange(6, dtype="f4").reshape(2, 3), "f": np.eye(3, order="F")}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(arrays, 5))
    read = torch_files.read(tmp_path / "x.pkl")
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    buffers = []
    content = pickle.dumps(arrays, 5, buffer_callback=buffers.append)
    (tmp_path / "y.pkl").write_bytes(content)
    with pytest.raises(ValueError, match="another file"):
        torch_files.read(tmp_path / "y.pkl")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickles_of_every_protocol_are_read(tmp_path, protocol):
    value = {"w": np.arange(3.0), "n": [1, None, True, "é"]}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value, protocol))
    read = torch_files.read(tmp_path / "x.pkl")
    np.testing.assert_array_equal(read["w"], value["w"])
    assert read["n"] == value["n"]
