"""Tells which processes of this machine are running."""

import functools
import os
import platform
from pathlib import Path


def is_running(pid: int, started: str = "") -> bool:
    """Whether a process of this machine still runs.

    Args:
        started: the value of `start`, by which a later process with the same number is
            told apart; "" if it is not known.
    """
    if os.name == "nt":
        return False  # os.kill would end it there, and locks are enough
    try:
        os.kill(pid, 0)  # signal 0 only checks
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, for another user
    return not started or start(pid) in ("", started)


def start(pid: int) -> str:
    """The time at which a process began, in the kernel's units; "" if not known."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return fields[19].decode()
    except (OSError, IndexError):
        return ""


def host() -> str:
    """The name of this machine; every container has its own."""
    return platform.node()


@functools.cache
def kernel() -> str:
    """An identifier of the running kernel, which containers share; "" if not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
