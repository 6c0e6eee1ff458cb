"""Data sets from strangers: descriptions that are damaged, or name code to import."""

import json
import shutil
import sys

import numpy as np
import pytest
from sources import fill, prepare

from hyperstyle_jax.data import builders
from hyperstyle_jax.data.examples import RecordSource


@pytest.fixture
def copy(faces_dir, tmp_path):
    return shutil.copytree(faces_dir, tmp_path / "copy")


def change(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


IMAGE = "tensorflow_datasets.core.features.image_feature.Image"


@pytest.mark.parametrize(
    "evil",
    [
        f'"pythonClassName": "{IMAGE}"',
        '"pythonClassName": "evil_module.Feature"',
        '"python_class_name": "evil_module.Feature"',
        '"python_class_name": ["evil_module.Feature"]',
        '"type": "evil_module.Feature", "content": {}',
        '"type": "evil_module.Feature", "content": "{}"',
    ],
)
def test_no_module_is_imported_that_a_data_set_names(copy, monkeypatch, evil):
    (copy.parent / "evil_module.py").write_text("raise SystemExit('evil')")
    monkeypatch.syspath_prepend(str(copy.parent))
    change(copy / "features.json", f'"pythonClassName": "{IMAGE}"', evil)
    if IMAGE in evil:
        assert len(RecordSource(copy)) == 23
        return
    with pytest.raises(ValueError, match="names the feature .*expected BBoxFeature"):
        builders.open_records(copy)
    with pytest.raises(ValueError, match="names the feature"):
        builders.shapes(copy)
    assert "evil_module" not in sys.modules


def test_nor_one_that_its_other_file_names(copy):
    info = json.loads((copy / "dataset_info.json").read_text())
    info["features"] = {"pythonClassName": "evil_module.Feature"}
    (copy / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(ValueError, match="evil_module"):
        builders.open_records(copy)


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"a": 1}', "[" * 10_000, '{"version": 1}', "null"]
)
def test_a_damaged_description_is_one_line(copy, name, content):
    (copy / name).write_text(content)
    with pytest.raises(ValueError, match="damaged|features") as caught:
        builders.open_records(copy)
    assert "\n" not in str(caught.value) and str(copy) in str(caught.value)


def test_damaged_records_are_errors_that_name_them(copy):
    shard = next(copy.glob("*array_record*"))
    data = bytearray(shard.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(data), len(data) // 20):
        data[place] ^= 255
    shard.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="copy"):
        RecordSource(copy).take(np.arange(23))


@pytest.fixture
def prepared(tmp_path):
    """A folder that was prepared from images."""
    source = fill(tmp_path / "in", ["1.png", "2.png"])
    assert prepare("folder", source, out=tmp_path / "out") == 0
    return tmp_path / "out"


@pytest.mark.parametrize(
    "name, content",
    [
        ("report.json", "[1]"),
        ("report.json", '{"shards": 1}'),
        ("report.json", '{"shards": {"a": 1}}'),
        ("report.json", '{"shar'),
        ("parts/train-00000.json", '{"images": 1}'),
        ("parts/train-00000.json", '{"images": [[1, 2, 3]]}'),
        ("parts/train-00000.json", '{"images": [["a", "b", "c", "d"]]}'),
        ("parts/train-00000.json", "null"),
    ],
)
def test_damaged_notes_beside_the_records_are_one_line(prepared, name, content):
    (prepared / name).write_text(content)
    with pytest.raises(ValueError, match=f"{name} is damaged .*copy") as caught:
        builders.open_records(prepared)
        RecordSource(prepared).image_sums()
    assert "\n" not in str(caught.value)


def test_files_of_another_format_are_named(prepared):
    change(prepared / "dataset_info.json", '"array_record"', '"tfrecord"')
    with pytest.raises(ValueError, match="format tfrecord, expected array_record"):
        builders.open_records(prepared)
