"""Public functions of the library say what they take and give; mypy checks that."""

import ast

import pytest
from syntax_trees import modules

LIBRARY = ("net", "offsets", "inversion", "editing", "weights", "images", "losses")
LIBRARY += ("metrics", "photos")


def public(body, kind):
    return [n for n in body if isinstance(n, kind) and not n.name.startswith("_")]


def functions(tree: ast.Module):
    """Public functions, and public methods of public classes."""
    yield from public(tree.body, ast.FunctionDef)
    for owner in public(tree.body, ast.ClassDef):
        yield from public(owner.body, ast.FunctionDef)


def untyped(function: ast.FunctionDef) -> list[str]:
    """Names of the arguments without a type, and "return"."""
    args = function.args
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    missing = [a.arg for a in every if a.annotation is None]
    missing += ["return"] * (not function.returns)
    return [a for a in missing if a not in ("self", "cls")]


@pytest.mark.parametrize("room", LIBRARY)
def test_public_functions_have_types(room):
    names = [n for n in modules() if n == room or n.startswith(f"{room}.")]
    assert names, f"{room} is gone: name its successor in LIBRARY"
    lacking = {
        f"{name}.{function.name}": missing
        for name in names
        for function in functions(modules()[name])
        if (missing := untyped(function))
    }
    assert not lacking


def test_what_has_no_type_is_seen():
    tree = ast.parse("def f(a, b: int, *, c=1): ...\ndef _g(x): ...")
    assert [untyped(f) for f in functions(tree)] == [["a", "c", "return"]]
