"""Prepares procedural faces as a TFDS data set, and opens any prepared data set.

TFDS writes and reads array_record files here without TensorFlow.
"""

import contextlib
import io
import os
import shutil
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from tqdm import tqdm

from hyperstyle_jax import faces, images
from hyperstyle_jax.data import shard_files, tfds_format
from hyperstyle_jax.system import errors, folder_lock

_CHUNK = 256


class _Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder without those parts of TFDS that look for a package of descriptions."""

    VERSION = tfds.core.Version("1.0.0")  # changes whenever the contents change
    pkg_dir_path = None
    url_infos = {}  # no downloads; TFDS would need one more package to look them up

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}


class ProceduralFaces(_Builder, skip_registration=True):
    """Faces drawn from a range of indices, with attributes, identity and latent."""

    def __init__(self, *, indices, images_per_identity, drawing, **kw):
        self._indices, self._size = indices, drawing["size"]
        self._drawing = drawing
        self._images_per_identity = images_per_identity
        super().__init__(**kw)

    def _info(self) -> tfds.core.DatasetInfo:
        integer = tfds.features.Scalar(np.int32)
        vector = tfds.features.Tensor
        return _info(
            self,
            "Procedural faces: images drawn by code, with every attribute known.",
            {
                "image": tfds_format.png(self._size, self._size),
                "index": integer,
                "identity": integer,
                "latent": vector(shape=(faces.LATENT_DIM,), dtype=np.float32),
                "attributes": vector(shape=(len(faces.ATTRIBUTES),), dtype=np.float32),
            },
        )

    def _generate_examples(self):
        first, end = self._indices
        with tqdm(total=end - first, desc="drawing faces", unit="face") as bar:
            for start in range(first, end, _CHUNK):
                indices = np.arange(start, min(start + _CHUNK, end))
                identities = indices // self._images_per_identity
                batch = faces.draw(indices, identities=identities, **self._drawing)
                batch.pop("accessories", None)
                for i, index in enumerate(indices):
                    example = {name: values[i] for name, values in batch.items()}
                    example["image"] = images.encode_png(example["image"])
                    yield int(index), example
                bar.update(len(indices))


def prepare_faces(
    data_dir: str | Path,
    indices: tuple[int, int],
    size: int,
    seed: int = 0,
    accessories: bool = False,
    images_per_identity: int = 1,
    style: str = "portrait",
) -> Path:
    """Draws the faces first ≤ index < end into `data_dir`, unless it has them.

    Args:
        data_dir: folder for prepared data sets.
        indices: (first, end).
        size: side of the images in pixels.
        seed, accessories, style: see `faces.draw`.
        images_per_identity: how many neighbouring indices show the same person.

    Returns:
        The folder to give to `examples.RecordSource`.

    Raises:
        ValueError: an empty range, a size or a number of images that is too small.
        OSError: the folder cannot be written.
    """
    first, end = indices
    if not 0 <= first < end:
        raise ValueError(f"indices: got {indices}, expected (first, end), first < end")
    if images_per_identity < 1:
        raise ValueError(
            f"images_per_identity: got {images_per_identity}, expected 1 or more"
        )
    _check_size(size)
    options = {
        "indices": (int(first), int(end)),
        "images_per_identity": images_per_identity,
        "drawing": {
            "size": size,
            "seed": seed,
            "accessories": accessories,
            "style": style,
        },
    }
    name = f"{first}-{end}_{size}px_seed{seed}_{images_per_identity}each"
    name += "_accessories" if accessories else ""
    name += f"_{style}" if style != "portrait" else ""
    return _prepare(ProceduralFaces, data_dir, name, options)


def open_records(path: str | Path, split: str = "train"):
    """Opens a split of a prepared data set, a sequence of examples with encoded images.

    Raises:
        ValueError: not a data set, no such split, or a file of it is damaged, missing,
            short or of another format.
    """
    path = Path(path)
    if not (path / "dataset_info.json").is_file():
        raise ValueError(
            f"{path}: not a prepared data set (no dataset_info.json); `hyperstyle "
            "prepare` makes one"
        )
    if shard_files.is_finished(path):
        shard_files.check_files(path)
    builder = tfds_format.open_folder(path)
    if "image" not in builder.info.features:
        names = sorted(builder.info.features)
        raise ValueError(f"{path}: got features {names}, expected `image` among them")
    if split not in builder.info.splits:
        names = ", ".join(sorted(builder.info.splits))
        raise ValueError(f"{path}: there is no split {split!r}, but {names}")
    decoders = {"image": tfds.decode.SkipDecoding()}
    try:
        return builder.as_data_source(split, decoders=decoders)
    except NotImplementedError:
        kind = builder.info.file_format.value
        raise ValueError(
            f"{path}: got files of the format {kind}, expected array_record; prepare "
            "it with TFDS's --file_format=array_record"
        ) from None


def shapes(path: str | Path) -> dict[str, tuple]:
    """{name: (shape, dtype)} of the features of an example of a prepared data set."""
    features = tfds_format.open_folder(Path(path)).info.features
    return {name: (f.shape, f.np_dtype) for name, f in features.items()}


def _info(builder, description: str, features: dict) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
        builder=builder,
        description=description,
        features=tfds.features.FeaturesDict(features),
        disable_shuffling=True,  # records stand in the order of their indices
    )


def _prepare(cls, data_dir: str | Path, name: str, options: dict) -> Path:
    config = tfds.core.BuilderConfig(name=name, version=cls.VERSION)
    with _quiet():
        builder = cls(
            data_dir=os.fspath(data_dir),
            config=config,
            file_format="array_record",
            **options,
        )
        path = Path(builder.data_dir)
        if not path.exists():
            with folder_lock.hold(path.parent, wait=True), errors.about(path):
                for remains in path.parent.glob("*incomplete*"):  # of a killed process
                    shutil.rmtree(remains, ignore_errors=True)
                builder.download_and_prepare()
    return path


@contextlib.contextmanager
def _quiet():
    """Keeps TFDS from printing a page and several bars; ours on stderr is enough."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()
        logging.set_verbosity(verbosity)


def _check_size(size: int) -> None:
    if size < images.MIN_SIDE:
        raise ValueError(
            f"size: got {size}, expected at least {images.MIN_SIDE} pixels"
        )
