"""Describes objects of unknown classes by what the file says about them.

Options of a training hold paths, dates and objects of the user's own classes, and whole
networks are objects of PyTorch. No class is imported and no function is called: an
`Object` keeps the name of its class, its arguments and its state, and `plain` makes
plain values of these.
"""

import dataclasses
import datetime
import pathlib
import re
from typing import Any

_LONGEST = 200  # characters of a description

# A file of weights has no reason to name these. They would not be called either way.
_FORBIDDEN = re.compile(
    r"(os|posix|nt|sys|subprocess|shutil|socket|ctypes|importlib|"
    r"runpy|code|codeop|pty|commands|webbrowser|signal|multiprocessing|threading|"
    r"asyncio|marshal|pickle|_pickle|cPickle|timeit|pdb|bdb|io|_io|tempfile|glob|"
    r"urllib|http|requests|ftplib|smtplib|operator|_operator|inspect|gc|atexit|"
    r"platform|distutils|setuptools|pip|pydoc|doctest|cProfile|profile|trace|ast|"
    r"linecache|imp|zipimport|pkgutil|site|torch\.(hub|jit|utils)|numpy\.testing)"
    r"(\..*)?"
)
_HARMLESS = re.compile(
    r"torch\.utils\.(data|checkpoint|hooks|_device|_ordered_set|_pytree)\b.*|"
    r"multiprocessing\.context\.\w+|operator\.(attrgetter|itemgetter)|io\.(StringIO|"
    r"BytesIO)|_io\.(StringIO|BytesIO)|inspect\._ParameterKind|threading\._?R?Lock"
)
_BUILTINS = re.compile(
    r"eval|exec|execfile|compile|open|file|__import__|input|raw_input|globals|locals|"
    r"vars|setattr|delattr|breakpoint|exit|quit|reload|apply"
)


def is_refused(module: str, name: str) -> bool:
    """Whether a file that refers to this name is refused as an attack."""
    if module in ("builtins", "__builtin__"):
        return bool(_BUILTINS.fullmatch(name))
    forbidden = _FORBIDDEN.fullmatch(module)
    return bool(forbidden) and not _HARMLESS.fullmatch(f"{module}.{name}")


@dataclasses.dataclass(eq=False)
class Object:
    """An object as a file describes it, with the items or pairs that it contains."""

    class_name: str
    arguments: tuple = ()
    state: Any = None
    items: list = dataclasses.field(default_factory=list)
    pairs: dict = dataclasses.field(default_factory=dict)

    def fields(self) -> dict | None:
        """Its attributes by name, where the state has them.

        A state is a dict, or a pair of dicts where the class has slots.
        """
        pair = isinstance(self.state, tuple) and len(self.state) == 2
        parts = self.state if pair else (self.state,)
        if not all(part is None or isinstance(part, dict) for part in parts):
            return None
        return {k: v for part in parts for k, v in (part or {}).items()}


def plain(value: Object) -> Any:
    """Replaces an object by text, a list or a dict; its parts stay as they are."""
    module = value.class_name.partition(".")[0]
    if module in _TEXTS:
        text = _TEXTS[module](value)
        if text is not None:
            return text
    fields = value.fields() or {}
    if value.pairs:
        return {**fields, **value.pairs}
    if fields:
        return fields
    if value.items:
        return list(value.items)
    arguments = ", ".join(_short(a) for a in value.arguments)
    return f"{value.class_name}({arguments})"[:_LONGEST]


def _short(value: Any) -> str:
    """One argument; never unfolds nested ones, which could grow without bound."""
    if value is None or isinstance(value, (bool, float, str, bytes)):
        return f"{value!r:.60}"
    if isinstance(value, int):
        return f"{value}" if abs(value) < 2**64 else "a large number"
    return f"<{type(value).__name__}>"


def _path(value: Object) -> str | None:
    """pathlib's classes have the path's parts as arguments."""
    if not all(isinstance(part, str) for part in value.arguments):
        return None
    windows = "Windows" in value.class_name
    kind = pathlib.PureWindowsPath if windows else pathlib.PurePosixPath
    return str(kind(*value.arguments))


def _date(value: Object) -> str | None:
    """datetime's classes take the bytes of their state, or numbers."""
    name = value.class_name.rpartition(".")[2]
    if name not in ("date", "datetime", "time", "timedelta"):
        return None
    arguments = [a for a in value.arguments if not isinstance(a, Object)]
    arguments = [a.encode("latin1") if isinstance(a, str) else a for a in arguments]
    try:
        return str(getattr(datetime, name)(*arguments))
    except (TypeError, ValueError, OverflowError):
        return None


def _number(value: Object) -> str | None:
    """Decimal and Fraction take their text."""
    texts = [a for a in value.arguments if isinstance(a, str)]
    return texts[0][:_LONGEST] if len(texts) == len(value.arguments) == 1 else None


def _uuid(value: Object) -> str | None:
    number = (value.fields() or {}).get("int")
    return f"{number:032x}"[:32] if isinstance(number, int) else None


_TEXTS = {
    "pathlib": _path,
    "datetime": _date,
    "decimal": _number,
    "fractions": _number,
    "uuid": _uuid,
}
