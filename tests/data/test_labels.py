"""Tables beside the images: CSV and JSONL, numbers, categories, names and folders."""

import json
import zipfile

import numpy as np
import pytest
from paths import SHARED

from hyperstyle_jax import images
from hyperstyle_jax.data import labels, preparing, walking

CSV = """file,age,hair,beard,note,who
a.png,30,bun,,same,Ann
b.png,4.5,spiky,full,same,Bob
sub/c.png,,bun,,same,Ann
"""
JSON = [
    {"file": "a.png", "age": 30, "hair": "bun", "note": "same", "who": "Ann"},
    {"file": "b.png", "age": 4.5, "hair": "spiky", "beard": "full", "note": "same",
     "who": "Bob"},
    {"file": "sub/c.png", "hair": "bun", "note": "same", "who": "Ann"},
]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_both_kinds_of_tables_say_the_same(tmp_path, kind):
    path = tmp_path / f"labels.{kind}"
    lines = "".join(f"{json.dumps(row)}\n" for row in JSON)
    path.write_text(CSV if kind == "csv" else lines)
    table = labels.read(path, identity="who")
    values = dict(zip(table.attributes, table.values.T, strict=True))
    np.testing.assert_array_equal(values["age"], [30, 4.5, np.nan])
    np.testing.assert_array_equal(values["hair=bun"], [1, 0, 1])
    np.testing.assert_array_equal(values["beard=none"], [1, 0, 1])
    assert table.left_out == {"note": "the same in every row"}
    np.testing.assert_array_equal(table.identities, [0, 1, 0])
    mean, _ = table.statistics()
    assert mean[table.attributes.index("age")] == pytest.approx(17.25)
    chosen = labels.read(path, ["age"]).attributes
    assert chosen == ("age",) and labels.read(path, ["age"]).identities is None


def test_a_table_may_name_images_by_other_folders(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("image,age\ntrain/1.png,1\ntrain/2.png,2\nx/3.png,3\ny/3.png,4\n")
    table = labels.read(path)
    rows = table.rows_of(["1.png", "set/train/2.png", "3.png", "y/3.png", "none.png"])
    assert rows.tolist() == [0, 1, -1, 3, -1]  # "3.png" could be two of them


@pytest.mark.parametrize(
    "text, options, message",
    [
        ("", {}, "no row in it"),
        ("file,age\na.png,1,2\n", {}, "a row is longer than the header"),
        ("file,age\n,1\nb.png,2\n", {}, "row 1 has no file"),
        ("file,age\na.png,1\nb.png,2\n", {"columns": ["size"]}, "no column size; it"),
        ("file,age\na.png,1\nb.png,1\n", {"columns": ["age"]}, "age is the same"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, text, options, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        labels.read(path, **options)
    assert "\n" not in str(error.value)


def test_numbers_of_rows_and_free_text_are_no_attributes(tmp_path):
    path = tmp_path / "labels.csv"
    rows = "".join(f"{i}.png,{i + 5},{i}th word,{i % 2}\n" for i in range(100))
    path.write_text(f"file,seed,title,odd\n{rows}")
    table = labels.read(path)
    assert table.attributes == ("odd",)
    assert set(table.left_out) == {"seed", "title"}


def test_prepared_images_keep_their_table(tmp_path):
    for name in ("a", "b"):
        images.save_png(tmp_path / f"in/{name}.png", np.zeros((16, 16, 3), np.uint8))
    table = tmp_path / "labels.csv"
    table.write_text("file,age\na.png,1\nb.png,2\n")
    source = [str(tmp_path / "in")]
    preparing.prepare("folder", source, tmp_path / "out", 16, labels=table)
    stored = labels.read(tmp_path / "out" / labels.NAME)
    assert stored.files == ["a.png", "b.png"] and stored.attributes == ("age",)
    table.write_text("file,age\nc.png,1\nd.png,2\n")
    with pytest.raises(ValueError, match="the labels name no image"):
        preparing.prepare("folder", source, tmp_path / "other", 16, labels=table)
    assert not (tmp_path / "other").exists()


def test_a_folder_and_a_table_in_a_zip_file(tmp_path):
    png = images.encode_png(np.zeros((16, 16, 3), np.uint8))
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("train/1.png", "train/sub/2.png", "test/3.png"):
            archive.writestr(name, png)
        archive.writestr("train.csv", "file,age\ntrain/1.png,1\ntrain/sub/2.png,2\n")
    files = walking.find_images(f"{tmp_path}/set.zip/train").files
    assert [file.name for file in files] == ["1.png", "sub/2.png"]
    assert files[0].read() == png
    table = labels.read(f"{tmp_path}/set.zip/train.csv")
    assert table.rows_of([file.name for file in files]).tolist() == [0, 1]
    with pytest.raises(ValueError, match="no image in a folder tran .* test, train"):
        walking.find_images(f"{tmp_path}/set.zip/tran")
    with pytest.raises(ValueError, match="expected a .csv or .jsonl"):
        labels.read(tmp_path / "none.csv")


@pytest.mark.skipif(
    not (SHARED / "pictures/toon_head_64.zip").is_file(), reason="no toon heads here"
)
def test_the_table_of_the_toon_heads():
    table = labels.read(f"{SHARED}/pictures/toon_head_64.zip/test.jsonl")
    assert {"rotate", "flip", "beard=none", "hair=bun"} <= set(table.attributes)
    assert set(table.left_out) == {"seed"} and table.values.shape[0] == 512
