"""The batches that a config describes, for training and for evaluation."""

from collections.abc import Callable, Iterator

from ml_collections import ConfigDict

from hyperstyle_jax.data import pipeline


def make_data(config: ConfigDict) -> tuple[Iterator, Callable[[], Iterator]]:
    """Training batches without end (resumable), and a function that starts evaluation.

    Raises:
        ValueError: no such folder, no picture in it, or ranges that it does not have.
    """
    data = config.data
    train, held_out = (source(data, name) for name in ("train", "eval"))
    batches = pipeline.batches(train, config.batch_size, config.seed, flip=data.flip)
    return batches, lambda: pipeline.each_once(held_out, config.batch_size)


def source(data: ConfigDict, split: str) -> pipeline.Source:
    """The examples `data.train` or `data.eval`, by the name of the split."""
    if data.kind == "faces":
        return _faces(data, tuple(data[split]))
    return _part(_records(data), data, split)


def _faces(data: ConfigDict, indices: tuple[int, int]) -> pipeline.Source:
    options = {
        "accessories": data.accessories,
        "images_per_identity": data.images_per_identity,
    }
    if not data.cache_dir:
        return pipeline.FaceSource(indices, data.size, **options)
    from hyperstyle_jax.data import builders  # seconds: only where they are needed

    path = builders.prepare_faces(data.cache_dir, indices, data.size, **options)
    return pipeline.RecordSource(path)


def _records(data: ConfigDict) -> pipeline.RecordSource:
    if data.kind == "tfds":
        return pipeline.RecordSource(data.path)
    from hyperstyle_jax.data import preparing

    cache = data.cache_dir or "data_cache"
    return pipeline.RecordSource(preparing.prepare_folder(data.path, cache, data.size))


def _part(records: pipeline.Source, data: ConfigDict, split: str) -> pipeline.Source:
    """A range of records; one that ends after the last record ends there."""
    (first, end), count = data[split], len(records)
    if first >= count:
        raise ValueError(
            f"config.data.{split} is {data[split]}, but {data.path} has {count} "
            f"pictures; choose two ranges within (0, {count})"
        )
    part = pipeline.Part(records, first, min(end, count))
    height, width = part.take([0])["image"].shape[1:3]
    if (height, width) != (data.size, data.size):
        raise ValueError(
            f"config.data.size is {data.size}, but the pictures in {data.path} are "
            f"{height} x {width}; change one of them"
        )
    return part
