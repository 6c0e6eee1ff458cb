"""Which files of folders and zip files are images, and what is said of the others."""

import io
import os
import socket
import stat
import warnings
import zipfile

import pytest

from hyperstyle_jax.data import walking
from hyperstyle_jax.data.entries import left_out_line


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def packed(*entries) -> bytes:
    """A zip file of names, or of (name or ZipInfo, content)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there already
        for entry in entries:
            name, data = entry if isinstance(entry, tuple) else (entry, entry.encode())
            info = zipfile.ZipInfo(name) if isinstance(name, str) else name
            archive.writestr(info, data)
    return out.getvalue()


def names_of(*sources) -> list[str]:
    files = walking.find([str(source) for source in sources]).files
    return [file.name for file in files if not file.problem]


def odd(*sources) -> dict[str, str]:
    files = walking.find([str(source) for source in sources]).files
    return {file.name: file.problem for file in files if file.problem}


NAMES = ["0.PNG", "a/1.jpg", "a/b/2.jfif", "a/b/3.TIFF", "c d/é.webp", "x.bmp", "y.gif"]
PASSED = [".hidden.png", "a/.trash/1.png", "__MACOSX/a/1.png", "a/__MACOSX/._1.png",
          "notes.txt", "a/data.json", "LICENSE"]  # fmt: skip


def test_one_set_of_rules(tmp_path):
    """A folder, a zip file of it, and a zip file within a folder."""
    folder = fill(tmp_path / "in", *NAMES, *PASSED)
    (tmp_path / "set.zip").write_bytes(packed(*NAMES, *PASSED))
    (tmp_path / "outer" / "deep").mkdir(parents=True)
    (tmp_path / "outer/deep/set.ZIP").write_bytes(packed(*NAMES, *PASSED))
    assert names_of(folder) == names_of(tmp_path / "set.zip") == sorted(NAMES)
    inner = [f"deep/set/{name}" for name in sorted(NAMES)]
    assert names_of(tmp_path / "outer") == inner
    for source in (folder, tmp_path / "set.zip", tmp_path / "outer"):
        assert not odd(source)
        for file in walking.find([str(source)]).files:
            assert file.read().decode() == file.name.removeprefix("deep/set/")


def test_names_of_zip_files_as_programs_write_them(tmp_path):
    path = tmp_path / "set.zip"
    path.write_bytes(packed("./0.png", "././a/./1.png", "../2.png", "/3.png",
                            ".\\b\\4.png", "c//5.png", "./.6.png", "./"))  # fmt: skip
    assert names_of(path) == [
        "0.png",
        "2.png",
        "3.png",
        "a/1.png",
        "b/4.png",
        "c/5.png",
    ]


# --- links


def test_a_linked_folder_is_followed_once(tmp_path):
    album, other = fill(tmp_path / "album", "own.png"), fill(tmp_path / "s", "1.png")
    for name in ("holiday", "again"):
        (album / name).symlink_to("../s")
    (album / "deep").mkdir()
    (album / "deep" / "file.png").symlink_to(other / "1.png")
    assert names_of(album) == ["again/1.png", "own.png"]
    # The name that needs no link is taken, whatever the order.
    assert (
        names_of(album, other) == names_of(album, other, album) == ["own.png", "1.png"]
    )


@pytest.mark.parametrize("target", [".", "..", "../in", "sub", "sub/.."])
def test_a_loop_of_links_multiplies_nothing(tmp_path, target):
    folder = fill(tmp_path / "in", "1.png", "sub/2.png")
    (folder / "loop").symlink_to(target)
    (folder / "sub" / "back").symlink_to(folder)
    assert names_of(folder) == ["1.png", "sub/2.png"]
    assert not odd(folder)


def test_a_file_that_several_ways_lead_to(tmp_path):
    folder = fill(tmp_path / "in", "b.png")
    (folder / "a.png").symlink_to("b.png")
    assert names_of(folder) == ["b.png"]
    assert names_of(folder / "b.png", folder, folder / "b.png") == ["b.png"]


def test_links_in_zip_files(tmp_path):
    def link(name):
        info = zipfile.ZipInfo(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        return info

    path = tmp_path / "set.zip"
    links = {"b/2.png": "../a/1.png", "c": "a", "3.png": "/etc/passwd"}
    entries = [(link(name), target) for name, target in links.items()]
    path.write_bytes(packed("a/1.png", *entries))
    assert names_of(path) == ["a/1.png"]
    assert odd(path) == {"3.png": "a link to something outside the zip file"}


def test_folders_nested_more_deeply_than_python_recurses(tmp_path):
    folder = tmp_path
    for _ in range(600):
        folder = folder / "d"
        folder.mkdir()
    fill(folder, "1.png")
    assert [name[-5:] for name in names_of(tmp_path)] == ["1.png"]


# --- odd files


def test_odd_files_are_listed_and_the_rest_is_found(tmp_path):
    folder = fill(tmp_path / "in", "1.png", "dir.png/2.png")
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe.zip")
    os.mkfifo(folder / "pipe")
    (folder / "dead.png").symlink_to("nothing")
    (folder / "dead").symlink_to("nothing")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "page.zip").write_text("<html>")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket.png"))
    assert names_of(folder) == ["1.png"]
    problems = odd(folder)
    assert problems.pop("page.zip").startswith("not a zip file that can be read")
    assert problems == {
        "dead": "a link to nothing",
        "dead.png": "a link to nothing",
        "dir.png": "a folder, not an image",
        "loop.png": "a link that leads to itself",
        "pipe.png": "a pipe, not an image",
        "pipe.zip": "a pipe, not an image",
        "socket.png": "a socket, not an image",
        "zero.png": "a device, not an image",
    }
    for file in walking.find([str(folder)]).files:
        if file.problem:
            with pytest.raises(ValueError, match=f"{file.path}: {file.problem[:9]}"):
                file.read()


def test_names_that_are_not_utf_8(tmp_path):
    folder = fill(tmp_path / "in", "1.png")
    for name in (b"caf\xe9.png", b"notes\xe9.txt"):
        with open(os.path.join(os.fsencode(folder), name), "wb"):
            pass
    os.mkdir(os.path.join(os.fsencode(folder), b"alb\xfcm"))
    why = "its name is not UTF-8; rename it"
    assert odd(folder) == {"alb\\xfcm": why, "caf\\xe9.png": why}
    assert names_of(folder) == ["1.png"]


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    folder = fill(tmp_path / "in", "1.png", "shut/2.png")
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert odd(folder) == {"shut": "permission denied"} and names_of(folder) == [
        "1.png"
    ]


def test_odd_entries_of_zip_files(tmp_path):
    damaged = bytearray(packed(("inner.zip", packed("1.png"))))
    damaged[50:60] = bytes(10)
    path = tmp_path / "set.zip"
    path.write_bytes(packed("1.png", "dir.png/2.png", ("damaged.zip", bytes(damaged)),
                            ("page.zip", b"<html>"), "./1.png"))  # fmt: skip
    assert names_of(path) == ["1.png"]
    problems = odd(path)
    assert problems.pop("damaged/inner.zip").startswith("cannot be unpacked (Bad CRC")
    assert problems.pop("page.zip").startswith("not a zip file that can be read")
    assert problems == {
        "1.png": "twice in this zip file; only the last is taken",
        "dir.png": "a folder, not an image",
    }
    (file,) = [f for f in walking.find([str(path)]).files if not f.problem]
    assert file.read() == b"./1.png"


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2,
                                    zipfile.ZIP_LZMA])  # fmt: skip
def test_damage_in_every_method_of_packing(tmp_path, method):
    inner = packed(("1.png", bytes(range(256)) * 40))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("in.zip", inner)
        archive.writestr("2.png", inner)
    data = bytearray(out.getvalue())
    for name in (b"in.zip", b"2.png"):
        start = data.index(name) + len(name) + 10
        data[start : start + 30] = b"\xff" * 30
    (tmp_path / "set.zip").write_bytes(data)
    assert "cannot be unpacked" in odd(tmp_path / "set.zip")["in.zip"]
    files = walking.find([str(tmp_path / "set.zip")]).files
    with pytest.raises(ValueError, match="set.zip/2.png: cannot be unpacked"):
        files[0].read()


def test_a_zip_file_that_contains_itself_ends(tmp_path):
    data = packed("1.png")
    for _ in range(9):
        data = packed(("z.zip", data))
    (tmp_path / "set.zip").write_bytes(data)
    (problem,) = odd(tmp_path / "set.zip").values()
    assert problem == "more than 5 zip files inside each other"


def test_a_full_disk_is_no_damaged_zip_file(tmp_path, monkeypatch):
    import shutil

    def full(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "set.zip").write_bytes(packed(("in.zip", packed("1.png"))))
    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left.*unpacked to .*set.zip/in.zip"):
        walking.find([str(tmp_path / "set.zip")])


# --- names and counts


def test_a_zip_file_beside_its_folder(tmp_path):
    """Both are read, under different names."""
    folder = fill(tmp_path / "in", "set/1.png")
    (folder / "set.zip").write_bytes(packed("1.png"))
    assert names_of(folder) == ["set.zip/1.png", "set/1.png"]
    both = packed("set/1.png", ("set.zip", packed("1.png")))
    (tmp_path / "both.zip").write_bytes(both)
    assert names_of(tmp_path / "both.zip") == ["set.zip/1.png", "set/1.png"]


def test_images_of_other_kinds_are_counted(tmp_path):
    names = "1.png a.HEIC b/c.heic d.CR2 e.jpg_large f.mp4 g.txt h.npz README .j.heic"
    folder = fill(tmp_path / "in", *names.split())
    (folder / "download").write_bytes(b"\xff\xd8\xff\xe0" + bytes(20))
    (folder / "set.zip").write_bytes(packed("x.heic", "__MACOSX/x.heic", "y.avif"))
    listing = walking.find([str(folder)])
    assert left_out_line(listing.left_out) == (
        "left out: 3 .heic, 1 .avif, 1 .cr2, 1 .jpg_large, 1 .mp4, 1 without an "
        "ending: not read; convert them to PNG or JPEG"
    )
    assert left_out_line({}) == ""
    assert left_out_line({".tar": 1}).endswith("(unpack archives)")


def test_a_source_without_images(tmp_path):
    folder = fill(tmp_path / "in", "a.heic", "notes.txt")
    with pytest.raises(ValueError, match="in: no image in it, .*; left out: 1 .heic"):
        walking.find_images(str(folder))
    assert walking.find([str(folder)]).empty == [str(folder)]


def test_sources_that_are_none(tmp_path):
    (tmp_path / "dead").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "set.tgz").touch()
    cases = {
        "missing": "missing: got nothing, expected a folder or a zip file",
        "dead": "dead: got a dead link",
        "pipe.png": "pipe.png: got a pipe",
        "set.tgz": "set.tgz: got .tgz, .*; unpack it",
    }
    for name, message in cases.items():
        with pytest.raises(ValueError, match=message):
            walking.find([str(tmp_path / name)])


def test_a_file_that_was_named_may_have_any_ending(tmp_path):
    fill(tmp_path, "photo", "photo.jpg:large")
    (tmp_path / "archive").write_bytes(packed("1.png"))
    names = ("photo", "photo.jpg:large", "archive")
    assert names_of(*(tmp_path / name for name in names)) == [*names[:2], "1.png"]
