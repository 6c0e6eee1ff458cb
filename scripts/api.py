"""Writes docs/api.md: the public names and functions, from signatures and docstrings.

    .venv/bin/python scripts/api.py

It reads the syntax trees: nothing is imported but the list of public names.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from hyperstyle_jax import _PUBLIC

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "hyperstyle_jax"
PAGE = ROOT / "docs/api.md"
# Rooms whose functions are for others' programs; the rest serves commands and training.
ROOMS = ("offsets", "inversion", "editing", "photos", "weights", "losses", "metrics")

HEAD = """\
# Python interface

Made by `make api` from the docstrings. First the names that
`import hyperstyle_jax as hs` gives; then the functions of the rooms beneath, as in
`from hyperstyle_jax.inversion import pipeline`.
"""


def main() -> None:
    PAGE.write_text(page())
    print(f"{len(PAGE.read_text().splitlines())} lines in {PAGE.relative_to(ROOT)}")


def page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([HEAD, "## hs", "", *public_names(), *rooms()])


def public_names() -> Iterator[str]:
    """An entry for each name that the package itself gives."""
    for name, home in _PUBLIC.items():
        module, _, attribute = home.rpartition(".")
        yield from entry(definition(module, attribute), f"hs.{name}")


def rooms() -> Iterator[str]:
    """A section for each module of the rooms: what is not a public name already."""
    for room in ROOMS:
        paths = sorted((PACKAGE / room).rglob("*.py")) or [file(room)]
        for path in paths:
            module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
            parsed = tree(path)
            rest = {f"{module}.{node.name}": node for node in definitions(parsed)}
            rest = {name: rest[name] for name in rest if name not in _PUBLIC.values()}
            if rest:
                yield from [f"## {module}", "", ast.get_docstring(parsed) or "", ""]
            for name, node in rest.items():
                yield from entry(node, ".".join(name.split(".")[-2:]))


def definition(module: str, name: str) -> ast.FunctionDef | ast.ClassDef:
    """Where a module's name is defined: in it, or in the one that it takes it from."""
    parsed = tree(file(module))
    for node in definitions(parsed):
        if node.name == name:
            return node
    for node in filter(lambda node: isinstance(node, ast.ImportFrom), parsed.body):
        for alias in node.names:
            if name == (alias.asname or alias.name):
                return definition(node.module.partition(".")[2], alias.name)
    raise LookupError(f"{module} has no public {name} with a docstring")


def file(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def definitions(parent: ast.AST) -> list[ast.FunctionDef | ast.ClassDef]:
    """Public functions and classes that stand directly in a module or class."""
    return [
        node
        for node in ast.iter_child_nodes(parent)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and ast.get_docstring(node)
    ]


def entry(node: ast.FunctionDef | ast.ClassDef, name: str) -> Iterator[str]:
    """A heading, the signature and the docstring; of a class also its methods."""
    yield from [f"### {name}", ""]
    if isinstance(node, ast.FunctionDef):
        yield from ["```python", signature(node, name), "```", ""]
    yield from [markdown(ast.get_docstring(node) or ""), ""]
    if isinstance(node, ast.ClassDef):
        for method in definitions(node):
            yield from entry(method, f"{name}.{method.name}")


def signature(node: ast.FunctionDef, name: str) -> str:
    """`name(arguments) -> type`, an argument to a line where it is long."""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    parts = list(arguments(node.args))
    line = f"{name}({', '.join(parts)}){returns}"
    if len(line) <= 88:
        return line
    return "\n".join([f"{name}(", *(f"    {p}," for p in parts), f"){returns}"])


def arguments(node: ast.arguments) -> Iterator[str]:
    """Each argument with its type and default, as Python writes it."""
    positional = [*node.posonlyargs, *node.args]
    without = len(positional) - len(node.defaults)
    parts = list(map(argument, positional, [None] * without + node.defaults))
    if node.posonlyargs:
        parts.insert(len(node.posonlyargs), "/")
    yield from parts
    if node.vararg:
        yield f"*{ast.unparse(node.vararg)}"
    elif node.kwonlyargs:
        yield "*"
    yield from map(argument, node.kwonlyargs, node.kw_defaults)
    if node.kwarg:
        yield f"**{ast.unparse(node.kwarg)}"


def argument(node: ast.arg, default: ast.expr | None) -> str:
    spaces = " " if node.annotation else ""
    value = f"{spaces}={spaces}{ast.unparse(default)}" if default else ""
    return ast.unparse(node) + value


def markdown(docstring: str) -> str:
    """A docstring with its sections (Args, Returns, …) as Markdown lists."""
    lines, in_section = [], False
    for line in docstring.splitlines():
        if title := re.fullmatch(r"(Args|Attributes|Returns|Raises|Yields):", line):
            in_section = True
            lines += [f"**{title[1]}**", ""]
        elif in_section and (item := re.match(r"    ([\w.*]+(?:, [\w.*]+)*): ", line)):
            lines.append(f"- `{item[1]}`: {line[item.end() :]}")
        elif in_section and line:
            lines.append(
                f"  {line.strip()}" if line.startswith(" " * 8) else line.strip()
            )
        else:
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
