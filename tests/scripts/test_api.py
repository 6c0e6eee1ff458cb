"""The page of the Python interface says what the code says."""

import ast

import pytest

import hyperstyle_jax as hs
from scripts import api


def test_the_page_is_not_stale():
    assert "\n".join(api.public_names()) in api.PAGE.read_text(), "run make api"


def test_every_public_name_is_on_the_page():
    for name in hs._PUBLIC:
        assert f"### hs.{name}\n" in api.PAGE.read_text()


@pytest.mark.parametrize(
    "line",
    [
        "f()",
        "f(a, b: int, *, c=1, d: str = 'x') -> int",
        "f(a, /, b=(1, 2), *rest: int, c, **options)",
    ],
)
def test_signatures_are_as_written(line):
    (node,) = ast.parse(f"def {line}: ...").body
    assert api.signature(node, "f") == line


def test_a_long_signature_has_an_argument_on_each_line():
    names = [f"argument_{i}" for i in range(9)]
    (node,) = ast.parse(f"def f({', '.join(names)}): ...").body
    lines = api.signature(node, "f").splitlines()
    assert lines == ["f(", *(f"    {name}," for name in names), ")"]


def test_sections_become_lists():
    text = (
        "One line.\n\nArgs:\n    a, b: first\n        and more.\n\nReturns:\n    [B]."
    )
    expected = (
        "One line.\n\n**Args**\n\n- `a, b`: first\n  and more.\n\n**Returns**\n\n[B]."
    )
    assert api.markdown(text) == expected
