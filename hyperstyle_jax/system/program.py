"""Runs a program: signals, errors in one line, exit codes."""

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator

from hyperstyle_jax.system import errors

_DEBUG = "HYPERSTYLE_DEBUG"


class Stopped(KeyboardInterrupt):
    """Raised on SIGTERM, so that the program tidies up as after Ctrl-C."""


def run(work: Callable[[], int | None], catch_sigterm: bool = True) -> int:
    """Runs a command.

    Errors of input or machine are printed in one line on stderr. Our own mistakes, and
    with `HYPERSTYLE_DEBUG` all errors, are printed with their traceback.

    Args:
        work: returns an exit code, None for 0.
        catch_sigterm: False where something else handles that signal.

    Returns:
        The exit code: that of `work`, 1 after an error, 130 after Ctrl-C, 143 after
        SIGTERM.
    """
    before = _raise_on_sigterm() if catch_sigterm else None
    try:
        return work() or 0
    except KeyboardInterrupt as stop:
        terminated = isinstance(stop, Stopped)
        what = str(stop) or "what is finished is kept"
        name = "SIGTERM" if terminated else "Ctrl-C"
        _say(f"stopped by {name}: {what}; the same command goes on")
        return 128 + (signal.SIGTERM if terminated else signal.SIGINT)
    except Exception as error:
        if os.environ.get(_DEBUG) or not errors.is_expected(error):
            traceback.print_exc()
        else:
            _say(f"error: {errors.one_line(error)}")
        return 1
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def telling(done: Callable[[], str]) -> Iterator[None]:
    """Adds what is done to Ctrl-C or SIGTERM, as "3 of 8 photos are inverted"."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise type(stop)(done()) from None


def _raise_on_sigterm():
    """Returns the handler before; None where nothing has changed."""
    if threading.current_thread() is not threading.main_thread():
        return None  # only the main thread may

    def stop(number, frame):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # one is enough
        raise Stopped

    return signal.signal(signal.SIGTERM, stop)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
