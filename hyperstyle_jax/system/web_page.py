"""Writes pages of HTML that need no other file: images are inside, nothing is asked."""

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto;
       padding: 0 1rem }
img { max-width: 100%; background: #fff }
section { columns: 20rem }
.wide { overflow-x: auto }
figure { margin: 1rem 0 }
td, th { padding: .1rem 1.5rem .1rem 0; vertical-align: top; text-align: left }
td + td { font-variant-numeric: tabular-nums }
"""


def page(title: str, parts: Iterable[str]) -> bytes:
    """A whole page; `parts` are HTML, the title is text."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{text(title)}</title><style>{_STYLE}</style>"
        f"{''.join(parts)}</html>\n"
    ).encode()


def section(title: str, content: str) -> list[str]:
    """A headline and its content; nothing where the content is empty."""
    return [f"<h2>{text(title)}</h2>", content] if content else []


def wide_section(title: str, content: str) -> list[str]:
    """A section that scrolls sideways where it is wider than the page."""
    return section(title, f'<div class="wide">{content}</div>' if content else "")


def table(rows: Mapping[str, Any]) -> str:
    """A table of names and values."""
    cells = [f"<tr><td>{text(k)}<td>{text(v)}" for k, v in rows.items()]
    return f"<table>{''.join(cells)}</table>" if cells else ""


def wide_table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table with a headline for each column."""
    head = "".join(f"<th>{text(title)}" for title in titles)
    cells = ("".join(f"<td>{text(value)}" for value in row) for row in rows)
    return f"<table><tr>{head}{''.join(f'<tr>{row}' for row in cells)}</table>"


def image(data: bytes, caption: str, kind: str = "png") -> str:
    """An image inside the page, with its caption."""
    caption = text(caption)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return (
        f'<figure><img alt="{caption}" src="{source}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def text(value: Any) -> str:
    """Any value as text that is safe inside HTML."""
    return html.escape(str(value))
