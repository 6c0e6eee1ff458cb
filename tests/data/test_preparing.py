"""`hyperstyle prepare`: made, resumed, reported; and what it refuses."""

import errno
import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from command import error_of, photo
from paths import ROOT
from sources import celeba, fill, png, prepare, stored, zipped

from hyperstyle_jax import images
from hyperstyle_jax.data import (
    builders,
    datasets,
    preparing,
    shard_files,
    tfds_format,
)
from hyperstyle_jax.data.published import DATASETS
from hyperstyle_jax.system import atomic_files


def assert_fits(image, seed, height=16, width=16):
    expected = images.fit(photo(seed), height, width)
    np.testing.assert_array_equal(image, expected)


def test_a_folder_held_out_in_part(tmp_path, capsys):
    source = fill(tmp_path / "in", [f"{i:02d}.png" for i in range(6)])
    more = ["--eval-count", "2", "--height", "20", "--size", "24"]
    assert prepare("folder", source, out=tmp_path / "out", more=more) == 0
    train, test = (stored(tmp_path / "out", split) for split in ("train", "test"))
    assert list(train) == [f"{i:02d}.png" for i in range(4)]
    assert list(test) == ["04.png", "05.png"]
    for i, image in enumerate([*train.values(), *test.values()]):
        assert_fits(image, i, 20, 24)
    text = capsys.readouterr().out
    report = shard_files.report(tmp_path / "out")
    assert "4 train, 2 test" in text and report["sha256"] in text


