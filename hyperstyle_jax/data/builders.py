"""TFDS data sets in array_record files, prepared and read without TensorFlow."""

import contextlib
import hashlib
import io
import os
import re
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from tqdm import tqdm

from hyperstyle_jax import images
from hyperstyle_jax.data import faces

_CHUNK = 256
_SPLIT = "train"  # the only one; ranges of indices tell training from evaluation


class _Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Without the parts of TFDS that look for a package of data-set descriptions."""

    VERSION = tfds.core.Version("1.0.0")  # a new one whenever the contents change
    pkg_dir_path = None
    url_infos = {}  # nothing is downloaded; TFDS's own look-up needs one more package

    def _split_generators(self, dl_manager):
        return {_SPLIT: self._generate_examples()}


class ProceduralFaces(_Builder, skip_registration=True):
    """Faces drawn from a range of indices, with attributes, identity and latent."""

    def __init__(self, *, indices, size, seed, accessories, images_per_identity, **kw):
        self._indices, self._size = indices, size
        self._draw = {"seed": seed, "size": size, "accessories": accessories}
        self._per_identity = images_per_identity
        super().__init__(**kw)

    def _info(self) -> tfds.core.DatasetInfo:
        number = tfds.features.Scalar(np.int32)
        vector = tfds.features.Tensor
        return _info(
            self,
            "Procedural faces: pictures drawn by code, with every attribute known.",
            {
                "image": _png(self._size),
                "index": number,
                "identity": number,
                "latent": vector(shape=(faces.LATENT_DIM,), dtype=np.float32),
                "attributes": vector(shape=(len(faces.ATTRIBUTES),), dtype=np.float32),
            },
        )

    def _generate_examples(self):
        first, end = self._indices
        with tqdm(total=end - first, desc="drawing faces", unit="face") as bar:
            for start in range(first, end, _CHUNK):
                indices = np.arange(start, min(start + _CHUNK, end))
                people = indices // self._per_identity
                drawn = faces.draw(indices, identities=people, **self._draw)
                drawn.pop("accessories", None)
                for i, index in enumerate(indices):
                    example = {name: values[i] for name, values in drawn.items()}
                    example["image"] = images.encode_png(example["image"])
                    yield int(index), example
                bar.update(len(indices))


class ImageFolder(_Builder, skip_registration=True):
    """The pictures of a folder, cropped to squares of one size; broken ones skipped."""

    def __init__(self, *, image_dir, files, size, **kw):
        self._image_dir, self._files, self._size = image_dir, files, size
        super().__init__(**kw)

    def _info(self) -> tfds.core.DatasetInfo:
        return _info(
            self,
            "Pictures of a folder, cropped and resized.",
            {
                "image": _png(self._size),
                "index": tfds.features.Scalar(np.int32),
                "name": tfds.features.Text(),
            },
        )

    def _generate_examples(self):
        skipped, index = {}, 0
        for path in tqdm(self._files, desc="reading pictures", unit="file"):
            name = str(path.relative_to(self._image_dir))
            try:
                image = images.read_square(path, self._size)
            except ValueError as error:
                skipped[name] = str(error)
                continue
            png = images.encode_png(image)
            yield index, {"image": png, "index": index, "name": name}
            index += 1
        self.info.metadata["skipped"] = skipped
        if not index:
            raise ValueError(_none_readable(self._image_dir, skipped))


def prepare_faces(
    data_dir: str | Path,
    indices: tuple[int, int],
    size: int,
    seed: int = 0,
    accessories: bool = False,
    images_per_identity: int = 1,
) -> Path:
    """Draws the faces first ≤ index < end into `data_dir`, unless they are there.

    Args:
        data_dir: folder for prepared data sets.
        indices: (first, end).
        size: side of the pictures in pixels.
        seed, accessories: see `faces.draw`.
        images_per_identity: so many neighbouring indices show the same person.

    Returns:
        The folder to give to `pipeline.RecordSource`.
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
        "size": size,
        "seed": seed,
        "accessories": accessories,
        "images_per_identity": images_per_identity,
    }
    name = f"{first}-{end}_{size}px_seed{seed}_{images_per_identity}each"
    name += "_accessories" if accessories else ""
    return _prepare(ProceduralFaces, data_dir, name, options)


