"""Large memory pages: a fifth less time for large images on Linux.

Fresh feature maps cost a page fault for every 4 KiB. glibc asks the kernel for pages of
2 MiB if told so before a process begins (generator 1024² with offsets, 2 CPU cores:
0.548 s, so 0.457; its other knob, to keep freed memory, gave 0.531).
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
    """Begins the program again with large pages, where the kernel gives them if asked.

    To be called first thing by a program, before anything has been done. Whoever has
    set `GLIBC_TUNABLES`, to whatever value, is left alone.
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
