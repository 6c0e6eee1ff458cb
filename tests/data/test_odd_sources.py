"""What `hyperstyle prepare` does with sources of which not everything can be read."""

import os

import pytest
from command import error_of
from sources import celeba, fill, png, prepare, stored, zipped

from hyperstyle_jax import images
from hyperstyle_jax.data import datasets, preparing, shard_files
from hyperstyle_jax.data.examples import RecordSource


def test_a_damaged_entry_is_skipped(tmp_path):
    path = zipped(tmp_path / "set.zip", {"1.png": png(1), "2.png": png(2)})
    data = bytearray(path.read_bytes())
    data[60:70] = bytes(10)
    path.write_bytes(data)
    assert prepare("folder", path, out=tmp_path / "out") == 1
    (problem,) = shard_files.skipped(tmp_path / "out").values()
    assert problem.startswith("1.png: cannot be unpacked")


def test_odd_files_are_skipped_and_other_kinds_counted(tmp_path, capsys):
    source = fill(tmp_path / "in", ["1.png", "2.png"])
    os.mkfifo(source / "0.png")
    (source / "9.png").symlink_to("nothing")
    (source / "again").symlink_to(".")
    (source / "a.heic").touch()
    more = ["--eval-count", "1"]
    assert prepare("folder", source, out=tmp_path / "out", more=more) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "skipped: 0.png: a pipe, not an image" in lines
    assert "skipped: 9.png: a link to nothing" in lines
    assert "left out: 1 .heic: not read; convert them to PNG or JPEG" in lines
    assert shard_files.report(tmp_path / "out")["counts"] == {"train": 1, "test": 1}
    path = preparing.prepare_folder(source, tmp_path / "data", 16)
    assert len(RecordSource(path)) == 2
    text = capsys.readouterr().out
    assert "skipped 9.png: a link to nothing" in text and "1 .heic: not read" in text
    for name in ("1.png", "2.png"):
        (source / name).unlink()
    assert prepare("folder", source, out=tmp_path / "none") == 1
    assert "no image in it" in (line := error_of(capsys))
    assert "first problem: " in line and "0.png: a pipe, not an image" in line


def test_an_odd_file_stops_no_data_set_of_its_own_kind(tmp_path):
    source = celeba(tmp_path / "set")
    (source / "CelebA-HQ-img" / "dead.png").symlink_to("nothing")
    more = ["--partial"]
    assert prepare("celeba-hq", source, out=tmp_path / "out", more=more) == 1
    assert shard_files.report(tmp_path / "out")["counts"] == dict.fromkeys(
        ("train", "validation", "test"), 2
    )
    dataset = datasets.find("celeba-hq", [str(source)])
    with pytest.raises(ValueError, match="got 2 train, 2 validation, 2 test; expected"):
        datasets.check_counts("celeba-hq", dataset.splits)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_tables_as_editors_of_windows_save_them(tmp_path, encoding):
    source = celeba(tmp_path / "set")
    for table in source.glob("*.txt"):
        table.write_bytes(table.read_text().replace("\n", "\r\n").encode(encoding))
    splits = datasets.find("celeba-hq", [str(source)]).splits
    assert {split: len(files) for split, files in splits.items()} == dict.fromkeys(
        ("train", "validation", "test"), 2
    )


def test_a_table_that_is_no_text(tmp_path):
    source = celeba(tmp_path / "set")
    (source / "list_eval_partition.txt").write_bytes(b"000101.jpg 0 \xff\xe9")
    with pytest.raises(ValueError, match="partition.txt: not a text in UTF-8 .*save"):
        datasets.find("celeba-hq", [str(source)])


def test_too_little_memory_drops_no_image(tmp_path, capsys, monkeypatch):
    """It stops with one line; the same command makes the data set later."""
    source, read = fill(tmp_path / "in", ["1.png", "2.png"]), images.read

    def fail(data, name):
        if name.endswith("2.png"):
            raise MemoryError(f"{name}: not enough memory to read this image")
        return read(data, name)

    with monkeypatch.context() as patch:
        patch.setattr(images, "read", fail)
        assert prepare("folder", source, out=tmp_path / "out") == 1
        assert "2.png: not enough memory" in error_of(capsys)
    assert prepare("folder", source, out=tmp_path / "out") == 0
    assert list(stored(tmp_path / "out")) == ["1.png", "2.png"]
