"""The features of examples as TFDS stores them, and TFDS's description of a data set.

TFDS reads and writes examples here without TensorFlow.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core.example_serializer import ExampleSerializer

from hyperstyle_jax.data import shard_files
from hyperstyle_jax.system import atomic_files, errors

_SHORT = {
    "BBoxFeature": "bounding_boxes",
    "ClassLabel": "class_label_feature",
    "FeaturesDict": "features_dict",
    "Image": "image_feature",
    "Scalar": "scalar",
    "Sequence": "sequence_feature",
    "Tensor": "tensor_feature",
    "Text": "text_feature",
}
_HOME = "tensorflow_datasets.core.features"
_FEATURES = {f"{_HOME}.{home}.{name}" for name, home in _SHORT.items()}
_FEATURES.add(f"{_HOME}.feature.Tensor")  # of older versions
_AGAIN = "copy the data set again, or prepare it again in another folder"


def png(height: int, width: int) -> tfds.features.Image:
    """An image [height, width, 3] uint8, given and stored as the bytes of a PNG."""
    shape = (height, width, 3)
    return tfds.features.Image(shape=shape, encoding_format="png")


def text() -> tfds.features.Text:
    """A string, stored as UTF-8."""
    return tfds.features.Text()


def tensor(shape: tuple[int, ...], dtype) -> tfds.features.Tensor:
    """An array, stored as its bytes."""
    return tfds.features.Tensor(shape=shape, dtype=dtype, encoding="bytes")


def features_dict(features: Mapping[str, Any]) -> tfds.features.FeaturesDict:
    """The features of an example, by name; `serializer` makes bytes of one."""
    return tfds.features.FeaturesDict(features)


def serializer(
    features: tfds.features.FeaturesDict,
) -> Callable[[dict[str, Any]], bytes]:
    """Makes bytes of an example, the same bytes in every process.

    TFDS's own `serialize_example` writes the fields in an order that protobuf draws
    anew for each process.
    """
    serializer = ExampleSerializer(features.get_serialized_info())

    def serialize(example: dict[str, Any]) -> bytes:
        record = serializer.get_tf_example(features.encode_example(example))
        return record.SerializeToString(deterministic=True)

    return serialize


def open_folder(path: Path) -> tfds.core.DatasetBuilder:
    """Opens a folder that is a data set, also one from strangers.

    TFDS imports the modules that a folder names; here only its own features of images,
    numbers and text are allowed.

    Raises:
        ValueError: its description is damaged or has other features.
        OSError: its description cannot be read.
    """
    for name in ("dataset_info.json", "features.json"):
        try:
            content = json.loads((path / name).read_text())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path / name} is damaged: {_AGAIN}") from error
        for feature in _classes(content, legacy=name == "features.json"):
            if str(feature) not in _FEATURES:
                raise ValueError(
                    f"{path / name} names the feature {str(feature)[:100]!r}, which is "
                    f"not read; expected {', '.join(sorted(_SHORT))}"
                )
    try:
        return tfds.builder_from_directory(os.fspath(path))
    except (MemoryError, OSError):
        raise
    except Exception as error:  # TFDS and protobuf raise many kinds for damaged ones
        why = errors.first_line(error)
        raise ValueError(f"{path}: its description is damaged ({why}): {_AGAIN}") from (
            error
        )


def _classes(content: Any, legacy: bool) -> Iterator[Any]:
    """All that JSON of TFDS names as the class of a feature."""
    if isinstance(content, list):
        for value in content:
            yield from _classes(value, legacy)
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        named = key.replace("_", "").lower() == "pythonclassname"
        # An old form: {"type": class, "content": …}, whose content may be JSON in JSON.
        old = legacy and key == "type" and not isinstance(value, dict)
        if named or old:
            yield value
        if legacy and key == "content" and isinstance(value, str):
            yield "in a string"
        yield from _classes(value, legacy)


def describe(
    path: Path,
    name: str,
    features: tfds.features.FeaturesDict,
    description: str,
    shard_lengths: Mapping[str, list[int]],
) -> None:
    """Writes `features.json` and `dataset_info.json`, which make a folder a data set.

    Each is there as a whole or not at all; the second one comes last.

    Args:
        path: folder with the shards.
        name: of the data set.
        shard_lengths: {split: the number of examples in each of its shards}.

    Raises:
        OSError: a file cannot be written.
    """
    version = tfds.core.Version("1.0.0")
    owner = tfds.core.dataset_info.DatasetIdentity(name, version, os.fspath(path), "")
    info = tfds.core.DatasetInfo(
        builder=owner,
        description=description,
        features=features,
        disable_shuffling=True,  # records stand in the order of the names
    )
    info.set_file_format("array_record")
    splits = [_split(path, name, *item) for item in shard_lengths.items()]
    info.set_splits(tfds.core.splits.SplitDict(splits))
    part = atomic_files.part_of(path / "description")
    part.mkdir()
    try:
        info.write_to_directory(part)
        for file in sorted(part.iterdir(), reverse=True):  # dataset_info.json last
            os.replace(file, path / file.name)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _split(path: Path, name: str, split: str, lengths: list[int]):
    template = tfds.core.ShardedFileTemplate(
        data_dir=path,
        dataset_name=name,
        split=split,
        filetype_suffix="array_record",
    )
    files = [
        path / shard_files.shard_name(name, split, i, len(lengths))
        for i in range(len(lengths))
    ]
    return tfds.core.SplitInfo(
        name=split,
        shard_lengths=lengths,
        num_bytes=sum(file.stat().st_size for file in files),
        filename_template=template,
    )
