"""Converts official files into a bundle, from which `restoring` makes them again."""

import os
from collections.abc import Sequence
from pathlib import Path

from hyperstyle_jax.convert import assembling, kinds, notes, reading
from hyperstyle_jax.convert.assembling import File
from hyperstyle_jax.convert.defaults import Log
from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.weights import bundle, provenance


def convert(
    paths: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    kind: str = "auto",
    image_size: tuple[int, int] | None = None,
    log: Log = print,
) -> str:
    """Converts official files into one bundle.

    Args:
        paths: files; where two hold the same network, the first one's is taken.
        out: the bundle's folder.
        kind: one of `kinds.KINDS`, or "auto".
        image_size: height and width of the images that encoder and hypernetwork take;
            by default that of the data set that the options in the files name, or
            256×256.
        log: told what the files hold and what is assumed.

    Returns:
        The bundle's id.

    Raises:
        ValueError: a file cannot be read, is of no known kind, or does not fit.
    """
    files = []
    for path in paths:
        files.append(read(path, kind))
        log(f"{path}: {describe(files[-1])}")
    assembled = assembling.assemble(files, image_size, log)
    kinds_of_files = [file.source.kind for file in files]
    sources = provenance.of_files(zip(paths, kinds_of_files, strict=True))
    return bundle.save(
        out,
        assembled.nets,
        info=assembled.info,
        directions=assembled.directions,
        inputs=assembled.inputs,
        extra={notes.FILE: lambda file: torch_files.write(file, assembled.official)},
        made_of=provenance.record("convert_weights.py", sources),
    )


def read(path: str | os.PathLike, kind: str = "auto") -> File:
    """Reads one file and recognizes it.

    Args:
        path: of the file; its content decides what it is, not its name.
        kind: one of `kinds.KINDS`, or "auto".

    Raises:
        ValueError: it cannot be read, or is of no known kind.
    """
    value = reading.read(path)
    try:
        source = kinds.recognize(value, kind)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return File(Path(path).stem, value, source)


def describe(file: File) -> str:
    """The kind of a file and its number of tensors in one line."""
    parts = file.source.parts
    roles = ", ".join(dict.fromkeys(part.role for part in parts))
    count = sum(len(part.tensors) for part in parts)
    arrays = len(file.source.arrays)
    content = f"{count} tensors for {roles}" if parts else f"{arrays} arrays"
    return f"{file.source.kind}, {content}"
