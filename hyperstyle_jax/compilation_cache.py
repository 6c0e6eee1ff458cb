"""Compiled programs kept on disk: the second run of a command starts at once."""

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
    """Turns the cache on. A folder that cannot be made means no cache, not an error."""
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


def _user_cache() -> Path:
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return Path(os.environ["LOCALAPPDATA"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
