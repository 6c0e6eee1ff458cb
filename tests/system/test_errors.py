"""Errors of input and machine in one line each, whatever a library raises them as."""

import errno
import os

import pytest

from hyperstyle_jax.system import errors


def system_error(code, file=None):
    return OSError(code, os.strerror(code), file)


@pytest.mark.parametrize(
    "error, line",
    [
        (ValueError("two\n  lines"), "two lines"),
        (
            system_error(errno.EACCES, "/x"),
            "/x: Permission denied; choose another folder, or see to its permissions",
        ),
        (
            system_error(errno.ENOSPC, "/x"),
            "the disk is full (/x: No space left on device); free some space and run it"
            " again",
        ),
        (
            OSError(errno.ENOSPC, "could not write; free some space", "/x"),
            "/x: could not write; free some space",
        ),
        (
            RuntimeError("write failed: No space left on device; at 7"),
            "the disk is full (write failed: No space left on device; at 7); free some "
            "space and run it again",
        ),
        (
            RuntimeError("Symlink loop from '/x'"),
            "Symlink loop from '/x'; a link leads back to itself: remove it",
        ),
        (
            RuntimeError("Could not determine home directory."),
            "Could not determine home directory; set HOME to a folder",
        ),
        (
            RuntimeError("RESOURCE_EXHAUSTED: oom"),
            "memory is full (RESOURCE_EXHAUSTED: oom); use a smaller batch",
        ),
        (MemoryError(), "memory is full (MemoryError); use a smaller batch"),
        (
            system_error(errno.ENOMEM),
            "memory is full (Cannot allocate memory); use a smaller batch",
        ),
        (FloatingPointError("step 3: loss is nan"), "step 3: loss is nan"),
    ],
)
def test_what_a_person_is_told(error, line):
    assert errors.is_expected(error)
    assert errors.one_line(error) == line


@pytest.mark.parametrize(
    "error", [TypeError("bug"), RuntimeError("bug"), KeyError("x"), AssertionError()]
)
def test_a_mistake_in_the_program_is_not_expected(error):
    assert not errors.is_expected(error)


def test_a_full_disk_is_found_behind_other_errors():
    try:
        try:
            raise system_error(errno.EDQUOT)
        except OSError as inner:
            raise TypeError("while tidying up") from inner
    except TypeError as outer:
        outer.__cause__.__context__ = outer  # each came from the other
        assert errors.is_disk_full(outer)
    assert not errors.is_disk_full(system_error(errno.EIO))


@pytest.mark.parametrize(
    "error, named",
    [
        (RuntimeError("array_record: No space left on device"), "/data/shard"),
        (system_error(errno.EIO), "/data/shard"),
        (system_error(errno.EIO, "/other"), "/other"),
    ],
)
def test_an_error_gets_the_file_that_it_is_about(error, named):
    with pytest.raises(OSError) as failed, errors.about("/data/shard"):
        raise error
    assert failed.value.filename == named
    assert failed.value.errno in (errno.ENOSPC, errno.EIO)


def test_other_errors_keep_their_kind():
    with pytest.raises(RuntimeError, match="bug"), errors.about("/data/shard"):
        raise RuntimeError("bug")
