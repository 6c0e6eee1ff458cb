"""Compiled programs kept on disk: the second run of a command starts at once."""

import ctypes
import functools
import os
import sys
from pathlib import Path

VARIABLE = "HYPERSTYLE_CACHE"


def folder() -> Path | None:
    """Where compiled programs are kept; None when `HYPERSTYLE_CACHE=off`."""
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() in ("off", "0", "no"):
        return None
    return Path(chosen).expanduser() if chosen else _user_cache() / "hyperstyle_jax"


def enable():
    """Turns the cache on. A folder that cannot be made means no cache, not an error.

    What compiling leaves with glibc's allocator goes back to the system (an inversion
    at 1024²: 2.98 GiB at most, so 2.58).
    """
    _trim_after_compiling()
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return  # jax reads it by itself
    path = folder()
    try:
        if path is not None:
            path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    import jax

    jax.config.update("jax_compilation_cache_dir", path and str(path))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        # Small programs too: loading a bundle compiles 65, half a second together.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@functools.cache
def _trim_after_compiling():
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # not glibc
        return
    import jax

    def listen(event, seconds, **_):
        if event == "/jax/core/compile/backend_compile_duration" and seconds > 1:
            trim(0)

    jax.monitoring.register_event_duration_secs_listener(listen)


def _user_cache() -> Path:
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return Path(os.environ["LOCALAPPDATA"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
