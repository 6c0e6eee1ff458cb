"""Effects of style channels in a folder, measured layer by layer; shifts as files.

StyleCLIP's own files are read as they are: `fs3.npy` and `S_mean_std`.
"""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hyperstyle_jax.editing import style_effects
from hyperstyle_jax.models.generator import Layer
from hyperstyle_jax.net import Net
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.torch_format import files as torch_files

_EFFECTS, _STATISTICS, _RECORD = "fs3.npy", "S_mean_std", "effects.json"


class Effects(NamedTuple):
    """What `styleclip.global_direction` needs of a generator.

    Attributes:
        effects: [N, E], a row for each channel of the convolutions.
        std: {path of a layer's kernel: [I]}.
    """

    effects: np.ndarray
    std: dict[str, np.ndarray]


def find_or_measure(
    folder: Path,
    generator: Net,
    clip: Net,
    made_of: Mapping[str, object],
    *,
    images: int = 100,
    batch_size: int = 10,
    progress: Callable = lambda layers: layers,
) -> Effects:
    """The effects in a folder; what is missing is measured, and kept there.

    A measurement that was stopped continues with the layer where it was.

    Args:
        folder: of `fs3.npy` and `S_mean_std`, which StyleCLIP's own may be.
        generator: Net of a Generator.
        clip: Net of a CLIP.
        made_of: names what the effects are of: ids of bundles.
        images, batch_size: of `style_effects.measure_layer`.
        progress: wraps the list of layers to measure, as tqdm does.

    Raises:
        ValueError: the folder has effects of other networks, or damaged files.
    """
    record = {**made_of, "images": images}
    whole = (folder / _EFFECTS).is_file()
    if whole and not (folder / _RECORD).is_file():  # StyleCLIP's own files
        return _read(folder, generator, clip)
    _check_record(folder / _RECORD, record, whole)
    std = _statistics(folder, generator)
    if not whole:
        atomic_files.write_json(folder / _RECORD, record)
        layers = style_effects.convolutions(generator)
        parts = [_part(folder, i) for i in range(len(layers))]
        for layer, part in progress(list(zip(layers, parts, strict=True))):
            if not part.is_file():
                effects = style_effects.measure_layer(
                    generator, clip, layer, std, images=images, batch_size=batch_size
                )
                _write(part, effects)
        _write(folder / _EFFECTS, np.concatenate([_array(part) for part in parts]))
        for part in parts:
            part.unlink()
    return _read(folder, generator, clip)


def _part(folder: Path, index: int) -> Path:
    return folder / f"layer{index:02}.npy"


def _check_record(path: Path, record, whole: bool):
    """Refuses effects that other networks gave; the number of images may differ."""
    if not path.is_file():
        return
    try:
        there = json.loads(path.read_text())
        names = [k for k in record if there[k] != record[k]]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is damaged: choose another folder") from None
    if whole:
        names = [name for name in names if name != "images"]
    if names:
        raise ValueError(
            f"{path.parent} has effects of another {names[0]} ({there[names[0]]}, here "
            f"{record[names[0]]}): choose another folder"
        )


def _statistics(folder: Path, generator: Net) -> dict[str, np.ndarray]:
    """Deviations of the styles, which are measured where the folder lacks them."""
    path = folder / _STATISTICS
    if not path.is_file():
        measured = style_effects.measure_styles(generator)
        order = [layer.path for layer in generator.module.layers()]
        both = [[part[p] for p in order] for part in (measured.mean, measured.std)]
        torch_files.write(path, both)
    return _std(path, generator.module.layers())


def _std(path: Path, layers: list[Layer]) -> dict[str, np.ndarray]:
    """StyleCLIP's file: means and deviations, an array for each layer with toRGB."""
    value = torch_files.read(path)
    shapes = [(layer.in_channels,) for layer in layers]
    good = isinstance(value, (list, tuple)) and len(value) == 2
    if not good or [np.shape(a) for a in value[1]] != shapes:
        raise ValueError(
            f"{path}: expected means and deviations of {len(shapes)} layers with "
            f"{', '.join(str(s[0]) for s in shapes)} channels: is it of another "
            "generator?"
        )
    deviations = (np.asarray(a, np.float32) for a in value[1])
    return {layer.path: std for layer, std in zip(layers, deviations, strict=True)}


def _read(folder: Path, generator: Net, clip: Net) -> Effects:
    effects = _array(folder / _EFFECTS)
    count = sum(layer.in_channels for layer in style_effects.convolutions(generator))
    expected = (count, clip.module.embedding)
    if effects.shape != expected:
        raise ValueError(
            f"{folder / _EFFECTS} has the shape {effects.shape}, expected {expected}: "
            "is it of another generator or of another CLIP?"
        )
    return Effects(effects, _statistics(folder, generator))


def save_shifts(path: Path, shifts: Mapping[str, np.ndarray]) -> None:
    """Writes shifts of styles, {path of a layer's kernel: [I]}; zeros are left out."""
    data = io.BytesIO()
    arrays: dict[str, Any] = {k: v for k, v in shifts.items() if np.any(v)}
    np.savez(data, **arrays)
    atomic_files.write_whole(path, data.getvalue())


def load_shifts(path: Path) -> dict[str, np.ndarray]:
    """Reads what `save_shifts` has written.

    Raises:
        ValueError: it is no such file.
    """
    value = torch_files.read(path)
    good = isinstance(value, dict) and all(
        isinstance(v, np.ndarray) and v.ndim == 1 and v.dtype.kind == "f"
        for v in value.values()
    )
    if not good:
        raise ValueError(
            f"{path} holds no shifts of styles: expected a file of `hyperstyle "
            "text-direction`"
        )
    return value


def _write(path: Path, array: np.ndarray) -> None:
    data = io.BytesIO()
    np.save(data, array)
    atomic_files.write_whole(path, data.getvalue())


def _array(path: Path) -> np.ndarray:
    value = torch_files.read(path)
    if not isinstance(value, np.ndarray) or value.ndim != 2:
        raise ValueError(f"{path} holds no array of effects: remove it")
    return value
