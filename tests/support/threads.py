"""Another thread, which counts like another process to locks."""

import contextlib
import threading


@contextlib.contextmanager
def in_another_thread(context):
    """Another thread, which counts like another process, is within the context."""
    begun, done = threading.Event(), threading.Event()

    def hold():
        with context:
            begun.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait(60)
    yield
    done.set()
    thread.join()
