"""Images that are both trained on and evaluated on."""

from collections.abc import Mapping, Sequence

from hyperstyle_jax.data.shards import Row


def between(
    train: Mapping[str, Sequence[Row]], others: Mapping[str, Sequence[Row]]
) -> list[tuple[str, str]]:
    """Pairs of names of the same image: the same file, or the same stored pixels.

    Args:
        train, others: rows by what to call their place, as {"train": rows}.

    Returns:
        [("train: a.png", "test: b.png"), …] in the order of `others`.
    """
    known = {}
    for place, rows in train.items():
        for row in rows:
            for checksum in _sums(row):
                known.setdefault(checksum, f"{place}: {row.name}")
    found = []
    for place, rows in others.items():
        for row in rows:
            same = [known[s] for s in _sums(row) if s in known]
            if same:
                found.append((same[0], f"{place}: {row.name}"))
    return found


def shared(train: Sequence[Row], held_out: Sequence[Row]) -> list[int]:
    """The places in `train` of images that are in `held_out` too."""
    known = {checksum for row in held_out for checksum in _sums(row)}
    return [i for i, row in enumerate(train) if known.intersection(_sums(row))]


def shown(pairs: Sequence[tuple[str, str]], most: int = 3) -> str:
    """A few of the pairs for one line."""
    text = ", ".join(f"{a} = {b}" for a, b in pairs[:most])
    return text + (f" and {len(pairs) - most} more" if len(pairs) > most else "")


def _sums(row: Row) -> list[str]:
    return [s for s in (row.file_sum, row.pixel_sum) if s]
