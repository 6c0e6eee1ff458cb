"""Finds images that a run would both train on and evaluate on."""

from collections.abc import Mapping, Sequence

from hyperstyle_jax.data.shard_files import ImageSums


def between(
    train: Mapping[str, Sequence[ImageSums]], others: Mapping[str, Sequence[ImageSums]]
) -> list[tuple[str, str]]:
    """Pairs of names of the same image: the same file, or the same stored pixels.

    Args:
        train, others: {what to call the place of some images, as "train": images}.

    Returns:
        [("train: a.png", "test: b.png"), …] in the order of `others`.
    """
    known = {}
    for place, images in train.items():
        for image in images:
            for checksum in _checksums(image):
                known.setdefault(checksum, f"{place}: {image.name}")
    pairs = []
    for place, images in others.items():
        for image in images:
            same = [known[c] for c in _checksums(image) if c in known]
            if same:
                pairs.append((same[0], f"{place}: {image.name}"))
    return pairs


def shared(train: Sequence[ImageSums], held_out: Sequence[ImageSums]) -> list[int]:
    """The positions in `train` of images that are in `held_out` too."""
    known = {checksum for image in held_out for checksum in _checksums(image)}
    return [i for i, image in enumerate(train) if known & set(_checksums(image))]


def one_line(pairs: Sequence[tuple[str, str]], most: int = 3) -> str:
    """The first `most` of the pairs in one line, and how many more there are."""
    text = ", ".join(f"{a} = {b}" for a, b in pairs[:most])
    return text + (f" and {len(pairs) - most} more" if len(pairs) > most else "")


def _checksums(image: ImageSums) -> list[str]:
    return [c for c in (image.file_sum, image.pixel_sum) if c]
