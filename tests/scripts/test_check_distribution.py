"""The check of the distribution finds interpreters and compares what wheels hold."""

import sys
import zipfile

import pytest

from scripts import check_distribution


def test_interpreters_are_found_or_said_to_be_missing():
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert check_distribution.find_python(own) == sys.executable
    assert check_distribution.find_python("9.99") is None


def test_a_starter_that_starts_nothing_is_no_interpreter(tmp_path, monkeypatch):
    starter = tmp_path / "python9.99"
    starter.write_text("#!/bin/sh\nexit 127\n")
    starter.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert check_distribution.find_python("9.99") is None
    starter.write_text("#!/bin/sh\nexit 0\n")
    assert check_distribution.find_python("9.99") == str(starter)


def test_wheels_are_compared_by_what_their_files_hold(tmp_path):
    def wheel(name, files):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for file, content in files.items():
                archive.writestr(file, content)
        return check_distribution.sums(tmp_path / name)

    one = wheel("a.whl", {"a/b.py": "1", "a.dist-info/RECORD": "x"})
    assert one == wheel("b.whl", {"a.dist-info/RECORD": "y", "a/b.py": "1"})
    assert one != wheel("c.whl", {"a/b.py": "2"})
    assert one.keys() == {"a/b.py"}


def test_a_command_that_fails_ends_the_check(capsys):
    with pytest.raises(check_distribution.subprocess.CalledProcessError):
        check_distribution.output(
            sys.executable, "-c", "print('why'); raise SystemExit(3)"
        )
    assert "why" in capsys.readouterr().err
