"""Describes errors of input or machine in one line: what, where, what to do.

Libraries raise some of them as a RuntimeError that has the system's words in its text
("No space left on device"); these count as the system errors that they are.
"""

import contextlib
import errno
import os
from collections.abc import Iterator

_FULL = (errno.ENOSPC, errno.EDQUOT)
_PERMISSIONS = "choose another folder, or see to its permissions"
_ADVICE = {
    errno.EACCES: _PERMISSIONS,
    errno.EPERM: _PERMISSIONS,
    errno.EROFS: _PERMISSIONS,
    errno.EEXIST: "choose another folder",
    errno.ENOTDIR: "choose another folder",
    errno.ELOOP: "a link leads back to itself: remove it",
    errno.ENAMETOOLONG: "shorten the name",
    errno.EMFILE: "let the process open more files (ulimit -n)",
    errno.EFBIG: "let the process write larger files (ulimit -f)",
    errno.EIO: "see to the disk",
    errno.ESTALE: "see to the network file system",
    errno.ENOENT: "see to the path",
}
_WORDS = {
    "No space left": errno.ENOSPC,
    "quota exceeded": errno.EDQUOT,
    "Symlink loop": errno.ELOOP,
    **{os.strerror(code): code for code in _ADVICE},
}
_MEMORY = ("RESOURCE_EXHAUSTED", "can't start new thread", "std::bad_alloc")


def is_expected(error: BaseException) -> bool:
    """Whether input or machine can cause an error; others are mistakes of ours."""
    kinds = (ValueError, OSError, FloatingPointError, MemoryError)
    if isinstance(error, kinds) or is_memory_full(error):
        return True
    return isinstance(error, RuntimeError) and (
        system_code(error) is not None or "home directory" in str(error)
    )


def one_line(error: BaseException) -> str:
    """Describes an expected error for a person, without line breaks."""
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = ": ".join(filter(None, [str(error.filename or ""), error.strerror]))
    if is_memory_full(error):
        text = f"memory is full ({text[:200]}); use a smaller batch"
    elif is_disk_full(error) and "free some space" not in text:
        text = f"the disk is full ({text}); free some space and run it again"
    elif advice := _advice(error):
        text = f"{text.rstrip('.')}; {advice}"
    return " ".join(text.split())


def first_line(error: BaseException) -> str:
    """The type of a library's error and the first line of its text."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:400]}"


def _advice(error: BaseException) -> str:
    """What to do about an error that has only the system's words."""
    if "home directory" in str(error):
        return "set HOME to a folder"
    ours = isinstance(error, OSError) and error.strerror not in _WORDS
    if ours or isinstance(error, ValueError):
        return ""
    return _ADVICE.get(system_code(error), "")


def is_memory_full(error: BaseException) -> bool:
    """Whether the error says that memory ran out, on the host or on a device."""
    if isinstance(error, RuntimeError):
        return any(words in str(error) for words in _MEMORY)
    return isinstance(error, MemoryError) or system_code(error) == errno.ENOMEM


def is_disk_full(error: BaseException | None) -> bool:
    """Whether the error, or one that it came from, says that no space is left."""
    return any(system_code(e) in _FULL for e in _origins(error))


def system_code(error: BaseException) -> int | None:
    """The `errno` of a system error, or of one that a library has put into words."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    text = str(error)
    return next((code for words, code in _WORDS.items() if words in text), None)


@contextlib.contextmanager
def about(file: str | os.PathLike) -> Iterator[None]:
    """Adds a file name to the system errors of a library that lack one.

    Raises:
        OSError: in place of an error that does not name a file; all others as they are.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        code = system_code(error)
        if code is None or getattr(error, "filename", None):
            raise
        raise OSError(code, os.strerror(code), str(file)) from error


def _origins(error: BaseException | None) -> list[BaseException]:
    """An error and all that it came from, which may be one that came from it."""
    seen, left = [], [error]
    while left:
        error = left.pop()
        if error is not None and error not in seen:
            seen.append(error)
            left += [error.__cause__, error.__context__]
    return seen
