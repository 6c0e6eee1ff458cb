"""Ctrl-C and SIGTERM stop a run after the step that it is doing."""

import contextlib
import os
import signal
import threading

import jax


class StopSignals(contextlib.AbstractContextManager):
    """Notes SIGTERM and the first Ctrl-C, instead of ending the run in mid-step.

    Where several processes train, JAX handles SIGTERM (see `parallel.stop_due`), and
    Ctrl-C is passed on as a SIGTERM.

    Attributes:
        received: "SIGTERM" or "SIGINT", or None before either has come.
    """

    def __init__(self):
        self.received, self._old_handlers = None, {}

    def __enter__(self):
        ours = [signal.SIGINT] + [signal.SIGTERM] * (jax.process_count() == 1)
        if threading.current_thread() is threading.main_thread():
            for number in ours:
                self._old_handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_):
        for number, old in self._old_handlers.items():
            signal.signal(number, old)

    def _handle(self, number, _):
        if number == signal.SIGINT and self.received:
            raise KeyboardInterrupt
        self.received = signal.Signals(number).name
        if jax.process_count() > 1:
            os.kill(os.getpid(), signal.SIGTERM)
