"""Official files → a bundle, from which `restoring` makes them again, bit for bit.

A bundle made here has one more file, official.pt: the content of the official files
with every tensor that a network holds replaced by a note where it is. What our networks
do not need (counters, options, classifiers, filters) stays there as it was.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn

from hyperstyle_jax import trees
from hyperstyle_jax.convert import defaults, image_sizes, kinds, layouts, reading
from hyperstyle_jax.convert.kinds import Part, Source
from hyperstyle_jax.convert.layouts import Constant, Rule
from hyperstyle_jax.models.lpips import LPIPS
from hyperstyle_jax.net import Net
from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.torch_format.pickle_writer import storable
from hyperstyle_jax.weights import bundle, provenance, specs

OFFICIAL = "official.pt"
NOTE = "hyperstyle_jax"  # the key that marks a note
EXACT = ("float32", "float16", "bfloat16")  # types that float32 holds without loss

Log = Callable[[str], None]


class File(NamedTuple):
    """One official file: its name without folder and suffix, content, meaning."""

    name: str
    value: Any
    source: Source


class Converted(NamedTuple):
    """Networks by role, with arrays that are views of the files."""

    nets: dict[str, Net]
    inputs: dict[str, specs.Inputs]
    directions: dict[str, np.ndarray]
    official: dict[str, Any]
    info: dict[str, Any]


def read(path: str | os.PathLike, kind: str = "auto") -> File:
    """Reads one file and recognizes it."""
    value = reading.read(path)
    try:
        source = kinds.recognize(value, kind)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return File(Path(path).stem, value, source)


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
        image_size: height and width of the images that go in; not given, 256 or what
            the options in the files say.
        log: told what is found.

    Returns:
        The bundle's id.

    Raises:
        ValueError: a file cannot be read, is of no known kind, or does not fit.
    """
    files = []
    for path in paths:
        files.append(read(path, kind))
        log(f"{path}: {describe(files[-1])}")
    result = assemble(files, image_size, log)
    kinds_of_files = [file.source.kind for file in files]
    sources = provenance.of_files(zip(paths, kinds_of_files, strict=True))
    return bundle.save(
        out,
        result.nets,
        info=result.info,
        directions=result.directions,
        inputs=result.inputs,
        extra={OFFICIAL: lambda file: torch_files.write(file, result.official)},
        made_of=provenance.record("convert_weights.py", sources),
    )


def describe(file: File) -> str:
    """Kind and number of tensors in one line."""
    parts = file.source.parts
    roles = ", ".join(dict.fromkeys(part.role for part in parts))
    count = sum(len(part.tensors) for part in parts)
    arrays = len(file.source.arrays)
    what = f"{count} tensors for {roles}" if parts else f"{arrays} arrays"
    return f"{file.source.kind}, {what}"


def assemble(
    files: Sequence[File],
    image_size: tuple[int, int] | None = None,
    log: Log = lambda _: None,
) -> Converted:
    """The networks of several files together."""
    files = _join_lpips(files)
    size = image_size or _image_size(files)
    modules, owners = _modules(files)
    inputs = {
        role: image_sizes.inputs(role, module, size, owners[role].source.channels)
        for role, module in modules.items()
    }
    shapes = {k: image_sizes.shapes(m, inputs[k]) for k, m in modules.items()}
    arrays: dict[str, dict[str, np.ndarray]] = {role: {} for role in modules}
    contents = []
    for file in files:
        notes = {}
        for part in file.source.parts:
            _check_constants(part, file, log)
            what = f"{file.name}: {part.role} for images of {size[0]}x{size[1]}"
            try:
                notes |= _carry_over(part, shapes[part.role], arrays[part.role], what)
            except ValueError as error:
                module, channels = modules[part.role], file.source.channels
                advice = image_sizes.advice(part, module, size, channels)
                raise ValueError(f"{error}{advice}") from None
        places = file.source.places
        notes = {places.get(path, path): note for path, note in notes.items()}
        content = _strip(file.value, notes, ())
        entry = {"name": file.name, "kind": file.source.kind, "value": content}
        contents.append(entry)
    _complete(modules, shapes, arrays, files, log)
    for role, module in modules.items():
        source = owners[role].source
        part = next(part for part in source.parts if part.role == role)
        own = shapes[role], arrays[role]
        _check_complete(part, module, *own, size, source.channels)
    nets = {
        role: Net(module, trees.unflatten(arrays[role]))
        for role, module in modules.items()
    }
    return Converted(
        nets,
        inputs,
        _directions(files),
        {"format": 1, "sources": contents},
        _info(files, size),
    )


def _image_size(files) -> tuple[int, int]:
    """The release resizes cars to 192×256 and everything else to 256×256."""
    names = [str(f.source.opts.get("dataset_type", "")) for f in files]
    return (192, 256) if any("cars" in name for name in names) else (256, 256)


def _info(files, size) -> dict[str, Any]:
    info: dict[str, Any] = {
        "made_by": "convert_weights.py",
        "sources": [{"name": f.name, "kind": f.source.kind} for f in files],
        "image_size": list(size) if size[0] != size[1] else size[0],
    }
    for file in files:
        iterations = file.source.opts.get("n_iters_per_batch")
        if file.source.kind == "hyperstyle" and isinstance(iterations, int):
            info["num_iters"] = iterations
    return info