def test_zip_files_within_folders_and_zip_files(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("deep/2.png", png(2))
    files = {"1.png": png(1), "more.ZIP": inner.getvalue(), ".hidden.png": b"",
             "__MACOSX/1.png": b"", "notes.txt": b"no image"}  # fmt: skip
    zipped(tmp_path / "in" / "images.zip", files)
    fill(tmp_path / "in", ["0.png"])
    assert prepare("folder", tmp_path / "in", out=tmp_path / "out") == 0
    by_name = stored(tmp_path / "out")
    assert list(by_name) == ["0.png", "images/1.png", "images/more/deep/2.png"]
    for i, image in enumerate(by_name.values()):
        assert_fits(image, i)


def test_a_bucket(tmp_path, monkeypatch):
    """etils asks fsspec; here a file system in memory answers."""
    import fsspec
    from etils.epath import backend
    from fsspec.implementations.memory import MemoryFileSystem

    class Bucket(MemoryFileSystem):
        protocol = ("gcs", "gs")
        store, pseudo_dirs = {}, [""]

        @classmethod
        def _strip_protocol(cls, path):
            return super()._strip_protocol(path.removeprefix("gs://"))

    fsspec.register_implementation("gcs", Bucket, clobber=True)
    backend.fsspec_backend._get_filesystem.cache_clear()
    system = fsspec.filesystem("gcs")
    for name, data in {"set/a.png": png(0), "set/sub/b.png": png(1)}.items():
        system.pipe(f"gs://bucket/{name}", data)
    assert prepare("folder", "gs://bucket/set", out=tmp_path / "out") == 0
    by_name = stored(tmp_path / "out")
    assert list(by_name) == ["a.png", "sub/b.png"]
    assert_fits(by_name["sub/b.png"], 1)


def test_ffhq_is_whole(tmp_path, capsys):
    source = fill(tmp_path / "images1024x1024", ["00000/00000.png", "00000/00001.png"])
    assert prepare("ffhq", source, out=tmp_path / "out") == 1
    assert "got 2 train; expected 70,000 train" in error_of(capsys)
    assert not (tmp_path / "out").exists()
    more = ["--partial", "--eval-count", "1"]
    assert prepare("ffhq", source, out=tmp_path / "out", more=more) == 0
    assert list(stored(tmp_path / "out", "test")) == ["images1024x1024/00000/00001.png"]


@pytest.mark.parametrize("name", ["image_list.txt", "CelebA-HQ-to-CelebA-mapping.txt"])
def test_celeba_hq_is_split_as_celeba(tmp_path, name):
    """The tables lie beside the folder of images."""
    source = celeba(tmp_path / "set", name) / "CelebA-HQ-img"
    more = ["--partial"]
    assert prepare("celeba-hq", source, out=tmp_path / "out", more=more) == 0
    for split, places in {
        "train": (0, 1),
        "validation": (2, 3),
        "test": (4, 5),
    }.items():
        by_name = stored(tmp_path / "out", split)
        assert list(by_name) == [f"CelebA-HQ-img/{i}.png" for i in places]


def test_celeba_hq_says_which_tables_it_lacks(tmp_path, capsys):
    source = celeba(tmp_path / "set")
    assert prepare("celeba-hq", source, out=tmp_path / "out") == 1
    assert "2,993 validation, 2,824 test" in error_of(capsys)
    (source / "list_eval_partition.txt").unlink()
    assert prepare("celeba-hq", source, out=tmp_path / "out") == 1
    error = error_of(capsys)
    assert "missing list_eval_partition.txt (of CelebA), which" in error
    (source / "CelebA-HQ-to-CelebA-mapping.txt").write_text("idx\n")
    (source / "list_eval_partition.txt").write_text("000101.jpg 0\n")
    assert prepare("celeba-hq", source, out=tmp_path / "out") == 1
    assert "got the line 'idx', expected 3" in error_of(capsys)
    celeba(source)
    fill(source / "CelebA-HQ-img", ["7.png"])
    assert prepare("celeba-hq", source, out=tmp_path / "out") == 1
    assert "7.png is not in CelebA-HQ-to-CelebA-mapping.txt" in error_of(capsys)


def test_cars_of_two_archives(tmp_path, capsys):
    train = zipped(tmp_path / "cars_train.zip", {"cars_train/1.png": png(1)})
    test = zipped(tmp_path / "cars_test.zip", {"1.png": png(2)})
    more = ["--partial", "--height", "12", "--size", "16"]
    assert prepare("stanford-cars", train, out=tmp_path / "out", more=more) == 1
    assert "no image below a folder cars_test" in error_of(capsys)
    more = ["--partial", "--height", "16", "--size", "20"]
    assert prepare("stanford-cars", train, test, out=tmp_path / "out", more=more) == 0
    assert_fits(stored(tmp_path / "out", "test")["cars_test/1.png"], 2, 16, 20)


def test_afhq_of_one_animal(tmp_path, capsys):
    names = ["train/wild/1.png", "val/wild/2.png", "train/cat/3.png"]
    source = fill(tmp_path / "afhq", names)
    assert prepare("afhq", source, out=tmp_path / "out") == 1
    error = error_of(capsys)
    assert "got 1 train, 1 test; expected 4,738 train, 500 test or 4,593" in error
    assert prepare("afhq", source, out=tmp_path / "out", more=["--partial"]) == 0
    assert list(stored(tmp_path / "out")) == ["afhq/train/wild/1.png"]
    assert list(stored(tmp_path / "out", "test")) == ["afhq/val/wild/2.png"]
    more = ["--animal", "dog"]
    assert prepare("afhq", source, out=tmp_path / "other", more=more) == 1
    assert "no image below a folder dog" in error_of(capsys)
    assert prepare("stanford-cars", source, out=tmp_path / "other") == 1
    assert "is not below one of the folders cars_train, cars_test" in error_of(capsys)


def test_what_cannot_be_read_is_listed(tmp_path, capsys):
    files = {"a.png": png(0), "b.png": b"no image", "c.png": png(1)[:200]}
    source = zipped(tmp_path / "in.zip", files)
    assert prepare("folder", source, out=tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert "skipped: b.png: not an image" in err and "skipped: c.png: damaged" in err
    assert list(stored(tmp_path / "out")) == ["a.png"]
    assert shard_files.skipped(tmp_path / "out").keys() == {"b.png", "c.png"}
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["counts"] == {"train": 1}
    source = zipped(tmp_path / "bad.zip", {"b.png": b"no image"})
    assert prepare("folder", source, out=tmp_path / "none") == 1
    assert "no readable image in split train; first problem: b.png" in error_of(capsys)


def test_sources_that_are_none(tmp_path, capsys):
    (tmp_path / "set.tgz").write_bytes(b"")
    (tmp_path / "page.zip").write_text("<html>")
    cases = {
        tmp_path / "missing": "got nothing, expected a folder or a zip file",
        tmp_path / "set.tgz": "got .tgz, expected a folder or a zip file; unpack it",
        tmp_path / "page.zip": "not a zip file that can be read",
        zipped(tmp_path / "empty.zip", {}): "no image in it",
    }
    for source, message in cases.items():
        assert prepare("folder", source, out=tmp_path / "out") == 1
        assert message in error_of(capsys)
    assert not (tmp_path / "out").exists()


def test_a_image_in_train_and_test_is_reported(tmp_path, capsys):
    source = fill(tmp_path / "afhq", ["train/cat/1.png", "test/cat/2.png"])
    atomic_files.write_whole(source / "test/cat/same_file.png", png(0))
    other = io.BytesIO()
    from PIL import Image

    Image.fromarray(photo(0)).save(other, "PNG", compress_level=1)
    atomic_files.write_whole(source / "test/cat/same_image.png", other.getvalue())
    more = ["--animal", "cat", "--partial"]
    assert prepare("afhq", source, out=tmp_path / "out", more=more) == 1
    lines = capsys.readouterr().err.splitlines()
    leaks = [line for line in lines if line.startswith("in train too")]
    assert leaks == [
        f"in train too: test: afhq/test/cat/same_{what}.png = "
        "train: afhq/train/cat/1.png"
        for what in ("file", "image")
    ]


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(preparing, "_SHARD_PIXELS", 0)  # 16 images a file


def test_interrupted_it_goes_on_with_the_missing_files(
    tmp_path, monkeypatch, small_shards
):
    names = [f"{i:03d}.png" for i in range(40)]
    source, out = fill(tmp_path / "in", names), tmp_path / "out"
    whole = preparing.prepare("folder", [str(source)], tmp_path / "whole", 16)
    make, read = preparing._made_example, []

    def stop(file, height, width):
        if file.name == "020.png":
            raise KeyboardInterrupt
        return make(file, height, width)

    monkeypatch.setattr(preparing, "_made_example", stop)
    assert prepare("folder", source, out=out) == 130
    with pytest.raises(ValueError, match="not a prepared data set"):
        builders.open_records(out)

    def count(file, height, width):
        read.append(file.name)
        return make(file, height, width)

    monkeypatch.setattr(preparing, "_made_example", count)
    report = preparing.prepare("folder", [str(source)], out, 16)
    assert sorted(read) == names[16:]
    assert report == whole and list(stored(out)) == names
    # A damaged file is made again, an undamaged data set is left alone.
    read.clear()
    shard = out / "folder-train.array_record-00001-of-00003"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert preparing.prepare("folder", [str(source)], out, 16) == whole
    assert sorted(read) == names[16:32]


def test_killed_it_leaves_nothing_behind(tmp_path):
    source, out = fill(tmp_path / "in", ["1.png"]), tmp_path / "out"
    preparing.prepare("folder", [str(source)], out, 16)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getppid()):
        (out / f".part-{pid}-x").touch()
    preparing.prepare("folder", [str(source)], out, 16)
    (left,) = out.glob(".part-*")
    assert f"-{os.getppid()}-" in left.name  # somebody still writes it


def test_another_data_set_is_not_mixed_in(tmp_path, capsys):
    source = fill(tmp_path / "in", ["1.png"])
    assert prepare("folder", source, out=tmp_path / "out") == 0
    assert prepare("folder", source, out=tmp_path / "out", size=20) == 1
    assert "height: 16 there, 20 here; size: 16 there" in error_of(capsys)
    assert prepare("folder", source, out=source) == 1
    assert "is not empty and no data set" in error_of(capsys)


def test_a_missing_or_short_file_is_refused(tmp_path):
    source = fill(tmp_path / "in", ["1.png"])
    prepare("folder", source, out=tmp_path / "out")
    (file,) = (tmp_path / "out").glob("*array_record*")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="expected .* copy the data set again"):
        builders.open_records(tmp_path / "out")


