"""One process at a time in a folder; what dead ones leave is no hindrance."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from paths import ROOT

from hyperstyle_jax.system import folder_lock, processes

HOLDER = """
import sys, time
from hyperstyle_jax.system import folder_lock
with folder_lock.hold(sys.argv[1], beside=sys.argv[2] == "beside"):
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def another(folder, how="inside"):
    """Another process that holds the folder."""
    command = [sys.executable, "-c", HOLDER, str(folder), how]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", ["inside", "beside"])
def test_a_second_process_is_refused_and_told_who_is_there(tmp_path, how):
    folder = tmp_path / "run"
    with another(folder, how) as process:
        wanted = f"run is in use by process {process.pid} on {processes.host()} "
        with pytest.raises(ValueError, match=wanted):
            with folder_lock.hold(folder, beside=how == "beside"):
                pass
        link = tmp_path / "link"  # another name of the same folder
        link.symlink_to(folder)
        with pytest.raises(ValueError, match=wanted):
            with folder_lock.hold(link, beside=how == "beside"):
                pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        with folder_lock.hold(folder, beside=how == "beside"):
            pass
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_one_thread_may_hold_a_folder_twice_and_another_may_not(tmp_path):
    refused = []

    def try_it():
        try:
            with folder_lock.hold(tmp_path):
                pass
        except ValueError as error:
            refused.append(str(error))

    with folder_lock.hold(tmp_path), folder_lock.hold(tmp_path):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert f"by process {os.getpid()} on" in refused[0]
    with folder_lock.hold(tmp_path):
        pass


def test_it_can_be_waited_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(folder_lock, "_SECONDS", 0.01)
    with another(tmp_path) as process:
        end = threading.Timer(0.2, process.kill)
        end.start()
        begin = time.monotonic()
        with folder_lock.hold(tmp_path, wait=True):
            assert time.monotonic() - begin > 0.1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("waiting: ")


def leave(folder, **changes):
    """A lock's file as a process that was killed has left it."""
    folder.mkdir(exist_ok=True)
    holder = folder_lock._description() | {"kernel": "another"} | changes
    (folder / ".lock").write_text(json.dumps(holder))


@pytest.mark.parametrize("locks", [True, False])
@pytest.mark.parametrize(
    "holder, free",
    [
        ({}, False),  # this very process, alive
        ({"start": "1"}, True),  # its number belongs to another process now
        ({"process": "4194304"}, True),  # no process has it
        ({"host": "elsewhere"}, False),  # nobody can know
    ],
)
def test_what_a_lock_says_counts_where_the_system_cannot_know(
    tmp_path, monkeypatch, locks, holder, free
):
    """A shared file system: after the kernel's lock the holder's words decide."""
    if not locks:

        def none(*_):
            raise OSError("no locks on this file system")

        monkeypatch.setattr(folder_lock.fcntl, "flock", none)
    leave(tmp_path, **holder)
    if free:
        with folder_lock.hold(tmp_path):
            assert json.loads((tmp_path / ".lock").read_text())["start"] != "1"
        return
    with pytest.raises(ValueError) as refused, folder_lock.hold(tmp_path):
        pass
    host = holder.get("host", processes.host())
    assert f"in use by process {os.getpid()} on {host}" in str(refused.value)
    assert f"if it has ended, delete {tmp_path / '.lock'}" in str(refused.value)
    (tmp_path / ".lock").unlink()
    with folder_lock.hold(tmp_path):
        pass


def test_a_killed_holder_in_another_container_does_not_count(tmp_path):
    """Containers of one kernel have names of their own, and its locks in common."""
    leave(tmp_path, host="container-1", kernel=processes.kernel())
    if not processes.kernel():
        pytest.skip("the kernel has no name here")
    with folder_lock.hold(tmp_path):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b'{"process": 1}'])
def test_a_damaged_lock_is_no_hindrance(tmp_path, content):
    (tmp_path / ".lock").write_bytes(content)
    with folder_lock.hold(tmp_path):
        pass


def test_a_folder_made_for_nothing_goes_again(tmp_path):
    with folder_lock.hold(tmp_path / "a" / "b"):
        pass
    assert [*tmp_path.iterdir()] == []
    with folder_lock.hold(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "result").touch()
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["result"]


def test_a_file_in_the_way_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as failed, folder_lock.hold(tmp_path / "file"):
        pass
    assert failed.value.filename == str(tmp_path / "file")


def test_a_full_disk_is_an_error_that_names_the_folder(small_disk):
    (small_disk / "filler").write_bytes(b"x" * (3 << 20))
    with pytest.raises(OSError) as failed, folder_lock.hold(small_disk / "run"):
        pass
    assert failed.value.filename == str(small_disk / "run")
    assert [p.name for p in small_disk.iterdir()] == ["filler"]


def test_long_names_have_short_locks(tmp_path):
    with folder_lock.hold(tmp_path / ("n" * 255), beside=True):
        (lock,) = tmp_path.iterdir()
        assert len(lock.name) < 20
