"""A small CLIP with weights that a formula makes, and its vocabulary."""

import gzip
import json
from pathlib import Path

import clip_weights
import numpy as np

from hyperstyle_jax.net import Net
from hyperstyle_jax.parity import procedural
from hyperstyle_jax.parity.case import convert

_FILE = Path(__file__).parents[1] / "models/clip_oracle.json"
ORACLE = json.loads(_FILE.read_text("utf-8"))


def tensors() -> dict[str, np.ndarray]:
    """OpenAI's state dict."""
    return clip_weights.state_dict(procedural.normal, ORACLE["sizes"]["vocabulary"])


def net() -> Net:
    """The network, converted."""
    return convert(tensors())["clip"]


def vocabulary_file(folder: Path) -> Path:
    """A file as OpenAI publishes it, with a few pairs of symbols."""
    path = folder / "vocabulary.txt.gz"
    text = "\n".join(["a header", *ORACLE["merges"], ""])
    path.write_bytes(gzip.compress(text.encode()))
    return path
