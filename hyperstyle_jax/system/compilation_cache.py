"""Compiled programs kept on disk: the second run of a command starts at once."""

import contextlib
import ctypes
import functools
import glob
import math
import os
import re
import sys
import warnings
from pathlib import Path

from hyperstyle_jax.system import errors

VARIABLE = "HYPERSTYLE_CACHE"
# JAX's words; a file of the cache is called NAME-HASH-cache.
_TROUBLE = re.compile(
    "Error (?P<what>reading|writing) persistent compilation cache entry for "
    "'(?P<name>.*?)': (?P<why>.*)",
    re.DOTALL,
)


def folder() -> Path | None:
    """Where compiled programs are kept; None when `HYPERSTYLE_CACHE=off`.

    Raises:
        RuntimeError: there is no home folder.
    """
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() in ("off", "0", "no"):
        return None
    return Path(chosen).expanduser() if chosen else user_cache() / "hyperstyle_jax"


def enable():
    """Turns the cache on. A folder that cannot be used is one line, not an error.

    What compiling leaves with glibc's allocator goes back to the system (an inversion
    at 1024²: 2.98 GiB at most, so 2.58).
    """
    _trim_after_compiling()
    import jax

    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")  # jax reads it by itself
    try:
        path = Path(given) if given else folder()
        if path is None:
            jax.config.update("jax_compilation_cache_dir", None)
            return
        if "://" not in str(path):
            path.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        jax.config.update("jax_compilation_cache_dir", None)
        _warn(f"there is no compilation cache ({errors.one_line(error)})")
        return
    if not given:
        jax.config.update("jax_compilation_cache_dir", str(path))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        # Small programs too: loading a bundle compiles 65, half a second together.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if path.is_dir() and not os.access(path, os.W_OK | os.X_OK):
        _read_only(f"{path} is not writable")
    _listen(path)


def _listen(path: Path) -> None:
    """Makes one line of JAX's warning for each entry, and removes damaged entries."""
    show = warnings.showwarning

    def heard(message, category, *where, **more):
        trouble = _TROUBLE.match(str(message))
        if not trouble:
            show(message, category, *where, **more)
        elif trouble["what"] == "writing":
            _read_only(trouble["why"])
        else:
            _warn(f"{path} has damaged entries, which are made anew")
            for entry in path.glob(f"{glob.escape(trouble['name'])}-*"):
                with contextlib.suppress(OSError):
                    entry.unlink()

    heard.of_cache = True  # type: ignore[attr-defined]
    if not hasattr(show, "of_cache"):
        warnings.showwarning = heard


def _read_only(why: str) -> None:
    """What is in the cache is used, and nothing more is put into it."""
    import jax

    jax.config.update("jax_persistent_cache_min_compile_time_secs", math.inf)
    _warn(f"the compilation cache cannot be written ({why})")


@functools.cache  # each line once
def _warn(what: str) -> None:
    print(
        f"warning: {what}; {VARIABLE} names another folder, or is `off`",
        file=sys.stderr,
        flush=True,
    )


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


def user_cache() -> Path:
    """The user's folder for what can be made again.

    Raises:
        RuntimeError: there is no home folder.
    """
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return Path(os.environ["LOCALAPPDATA"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
