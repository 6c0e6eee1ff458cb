"""What is known of a run's images: drawn faces know all of it, others by a table.

Also what a task needs of them, so that a run that lacks it ends before it begins.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from hyperstyle_jax import faces
from hyperstyle_jax.data import labels as tables
from hyperstyle_jax.data.labels import Labels


class Known(NamedTuple):
    """What the labels of a run's images are.

    Attributes:
        attributes: their names [A]; () where there are none.
        mean, std: of each over the images [A].
        identities: the numbers that people have in the training set, or None.
        latents: whether each image's latent is known.
    """

    attributes: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    identities: range | None
    latents: bool = False


def known(config: ConfigDict) -> Known:
    """What is known of the images that a config names; no image is read.

    Raises:
        ValueError: the table cannot be read.
    """
    data = config.data
    if data.kind == "faces":
        return _of_faces(data)
    if table := table_of(data):
        mean, std = table.statistics()
        count = table.num_identities
        return Known(table.attributes, mean, std, range(count) if count else None)
    stored = _stored(data)
    if "latent" in stored and "attributes" in stored:  # prepared faces
        return _of_faces(data)._replace(latents=True)
    nothing = np.zeros(0, np.float32)
    return Known((), nothing, nothing, None, "latent" in stored)


def table_of(data: ConfigDict) -> Labels | None:
    """The table of `data.labels`, or the one in the folder of a prepared data set.

    Raises:
        ValueError: it cannot be read.
    """
    path = data.labels
    if not path and data.kind == "tfds":
        inside = Path(data.path) / tables.NAME
        path = str(inside) if inside.is_file() else ""
    if not path:
        return None
    columns = [name for name in data.label_columns.split(",") if name]
    return tables.read(path, columns, data.identity)


def check(config: ConfigDict) -> None:
    """Refuses a task whose losses need labels that the images do not have.

    Raises:
        ValueError: names the loss and what to set; or the table cannot be read.
    """
    needed = _needed(config)
    if not needed:
        return
    have = known(config)
    there = {
        "identity": have.identities is not None,
        "attributes": bool(have.attributes),
        "latent": have.latents,
    }
    for field, label in needed:
        if not there[label]:
            raise ValueError(
                f"config.{field} is {_get(config, field)}, but the images of "
                f"config.data.kind={config.data.kind} {_LACK[label]}"
                f"{f', or set config.{field}=0' if label != 'latent' else ''}"
                f"{_hint(config)}"
            )


_LACK = {
    "identity": "do not say who is in them: name a table in config.data.labels and its "
    "column in config.data.identity",
    "attributes": "have no attributes: name a table in config.data.labels",
    "latent": "have no known latents, as drawn faces have: set it to 0",
}


def _needed(config: ConfigDict) -> list[tuple[str, str]]:
    """The losses that count and need labels: (field, kind of label)."""
    loss, needed = config.loss, []
    if config.task == "recognition":
        pairs = (("id", "identity"), ("attributes", "attributes"), ("shape", "latent"))
        needed = [(f"loss.{name}", label) for name, label in pairs if loss[name]]
    elif config.task == "gan" and loss.render:
        needed = [("loss.render", "latent")]
        if loss.attributes:
            needed.append(("loss.attributes", "attributes"))
    return needed


def _hint(config: ConfigDict) -> str:
    if config.task != "recognition" or config.loss.contrastive:
        return ""
    return "; config.loss.contrastive=1 trains without labels"


def _get(config: ConfigDict, field: str):
    group, name = field.split(".")
    return config[group][name]


def _of_faces(data: ConfigDict) -> Known:
    """Statistics of every attribute over the first training faces."""
    (lo, hi), count = data.train, data.images_per_identity
    indices = np.arange(lo, min(hi, lo + 4096))
    values = np.stack(list(faces.attributes(faces.latents(indices)).values()), axis=1)
    return Known(
        tuple(faces.ATTRIBUTES),
        values.mean(0),
        np.maximum(values.std(0), 1e-6),
        range(lo // count, (hi - 1) // count + 1),
        latents=True,
    )


def _stored(data: ConfigDict) -> set[str]:
    """The features of a prepared data set; none where there is no such folder."""
    if data.kind != "tfds" or not (Path(data.path) / "dataset_info.json").is_file():
        return set()
    from hyperstyle_jax.data import builders  # seconds: only where they are needed

    shapes: Callable = builders.shapes
    return set(shapes(data.path))
