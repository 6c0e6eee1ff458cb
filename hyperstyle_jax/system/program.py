"""Runs a program: signals, errors in one line, exit codes."""

import _thread
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator

from hyperstyle_jax.system import errors

_DEBUG = "HYPERSTYLE_DEBUG"
_PAUSE = 0.05  # seconds until a stop that was dropped is sent again


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
    sigterm, before = _Sigterm(), None
    try:
        with _delivered_again(sigterm):
            try:
                before = _raise_on_sigterm(sigterm) if catch_sigterm else None
                return work() or 0
            except KeyboardInterrupt as stop:
                return _stopped(stop)
            except Exception as error:
                if not sigterm.armed:  # C++ code makes another exception of it
                    error.__traceback__ = None
                    return _stopped(Stopped())
                if os.environ.get(_DEBUG) or not errors.is_expected(error):
                    traceback.print_exc()
                else:
                    _say(f"error: {errors.one_line(error)}")
                return 1
    finally:
        logging.disable(logging.NOTSET)
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _stopped(stop: KeyboardInterrupt) -> int:
    """Says what stopped the program; returns its exit code."""
    terminated = isinstance(stop, Stopped)
    what = str(stop) or "what is finished is kept"
    name = "SIGTERM" if terminated else "Ctrl-C"
    stop.__traceback__ = stop.__context__ = None
    gc.collect()  # what was cut short ends here, where nothing is heard of it
    _say(f"stopped by {name}: {what}; the same command goes on")
    return 128 + (signal.SIGTERM if terminated else signal.SIGINT)


@contextlib.contextmanager
def telling(done: Callable[[], str]) -> Iterator[None]:
    """Adds what is done to Ctrl-C or SIGTERM, as "3 of 8 photos are inverted"."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise type(stop)(done()) from None


def heed_stop() -> None:
    """Raises `Stopped` if a SIGTERM has come; for handlers of any exception.

    C++ code or an event loop may have turned the signal's exception into the one that
    was caught.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if isinstance(handler, _Sigterm) and not handler.armed:
        raise Stopped


class _Sigterm:
    """The handler: raises `Stopped` at the first SIGTERM, for one is enough."""

    def __init__(self):
        self.armed = True

    def __call__(self, number, frame):
        if self.armed:
            self.armed = False
            # Libraries tell of their work that was cut short, with tracebacks.
            logging.disable(logging.CRITICAL)
            warnings.simplefilter("ignore")
            raise Stopped


def _raise_on_sigterm(handler: _Sigterm):
    """Returns the handler before; None where nothing has changed."""
    if threading.current_thread() is not threading.main_thread():
        return None  # only the main thread may
    return signal.signal(signal.SIGTERM, handler)


@contextlib.contextmanager
def _delivered_again(sigterm: _Sigterm) -> Iterator[None]:
    """Brings back a Ctrl-C or SIGTERM that came where Python drops exceptions.

    These places are destructors and callbacks of C++, as at a garbage collection:
    Python prints the exception there and goes on. After a SIGTERM it prints nothing.
    """
    before, timers = sys.unraisablehook, []

    def hook(unraisable):
        error = unraisable.exc_value
        if not isinstance(error, KeyboardInterrupt):
            return before(unraisable) if sigterm.armed else None
        # Later, for at this place it would be dropped again.
        timers.append(threading.Timer(_PAUSE, _send_again, (error,)))
        timers[-1].daemon = True
        timers[-1].start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        if sys.unraisablehook is hook:  # else one that stays is around it
            sys.unraisablehook = before
        for timer in timers:
            timer.cancel()


def _send_again(stop: KeyboardInterrupt) -> None:
    number = signal.SIGTERM if isinstance(stop, Stopped) else signal.SIGINT
    handler = signal.getsignal(number)
    if isinstance(handler, _Sigterm):
        handler.armed = True
    _thread.interrupt_main(number)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
