"""The command line of `hyperstyle domain`."""

import argparse

import pytest

from hyperstyle_jax.cli import domain, main


def test_times_are_read_with_their_units():
    assert [domain.duration(t) for t in ("90s", "30m", "1.5h")] == [90, 1800, 5400]
    for text in ("30", "m", "0m", "2 days"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected a time as 90s"):
            domain.duration(text)


def test_what_cannot_work_leaves_nothing(tmp_path, capsys):
    """In one line, before a picture is looked at."""
    out = tmp_path / "bundle"
    command = ["domain", str(tmp_path / "none"), "--out", str(out)]
    for options, message in (
        (["--size", "48"], "size 48: expected one of"),
        (["--labels", str(tmp_path / "none.csv")], "none.csv: got nothing, expected"),
        (["--transfer", "nothing"], "nothing is not a bundle"),
    ):
        assert main.main([*command, *options]) == 1
        error = capsys.readouterr().err
        assert message in error and error.startswith("error: ")
        assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    assert main.main(command) == 1
    assert "step 1 of 8, pictures: " in capsys.readouterr().err
