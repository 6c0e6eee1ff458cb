"""The package as syntax trees: its modules and what they import; runs nothing."""

import ast
import functools
from pathlib import Path

from paths import ROOT

PACKAGE = ROOT / "hyperstyle_jax"


@functools.cache
def modules() -> dict[str, ast.Module]:
    """{"models.ops": tree}; a package has the name of its folder."""
    trees = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        trees[".".join(parts)] = ast.parse(path.read_text(), str(path))
    return trees


@functools.cache
def imports(name: str) -> frozenset[str]:
    """Everything that a module imports, lazily or not, by its full dotted name."""
    return frozenset(imported(modules()[name]))


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def beside() -> list[Path]:
    """Python files around the package."""
    tests = sorted((ROOT / "tests").rglob("*.py"))
    return [
        *sorted(ROOT.glob("*.py")),
        *sorted((ROOT / "configs").glob("*.py")),
        *sorted((ROOT / "scripts").glob("*.py")),
        *tests,
    ]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))
