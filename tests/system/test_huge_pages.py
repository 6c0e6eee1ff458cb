"""Programs begin anew with large pages exactly where that does something."""

import os
import subprocess
import sys

import pytest

from hyperstyle_jax.system import huge_pages


@pytest.fixture
def begun(monkeypatch, tmp_path):
    """Calls `restart` under a kernel of one kind; the command it would begin."""
    calls = []
    monkeypatch.setattr(os, "execve", lambda *args: calls.append(args))
    monkeypatch.setattr(huge_pages, "_KERNEL", tmp_path / "enabled")

    def restart(kernel=None, variable=None):
        monkeypatch.delenv(huge_pages.VARIABLE, raising=False)
        if variable is not None:
            monkeypatch.setenv(huge_pages.VARIABLE, variable)
        if kernel is not None:
            (tmp_path / "enabled").write_text(kernel)
        huge_pages.restart()
        return calls

    return restart


def test_the_same_command_begins_again_with_the_setting(begun, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "hyperstyle_jax", "faces"])
    [(program, command, environment)] = begun("always [madvise] never\n")
    assert program == sys.executable
    assert command == [sys.executable, "-m", "hyperstyle_jax", "faces"]
    assert environment[huge_pages.VARIABLE] == huge_pages.SETTING


@pytest.mark.parametrize(
    ("kernel", "variable"),
    [
        ("[always] madvise never\n", None),
        ("always madvise [never]\n", None),
        (None, None),
        ("always [madvise] never\n", "glibc.malloc.check=0"),
        ("always [madvise] never\n", ""),
    ],
)
def test_otherwise_nothing_happens(begun, kernel, variable):
    assert begun(kernel, variable) == []


def test_children_keep_what_the_user_has_set(monkeypatch):
    monkeypatch.setenv(huge_pages.VARIABLE, "glibc.malloc.check=0")
    assert huge_pages.environment()[huge_pages.VARIABLE] == "glibc.malloc.check=0"
    monkeypatch.delenv(huge_pages.VARIABLE)
    assert huge_pages.environment()[huge_pages.VARIABLE] == huge_pages.SETTING


def test_a_program_runs_and_fails_as_before():
    """Exit code, arguments and output pass through the new beginning."""
    environment = {k: v for k, v in os.environ.items() if k != huge_pages.VARIABLE}
    command = [sys.executable, "-m", "hyperstyle_jax", "faces", "--seeds", "x y"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "x y" in done.stderr