def test_records_have_the_same_bytes_in_every_process():
    """protobuf would write the fields in an order that it draws for each process."""
    names = [f"field_{letter}" for letter in "hgfedcba"]
    features = tfds_format.features_dict({name: tfds_format.text() for name in names})
    record = tfds_format.serializer(features)({name: "" for name in names})
    places = [record.index(name.encode()) for name in sorted(names)]
    assert places == sorted(places)


def test_a_description_is_there_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    def fill_disk(info, folder):
        (folder / "features.json").write_text('{"pythonCl')
        raise OSError(errno.ENOSPC, "No space left on device")

    source = fill(tmp_path / "in", ["1.png"])
    with monkeypatch.context() as patch:
        patch.setattr(tfds.core.DatasetInfo, "write_to_directory", fill_disk)
        assert prepare("folder", source, out=tmp_path / "out") == 1
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert not names & {"features.json", "report.json"}
    assert not [name for name in names if name.startswith(".")]
    assert prepare("folder", source, out=tmp_path / "out") == 0
    assert len(stored(tmp_path / "out")) == 1


def test_names_do_not_depend_on_the_machine(tmp_path):
    for place in ("a", "b"):
        zipped(tmp_path / place / "set.zip", {"x/1.png": png(1)})
    paths = [str(tmp_path / place / "set.zip") for place in "ab"]
    both = [datasets.find("folder", [path]) for path in paths]
    for a, b in zip(*(dataset.splits["train"] for dataset in both), strict=True):
        assert a.name == b.name and a.stamp == b.stamp
    assert len(datasets.find("folder", [paths[0]] * 2).splits["train"]) == 1
    with pytest.raises(ValueError, match="x/1.png is the name of two files, .*rename"):
        datasets.find("folder", paths)


def test_the_documents_name_every_data_set():
    document = (ROOT / "docs" / "data.md").read_text()
    assert [name for name in DATASETS if f"`{name}`" not in document] == []