def _modules(files):
    """Modules by role, and the first file that has each."""
    modules: dict[str, nn.Module] = {}
    owners: dict[str, File] = {}
    for file in files:
        for role, module in file.source.modules.items():
            if role not in modules:
                modules[role], owners[role] = module, file
            elif specs.spec(module) != specs.spec(modules[role]):
                raise ValueError(
                    f"{file.name} and {owners[role].name} hold a different {role} each "
                    "(other sizes): convert them into two bundles"
                )
    return modules, owners


def _carry_over(part: Part, shapes, arrays, what: str):
    """Fills `arrays`; returns notes {where in the file: where in the bundle}.

    What another file has filled already stays, and gets a note only if it is the same.
    """
    _check_paths(part.table, shapes, what)
    found = layouts.apply(
        part.table, shapes, part.tensors, what, part.unused, part.optional
    )
    for path, array in found.items():
        arrays.setdefault(path, array)
    notes = {}
    for rule in part.table:
        if isinstance(rule, Constant) or rule.name not in part.tensors:
            continue
        dtype = part.tensors[rule.name].dtype.name
        if dtype in EXACT and layouts.same(found[rule.path], arrays[rule.path]):
            note = [part.role, rule.path, rule.layout, dict(rule.sizes), dtype]
            notes[(*part.root, part.prefix + rule.name)] = {NOTE: note}
    return notes


def _check_paths(table, shapes, what: str):
    paths = {row.path for row in table if isinstance(row, Rule)}
    if unknown := sorted(paths - shapes.keys()):
        raise ValueError(f"{what}: the file has a {unknown[0]} too many")


def _check_constants(part: Part, file: File, log: Log):
    odd = [
        row.name
        for row in part.table
        if isinstance(row, Constant)
        and row.matters
        and row.name in part.tensors
        and not np.array_equal(part.tensors[row.name], row.value)
    ]
    if odd:
        log(
            f"warning: {file.name}: {len(odd)} filters of the {part.role} are not the "
            f"usual [1, 3, 3, 1] ({odd[0]}, …); images will differ from the original"
        )


def _complete(modules, shapes, arrays, files, log: Log):
    """Makes what loaders of the field make where a file lacks it."""
    for role, module in modules.items():
        if role.startswith("generator"):
            defaults.complete_generator(role, module, shapes[role], arrays[role], log)
    if "encoder" in modules:
        w_avg = arrays.get("generator", {}).get("buffers/mapping/w_avg")
        relative = any(f.source.opts.get("start_from_latent_avg") for f in files)
        module, own = modules["encoder"], arrays["encoder"]
        defaults.complete_encoder(module, own, w_avg, relative is True, log)


def _check_complete(part: Part, module, shapes, arrays, size, channels):
    if missing := sorted(set(shapes) - set(arrays)):
        raise ValueError(
            f"the {part.role} for images of {size[0]}x{size[1]} needs {missing[0]}, "
            f"which the file lacks{image_sizes.advice(part, module, size, channels)}"
        )


def _join_lpips(files) -> list[File]:
    """Trunk and heads, which are published in two files, make one network."""
    parts = [p.role for f in files for p in f.source.parts]
    if not {"lpips_trunk", "lpips_heads"} <= set(parts):
        return list(files)
    modules = {k: m for f in files for k, m in f.source.modules.items()}
    trunk, heads = modules["lpips_trunk"], modules["lpips_heads"]
    if trunk.widths() != tuple(heads.widths):
        raise ValueError(
            f"LPIPS: linear weights for layers of {tuple(heads.widths)} channels, but "
            f"the trunk is {trunk.net} with {trunk.widths()}"
        )
    joined = []
    for file in files:
        source = file.source
        changed = {k: m for k, m in source.modules.items() if "lpips" not in k}
        if len(changed) < len(source.modules):
            changed["lpips"] = LPIPS(trunk.net)
            parts = [_into_lpips(p) if "lpips" in p.role else p for p in source.parts]
            source = source._replace(modules=changed, parts=parts)
        joined.append(file._replace(source=source))
    return joined


def _into_lpips(part: Part) -> Part:
    place = part.role.removeprefix("lpips_")
    table = [
        r._replace(path=r.path.replace("params/", f"params/{place}/", 1))
        for r in part.table
    ]
    return part._replace(role="lpips", table=table)


def _directions(files) -> dict[str, np.ndarray]:
    found = {}
    for file in files:
        name = re.sub(r"\W+", "_", file.name)
        arrays = file.source.arrays
        if "direction" in arrays:
            found[name] = arrays["direction"]
        if "ganspace_directions" in arrays:
            # One unit is one standard deviation along the component.
            steps = arrays["ganspace_directions"] * arrays["ganspace_std"][:, None]
            found |= {f"{name}_{i}": step for i, step in enumerate(steps)}
    return found


def _strip(value, notes: Mapping[tuple, Any], path: tuple):
    if path in notes:
        return notes[path]
    if isinstance(value, dict):
        return {k: _strip(v, notes, (*path, k)) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_strip(v, notes, (*path, i)) for i, v in enumerate(value))
    return storable(value) if isinstance(value, np.ndarray) else value
