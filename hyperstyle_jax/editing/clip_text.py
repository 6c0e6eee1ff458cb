"""What CLIP reads in texts: tokens, prompts, and the direction from one to another.

A text's pieces are tokenized by byte pair encoding with the vocabulary that OpenAI
publishes beside CLIP, `bpe_simple_vocab_16e6.txt.gz`, which the user names.
"""

import functools
import gzip
import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from hyperstyle_jax.net import Net

# A text stands in several sentences, whose vectors are averaged. They are few and ours;
# a file may give others, as the 79 of CLIP's authors.
TEMPLATES = (
    "{}",
    "a photo of {}.",
    "a picture of {}.",
    "a close-up photo of {}.",
    "a portrait of {}.",
    "a cropped picture of {}.",
    "a bright photo of {}.",
    "a dark photo of {}.",
    "a drawing of {}.",
    "a rendering of {}.",
    "a small picture of {}.",
    "an old photo of {}.",
)
_PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+")
_MAX_VOCABULARY = 2**26  # bytes


class Tokenizer(NamedTuple):
    """A vocabulary of byte pair encoding.

    Attributes:
        ranks: pairs of symbols that are joined, the most frequent first.
        numbers: of the symbols; the last two begin and end a text.
    """

    ranks: dict[tuple[str, str], int]
    numbers: dict[str, int]


def read_vocabulary(path: str | Path, size: int) -> Tokenizer:
    """Reads a vocabulary: a header, then a pair of symbols on each line.

    Args:
        path: of the file, packed by gzip or not.
        size: the number of tokens of the CLIP that it is for.

    Raises:
        ValueError: the file cannot be read, or has too few pairs.
    """
    try:
        data = Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            with gzip.open(path) as file:
                data = file.read(_MAX_VOCABULARY)
        lines = data.decode("utf-8").split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the vocabulary {path}: {error}") from None
    symbols = list(_byte_symbols().values())
    symbols += [f"{symbol}</w>" for symbol in symbols]
    count = size - len(symbols) - 2
    pairs = [tuple(line.split()) for line in lines[1 : 1 + count]]
    if len(pairs) < count or not all(len(pair) == 2 for pair in pairs):
        raise ValueError(
            f"{path}: expected a header and {count} pairs of symbols, as CLIP's "
            "bpe_simple_vocab_16e6.txt.gz has them"
        )
    symbols += ["".join(pair) for pair in pairs]
    symbols += ["<|startoftext|>", "<|endoftext|>"]
    ranks = {(pair[0], pair[1]): i for i, pair in enumerate(pairs)}
    return Tokenizer(ranks, {symbol: i for i, symbol in enumerate(symbols)})


def tokenize(
    tokenizer: Tokenizer, texts: Sequence[str], context: int = 77
) -> np.ndarray:
    """Tokens [N, context] of N texts, int32, zeros behind their ends.

    Raises:
        ValueError: a text has more tokens than fit.
    """
    begin, end = len(tokenizer.numbers) - 2, len(tokenizer.numbers) - 1
    tokens = np.zeros((len(texts), context), np.int32)
    for row, text in zip(tokens, texts, strict=True):
        plain = " ".join(html.unescape(html.unescape(text)).split()).lower()
        pieces = _PIECES.findall(plain)
        numbers = [n for piece in pieces for n in _encode(tokenizer, piece)]
        if len(numbers) + 2 > context:
            raise ValueError(
                f"the text {text!r:.60} has {len(numbers)} tokens, but at most "
                f"{context - 2} fit: shorten it"
            )
        row[: len(numbers) + 2] = [begin, *numbers, end]
    return tokens


def _encode(tokenizer: Tokenizer, piece: str) -> list[int]:
    """Joins a piece's symbols pair by pair, the most frequent pair first."""
    symbols = [_byte_symbols()[byte] for byte in piece.encode("utf-8")]
    symbols[-1] += "</w>"
    while len(symbols) > 1:
        pairs = list(zip(symbols, symbols[1:], strict=False))
        best = min(pairs, key=lambda pair: tokenizer.ranks.get(pair, 1 << 30))
        if best not in tokenizer.ranks:
            break
        joined: list[str] = []
        for symbol in symbols:
            # A symbol that has just been joined is longer than the pair's first one.
            if joined and (joined[-1], symbol) == best:
                joined[-1] += symbol
            else:
                joined.append(symbol)
        symbols = joined
    return [tokenizer.numbers[symbol] for symbol in symbols]


@functools.cache
def _byte_symbols() -> dict[int, str]:
    """A printable character for each byte; those that have none follow from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in symbols]
    return symbols | {byte: chr(256 + i) for i, byte in enumerate(others)}


def read_templates(path: str | Path) -> tuple[str, ...]:
    """The sentences of a text file, one a line, with {} for the text.

    Raises:
        ValueError: the file cannot be read, or a line has no {}.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the templates {path}: {error}") from None
    templates = tuple(line.strip() for line in lines if line.strip())
    if bad := [line for line in templates if line.count("{}") != 1]:
        raise ValueError(f"{path}: {bad[0]!r:.60} has no {{}}, or several")
    if not templates:
        raise ValueError(f"{path} has no lines: expected sentences with {{}}")
    return templates


def text_vector(
    clip: Net,
    tokenizer: Tokenizer,
    text: str,
    templates: Sequence[str] = TEMPLATES,
) -> np.ndarray:
    """The vector [E] of length one of a text, averaged over sentences.

    Args:
        clip: Net of a CLIP.
        tokenizer: of its vocabulary.
        text: "a smiling face".
        templates: sentences with {} for the text.

    Raises:
        ValueError: a sentence is too long.
    """
    sentences = [template.replace("{}", text) for template in templates]
    tokens = tokenize(tokenizer, sentences, clip.module.context)
    vectors = np.asarray(_embed(clip, tokens))
    mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(0)
    return mean / np.linalg.norm(mean)


_embed = jax.jit(lambda clip, tokens: clip(tokens, method="text"))
