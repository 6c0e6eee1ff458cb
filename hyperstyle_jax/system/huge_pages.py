"""Asks for large memory pages, which save a sixth of the time of large images on Linux.

New feature maps cost a page fault for every 4 KiB. glibc asks the kernel for pages of
2 MiB if a variable tells it to before a process begins. The generator at 1024² with
offsets then takes 0.457 s instead of 0.548 s on 2 CPU cores. glibc's option to keep
freed memory gave 0.531 s.
"""

import os
import sys
from pathlib import Path

VARIABLE, SETTING = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"
_KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def environment() -> dict[str, str]:
    """This process's environment, for child processes with large pages."""
    return {VARIABLE: SETTING, **os.environ}


def restart() -> None:
    """Starts the program again with large pages, if the kernel gives them on request.

    A program calls this before anything else. Nothing happens where `GLIBC_TUNABLES` is
    already set to any value.
    """
    if VARIABLE in os.environ or not _on_request():
        return
    command = [sys.executable, *sys.orig_argv[1:]]
    os.execve(sys.executable, command, environment())


def _on_request() -> bool:
    try:
        return "[madvise]" in _KERNEL.read_text()
    except OSError:
        return False
