"""Exit codes and last lines of commands, however they end."""

import logging
import os
import signal
import sys
import threading
import time
import warnings

import pytest

from hyperstyle_jax.system import program


def test_what_a_command_returns_is_the_exit_code():
    assert program.run(lambda: None) == 0 and program.run(lambda: 3) == 3


@pytest.mark.parametrize(
    "number, code, name",
    [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")],
)
def test_a_stopped_command_tidies_up_and_says_what_is_done(
    number, code, name, capsys, monkeypatch
):
    tidied = []

    def work():
        try:
            with program.telling(lambda: "2 of 3 photos are inverted"):
                os.kill(os.getpid(), number)
                threading.Event().wait(5)
        finally:
            tidied.append(True)

    before = signal.getsignal(signal.SIGTERM)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert program.run(work) == code
    finally:
        signal.signal(signal.SIGINT, interrupt)
    assert tidied and signal.getsignal(signal.SIGTERM) == before
    said = capsys.readouterr().err
    assert said == (
        f"stopped by {name}: 2 of 3 photos are inverted; the same command goes on\n"
    )


def test_expected_errors_are_one_line_and_mistakes_are_whole(capsys, monkeypatch):
    def refuse():
        raise ValueError("no such\nbundle")

    def blunder():
        raise TypeError("bug")

    assert program.run(refuse) == 1
    assert capsys.readouterr().err == "error: no such bundle\n"
    assert program.run(blunder) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("HYPERSTYLE_DEBUG", "1")
    assert program.run(refuse) == 1
    assert "Traceback" in capsys.readouterr().err


def test_where_another_takes_care_of_sigterm_nothing_is_changed():
    before = signal.getsignal(signal.SIGTERM)
    seen = []
    program.run(
        lambda: seen.append(signal.getsignal(signal.SIGTERM)), catch_sigterm=False
    )
    assert seen == [before]


@pytest.mark.parametrize(
    "number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=str
)
def test_a_stop_that_comes_in_a_destructor_is_not_lost(number, code, capsys):
    class Dropping:
        def __del__(self):
            os.kill(os.getpid(), number)
            threading.Event().wait(5)

    def work():
        for _ in range(2):  # also when it happens again
            Dropping()
        threading.Event().wait(5)

    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    hook = sys.unraisablehook
    try:
        assert program.run(work) == code
    finally:
        signal.signal(signal.SIGINT, interrupt)
    assert sys.unraisablehook == hook
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("stopped by")


def test_a_second_sigterm_does_not_disturb_the_tidying_up():
    tidied = []

    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(5)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(0.01)
            tidied.append(True)

    assert program.run(work) == 143 and tidied


def test_a_sigterm_that_becomes_another_exception_still_counts(capsys):
    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except program.Stopped:  # as C++ does that compares pytrees
            raise ValueError("cannot compare") from None

    assert program.run(work) == 143
    assert "stopped by SIGTERM" in capsys.readouterr().err


def test_after_a_stop_libraries_say_nothing_more(capsys):
    class Task:
        def __del__(self):
            raise RuntimeError("the event loop is closed")

    def work():
        task = Task()
        task.itself = task
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(5)
        finally:
            logging.getLogger("asyncio").error("a task was cut short")
            warnings.warn("never awaited", RuntimeWarning, stacklevel=1)

    assert program.run(work) == 143
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "stopped by SIGTERM: what is finished is kept; the same command goes on"
    ]
    assert logging.getLogger("asyncio").isEnabledFor(logging.ERROR)
