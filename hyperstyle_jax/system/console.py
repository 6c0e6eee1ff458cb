"""Makes standard output and error safe: text that cannot be shown stops no program.

Consoles that are not UTF-8 get "->" for an arrow and "?" for a letter that they lack.
No name of a file sends commands to a terminal. A closed console, or a reader that has
gone (`| head`), gets nothing more.
"""

import codecs
import contextlib
import errno
import io
import os
import re
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
# What moves the cursor, colours the rest or turns the writing: names of files and texts
# in files may have it.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
_MOVES = re.compile("(\n|\x1b\\[A)*")  # of a progress bar, which writes them alone
_GONE = (errno.EPIPE, errno.EBADF, errno.EIO)  # closed; EIO is a terminal that went


def prepare() -> None:
    """Makes both streams safe; a program calls this before it opens a file."""
    _open_closed_ones()
    codecs.register_error("plain", _plain)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:  # it was closed, and goes to the null device now
            stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, _Stream(stream, number))


def finish(code: int) -> int:
    """Writes the remaining output, and returns the exit code of the program.

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
        self._stream = stream  # its destructor would close the buffer

    def write(self, text: str) -> int:
        """Does what any stream does, but shows control characters as "\\x1b".

        What cannot be written is dropped.
        """
        with self._no_errors():
            super().write(_visible(text))
        return len(text)

    def flush(self) -> None:
        """Does what any stream does, but drops what cannot be written."""
        with self._no_errors():
            super().flush()

    @contextlib.contextmanager
    def _no_errors(self):
        try:
            yield
        except OSError as error:
            if error.errno not in _GONE:
                self.lost = self.lost or error.strerror or str(error)
            # What is in the buffers, and what libraries write, goes there too.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._number)
            os.close(null)


def _open_closed_ones() -> None:
    """Opens the null device for closed streams, lest a file gets their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
            if null != number:
                os.dup2(null, number)
                os.close(null)


def _visible(text: str) -> str:
    if not _CONTROLS.search(text) or _MOVES.fullmatch(text):
        return text
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replaces characters that an encoding lacks, as an error handler of codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    plain = "".join(_PLAIN.get(letter, "?") for letter in lacking)
    return plain, error.end
