"""Explains in one line what is wrong with a config file or `--config…` options."""

import difflib
import re
import traceback
from pathlib import Path

from ml_collections import ConfigDict

from hyperstyle_jax.config.fields import TASKS, base, flatten


def suggestion(config: ConfigDict, name: str) -> str:
    """`; did you mean optim.lr?` for the field most like `name`, or "".

    Args:
        config: with the fields that there are.
        name: a field that there is not.
    """
    names = list(flatten(config)) + [k for k in config if k not in TASKS]
    similar = difflib.get_close_matches(name, names, 1, 0.6)
    if not similar:  # compare the last parts of the names alone
        ends = {n.rsplit(".", 1)[-1]: n for n in names}
        close = difflib.get_close_matches(name.rsplit(".", 1)[-1], list(ends), 1, 0.6)
        similar = [ends[k] for k in close]
    return f"; did you mean {similar[0]}?" if similar else ""


def explain(error: BaseException, argv: list[str]) -> str:
    """One line on what is wrong with a config file or with `--config…` options.

    Args:
        error: what absl or ml_collections raised while they read `argv`.
        argv: the command line.
    """
    file, given = _options(argv)
    if not file:
        return "which run? Give one as --config configs/NAME.py"
    if not Path(file).is_file() and ".py:" in file:  # FILE.py:ARGUMENT
        file = file.rpartition(":")[0]
    if not Path(file).is_file():
        return f"--config {file}: there is no such file"
    known = base(TASKS[0])
    fields = flatten(known)
    for name in given:
        inside = [field for field in fields if field.startswith(f"{name}.")]
        if inside:
            return (
                f"--config.{name}: a group of fields; set one, as --config.{inside[0]}"
            )
        if name not in fields:
            return f"--config.{name}: unknown field{suggestion(known, name)}"
    illegal = re.match(r"flag --config\.([\w.]+)=(.*?): ", str(error))
    if illegal and illegal[1] in fields:
        value = fields[illegal[1]]
        kind = type(value).__name__
        return f"--config.{illegal[1]}={illegal[2]}: expected {kind}, like {value!r}"
    return _explain_file(error, file, known)


def _explain_file(error: BaseException, file: str, known: ConfigDict) -> str:
    """The error with the line of the config file that it comes from, if any."""
    lines = _lines(error, file)
    # ml_collections wraps some errors.
    while inner := error.__cause__ or error.__context__:
        if lines and not _lines(inner, file):
            break
        error, lines = inner, _lines(inner, file)
    message = " ".join(str(error).split()).replace(" (reference)", "")
    if isinstance(error, SyntaxError):
        lines, message = [error.lineno], f"syntax error, {error.msg}"
    unknown = re.search(r'Key "(\w+)" does not exist', message)
    if unknown:
        message = f"unknown field {unknown[1]}{suggestion(known, unknown[1])}"
    if lines:
        return f"{file}, line {lines[-1]}: {message}"
    if isinstance(error, AttributeError) and "get_config" in message:
        return f"{file} has no function get_config()"
    return message


def _lines(error: BaseException, file: str) -> list[int | None]:
    """The lines of `file` in the traceback of the error, outermost first."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f.lineno for f in frames if Path(f.filename) == Path(file).absolute()]


def _options(argv: list[str]) -> tuple[str, list[str]]:
    """The config file and the names of the overridden fields on a command line."""
    file, fields = "", []
    for i, argument in enumerate(argv):
        name, equals, value = argument.lstrip("-").partition("=")
        if not argument.startswith("-"):
            continue
        if name == "config":
            file = value if equals else "".join(argv[i + 1 : i + 2])
        elif name.startswith("config."):
            fields.append(name.removeprefix("config."))
    return file, fields
