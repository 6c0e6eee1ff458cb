"""Which processes of this machine are running."""

import functools
import os
import platform
from pathlib import Path


def is_running(pid: int, started: str = "") -> bool:
    """Whether a process of this machine still runs.

    Args:
        started: of `start`; another process that has got the same number since does
            not count.
    """
    if os.name == "nt":
        return False  # to ask would end it; locks say all there
    try:
        os.kill(pid, 0)  # only asks
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, for another user
    return not started or start(pid) in ("", started)


def start(pid: int) -> str:
    """When a process began, in the kernel's own count; "" where that is not told."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return fields[19].decode()
    except (OSError, IndexError):
        return ""


def host() -> str:
    """This machine's name, which containers have one each of."""
    return platform.node()


@functools.cache
def kernel() -> str:
    """Names the running kernel, which containers share; "" where that is not told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
