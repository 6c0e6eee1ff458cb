"""Output that cannot be shown ends nothing: encodings, closed and full streams."""

import io
import os
import subprocess
import sys

import pytest
from paths import ROOT

from hyperstyle_jax.system import console

PROGRAM = """
import sys
from hyperstyle_jax.system import console
console.prepare()
print("l2: 0.5 \\u2192 0.25, 256\\u00b2, na\\u00efve \\u4e2d \\udcff")
print("a warning \\u2192 \\u2026", file=sys.stderr)
for i in range(20_000):
    print("line", i)
file = open(sys.argv[1], "w")
file.write("done")
file.close()
sys.exit(console.finish(0))
"""


def run(tmp_path, redirection="", **environment):
    """(exit code, stdout, stderr, the content of the file that it was to write)."""
    file = tmp_path / "result"
    command = f'"{sys.executable}" -c "$PROGRAM" "{file}" {redirection}'
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        env=os.environ | {"PROGRAM": PROGRAM, "PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
    )
    content = file.read_text() if file.exists() else ""
    return done.returncode, done.stdout, done.stderr, content


@pytest.mark.parametrize(
    "encoding, wanted",
    [
        ("utf-8", "l2: 0.5 → 0.25, 256², naïve 中 ?"),
        ("cp1252", "l2: 0.5 -> 0.25, 256², naïve ? ?"),
        ("latin-1", "l2: 0.5 -> 0.25, 256², naïve ? ?"),
        ("ascii", "l2: 0.5 -> 0.25, 256^2, na?ve ? ?"),
    ],
)
def test_what_an_encoding_lacks_becomes_plainer(tmp_path, encoding, wanted):
    code, out, err, content = run(tmp_path, PYTHONIOENCODING=encoding)
    assert (code, content) == (0, "done")
    assert out.decode(encoding).splitlines()[0] == wanted
    plain = "a warning → …" if encoding == "utf-8" else "a warning -> "
    assert err.decode(encoding).startswith(plain)


@pytest.mark.parametrize(
    "text, shown",
    [
        ("\x1b[31mred.png\a", "\\x1b[31mred.png\\x07"),
        ("gnp.\u202etxt", "gnp.\\u202etxt"),
        ("50%|##\r60%|###\t\n", "50%|##\r60%|###\t\n"),
        ("\n\n", "\n\n"),
        ("\x1b[A\x1b[A", "\x1b[A\x1b[A"),  # of a progress bar
        ("\x1b[Aover the line before", "\\x1b[Aover the line before"),
    ],
)
def test_no_name_of_a_file_moves_or_colours_a_terminal(text, shown):
    written = io.BytesIO()
    stream = console._Stream(io.TextIOWrapper(written, "utf-8"), 2)
    stream.write(text)
    stream.flush()
    assert written.getvalue().decode() == shown


@pytest.mark.parametrize(
    "redirection", ["| head -1", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"]
)
def test_readers_may_go_and_streams_may_be_closed(tmp_path, redirection):
    code, out, err, content = run(tmp_path, redirection, PYTHONIOENCODING="utf-8")
    assert (code, content) == (0, "done")
    assert b"rror" not in err
    assert out.count(b"\n") == {"| head -1": 1, "2>&-": 20_001}.get(redirection, 0)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_is_lost_on_a_full_disk_is_an_error_at_the_end(tmp_path):
    code, _, err, content = run(tmp_path, "> /dev/full", PYTHONIOENCODING="utf-8")
    assert (code, content) == (1, "done")
    assert err.endswith(b"error: could not write the output: No space left on device\n")