def prepare_folder(image_dir: str | Path, data_dir: str | Path, size: int) -> Path:
    """Reads, crops and resizes a folder of pictures, unless that has been done.

    A folder whose files have changed since is prepared anew. What had to be skipped is
    printed, and stays in `skipped(path)`.

    Args:
        image_dir: PNG, JPEG and WebP files, also in folders below.
        data_dir: folder for prepared data sets.
        size: side of the pictures in pixels.

    Returns:
        The folder to give to `pipeline.RecordSource`.

    Raises:
        ValueError: no such folder, or no readable picture in it.
    """
    _check_size(size)
    image_dir = Path(image_dir)
    files = images.find(image_dir)
    stem = re.sub(r"[^A-Za-z0-9-]+", "-", image_dir.resolve().name)
    name = f"{stem}_{size}px_{_fingerprint(image_dir, files)}"
    options = {"image_dir": image_dir, "files": files, "size": size}
    path = _prepare(ImageFolder, data_dir, name, options)
    missing = skipped(path)
    for reason in list(missing.values())[:20]:
        print(f"skipped {reason}")
    if missing:
        print(f"skipped {len(missing)} of {len(files)} files in {image_dir}")
    return path


def skipped(path: str | Path) -> dict[str, str]:
    """File name → reason for every file that a prepared folder lacks."""
    metadata = tfds.builder_from_directory(os.fspath(path)).info.metadata
    return dict((metadata or {}).get("skipped", {}))


def open_records(path: str | Path):
    """A prepared data set as a sequence of examples; pictures stay encoded."""
    path = Path(path)
    if not (path / "dataset_info.json").is_file():
        raise ValueError(
            f"{path}: not a prepared data set (no dataset_info.json); give the folder "
            "that `prepare_faces` or `prepare_folder` returned"
        )
    builder = tfds.builder_from_directory(os.fspath(path))
    if "image" not in builder.info.features:
        names = sorted(builder.info.features)
        raise ValueError(f"{path}: got features {names}, expected `image` among them")
    decoders = {"image": tfds.decode.SkipDecoding()}
    return builder.as_data_source(_SPLIT, decoders=decoders)


def _info(builder, description: str, features: dict) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
        builder=builder,
        description=description,
        features=tfds.features.FeaturesDict(features),
        disable_shuffling=True,  # records stand in the order of their indices
        metadata=tfds.core.MetadataDict(),
    )


def _png(size: int) -> tfds.features.Image:
    return tfds.features.Image(shape=(size, size, 3), encoding_format="png")


def _prepare(cls, data_dir: str | Path, name: str, options: dict) -> Path:
    config = tfds.core.BuilderConfig(name=name, version=cls.VERSION)
    with _quiet():
        builder = cls(
            data_dir=os.fspath(data_dir),
            config=config,
            file_format="array_record",
            **options,
        )
        builder.download_and_prepare()
    return Path(builder.data_dir)


@contextlib.contextmanager
def _quiet():
    """TFDS prints a page and several bars of its own; ours on stderr says enough."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()
        logging.set_verbosity(verbosity)


def _fingerprint(image_dir: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        stat = path.stat()
        line = f"{path.relative_to(image_dir)} {stat.st_size} {stat.st_mtime_ns}\n"
        digest.update(line.encode())
    return digest.hexdigest()[:12]


def _none_readable(image_dir: Path, skipped: dict[str, str]) -> str:
    first = next(iter(skipped.values()))
    return f"{image_dir}: no readable picture; first problem: {first}"


def _check_size(size: int) -> None:
    if size < images.MIN_SIDE:
        raise ValueError(
            f"size: got {size}, expected at least {images.MIN_SIDE} pixels"
        )
