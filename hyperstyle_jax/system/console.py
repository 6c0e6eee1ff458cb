"""Standard output and error that never end the work: what cannot be shown is let go.

Consoles that are not UTF-8 get "->" for an arrow and "?" for a letter that they lack;
a closed console, or a reader that has gone (`| head`), gets nothing more.
"""

import codecs
import contextlib
import errno
import io
import os
import sys

_PLAIN = {
    "→": "->",
    "←": "<-",
    "…": "...",
    "×": "x",
    "²": "^2",
    "−": "-",
    "–": "-",
    "±": "+-",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "λ": "lambda",
    "µ": "u",
}
_GONE = (errno.EPIPE, errno.EBADF, errno.EIO)  # closed; EIO is a terminal that went


def prepare() -> None:
    """Makes both streams safe. To be called by programs before they open a file."""
    _open_closed_ones()
    codecs.register_error("plain", _plain)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:  # was closed: goes to the null device now
            stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, _Stream(stream, number))


def finish(code: int) -> int:
    """The exit code of a program after all that it said has been written.

    Returns:
        `code`, or 1 where output was lost although its reader was there (a full disk).
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if isinstance(sys.stdout, _Stream) and sys.stdout.lost:
        print(f"error: could not write the output: {sys.stdout.lost}", file=sys.stderr)
        return code or 1
    return code


class _Stream(io.TextIOWrapper):
    """A text stream whose writes never fail."""

    def __init__(self, stream: io.TextIOWrapper, number: int):
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors="plain",
            line_buffering=stream.line_buffering or number == 2,
        )
        self._number, self.lost = number, ""
        self._stream = stream  # would close the buffer if it went

    def write(self, text: str) -> int:
        """Like any stream's, or not at all."""
        with self._no_errors():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Like any stream's, or not at all."""
        with self._no_errors():
            super().flush()

    @contextlib.contextmanager
    def _no_errors(self):
        try:
            yield
        except OSError as error:
            if error.errno not in _GONE:
                self.lost = self.lost or error.strerror or str(error)
            # What is still in the buffers, and what libraries write, goes nowhere too.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._number)
            os.close(null)


def _open_closed_ones() -> None:
    """A closed stream's number must not become that of a file which is opened next."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
            if null != number:
                os.dup2(null, number)
                os.close(null)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """How codecs replace characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    plain = "".join(_PLAIN.get(letter, "?") for letter in lacking)
    return plain, error.end
