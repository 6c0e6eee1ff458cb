"""Files appear whole or not at all, and leave nothing behind."""

import os
import subprocess
import sys

import pytest

from hyperstyle_jax.system import atomic_files


def test_the_longest_names_can_be_written(tmp_path):
    path = tmp_path / ("n" * 251 + ".png")
    assert atomic_files.write_whole(path, b"x") == path
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("error", [OSError(5, "broken"), KeyboardInterrupt()])
def test_what_stops_a_write_leaves_the_old_file_alone(tmp_path, monkeypatch, error):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def stop(*_):
        raise error

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(type(error)):
        atomic_files.write_whole(path, b"new")
    assert path.read_bytes() == b"old" and [*tmp_path.iterdir()] == [path]


def test_parts_of_dead_processes_are_swept_and_those_of_living_ones_stay(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "images").mkdir()
    gone = [tmp_path / f".part-{dead.pid}-1", tmp_path / f"images/.part-{dead.pid}-2"]
    mine = tmp_path / f".part-{os.getpid()}-3"  # of one that had this number before
    stay = tmp_path / f".part-{os.getppid()}-4"
    for part in (*gone, mine, stay):
        part.touch()
    atomic_files.sweep(tmp_path)
    assert stay.exists() and not any(part.exists() for part in (*gone, mine))
