"""Directions given as files: age.pt, a .npy, or a component cars_pca.pt#22."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hyperstyle_jax.editing.amounts import Edit

if TYPE_CHECKING:  # they take long to import
    import numpy as np

    from hyperstyle_jax.weights.bundle import Bundle

_ENDINGS = (".pt", ".pth", ".pkl", ".npy")  # .npz with a component's number alone


def with_files(model: "Bundle", edits: Sequence[Edit]) -> "Bundle":
    """A bundle that also has the directions that edits name by file.

    Raises:
        ValueError: a file that holds no direction, or no such component.
    """
    found = {
        edit.name: _read(edit.name)
        for edit in edits
        if edit.name not in model.directions
        and (Path(edit.name).suffix.lower() in _ENDINGS or "#" in edit.name)
    }
    return model._replace(directions={**model.directions, **found})


def _read(name: str) -> "np.ndarray":
    from hyperstyle_jax.convert import kinds, reading

    file, _, index = name.partition("#")
    if not Path(file).is_file():
        raise ValueError(f"{file} does not exist")
    arrays = kinds.recognize(reading.read(file)).arrays
    if "direction" in arrays and not index:
        return arrays["direction"]
    if "ganspace_directions" not in arrays:
        raise ValueError(f"{name} holds no such edit direction")
    components = arrays["ganspace_directions"]
    if not index.isdecimal() or int(index) >= len(components):
        raise ValueError(
            f"{name}: a file of {len(components)} components; choose one, as "
            f"{Path(file).name}#0"
        )
    return components[int(index)] * arrays["ganspace_std"][int(index)]
