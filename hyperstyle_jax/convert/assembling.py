"""Networks of official files, brought together by role."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn

from hyperstyle_jax import trees
from hyperstyle_jax.convert import defaults, image_sizes, layouts, notes
from hyperstyle_jax.convert.defaults import Arrays, Log
from hyperstyle_jax.convert.kinds import lpips
from hyperstyle_jax.convert.layouts import Constant, Rule
from hyperstyle_jax.convert.sources import Part, Source
from hyperstyle_jax.net import Net
from hyperstyle_jax.weights import specs

Size = tuple[int, int]


class File(NamedTuple):
    """One official file: its name without folder and suffix, content, meaning."""

    name: str
    value: Any
    source: Source


class Assembled(NamedTuple):
    """What becomes a bundle.

    Attributes:
        nets: networks by role; their arrays are views of the files where possible.
        inputs: shapes of each network's inputs without the batch axis.
        directions: edit directions by name, [D] or [L, D].
        official: the content of official.pt (`notes`).
        info: the facts of bundle.json.
    """

    nets: dict[str, Net]
    inputs: dict[str, specs.Inputs]
    directions: dict[str, np.ndarray]
    official: dict[str, Any]
    info: dict[str, Any]


class _Network(NamedTuple):
    """A network that is being filled: `arrays` by path are added file by file."""

    module: nn.Module
    owner: File  # the first file that has it
    inputs: specs.Inputs
    shapes: Mapping[str, tuple[int, ...]]
    arrays: Arrays


def assemble(
    files: Sequence[File],
    image_size: Size | None = None,
    log: Log = lambda _: None,
) -> Assembled:
    """Brings the networks of several files together.

    Args:
        files: where two hold the same network, the first one's is taken.
        image_size: height and width of the images that encoder and hypernetwork take;
            by default that of the data set that the files' options name, or 256×256.
        log: told what is assumed and what is made.

    Raises:
        ValueError: the files do not fit each other, or not the size of the images.
    """
    sources = lpips.join([file.source for file in files])
    files = [f._replace(source=s) for f, s in zip(files, sources, strict=True)]
    size = image_size or image_sizes.of_sources(sources, log)
    for file in files:
        if (channels := file.source.channels) not in (3, 6):
            log(
                f"{file.name}: its encoder takes maps of {channels} channels, no photos"
            )
    networks = _networks(files, size)
    entries = []
    for file in files:
        places = _fill(file, networks, size, log)
        value = notes.replace(file.value, places)
        entry = {"name": file.name, "kind": file.source.kind, "value": value}
        entries.append(entry)
    _complete(networks, sources, log)
    for role, network in networks.items():
        _check_complete(role, network, size)
    return Assembled(
        {
            role: Net(network.module, trees.unflatten(network.arrays))
            for role, network in networks.items()
        },
        {role: network.inputs for role, network in networks.items()},
        _directions(files),
        notes.contents(entries),
        _info(files, size),
    )


def _networks(files: Sequence[File], size: Size) -> dict[str, _Network]:
    networks: dict[str, _Network] = {}
    for file in files:
        for role, module in file.source.modules.items():
            if role not in networks:
                inputs = image_sizes.inputs(role, module, size, file.source.channels)
                shapes = image_sizes.shapes(module, inputs)
                networks[role] = _Network(module, file, inputs, shapes, {})
            elif specs.spec(module) != specs.spec(networks[role].module):
                raise ValueError(
                    f"{file.name} and {networks[role].owner.name} hold a different "
                    f"{role} each (other sizes): convert them into two bundles"
                )
    return networks


def _fill(
    file: File, networks: Mapping[str, _Network], size: Size, log: Log
) -> dict[tuple, Any]:
    """Carries a file's tensors over; returns {place in the file: note}."""
    notes_by_place: dict[tuple, Any] = {}
    for part in file.source.parts:
        network = networks[part.role]
        _warn_of_other_filters(part, file, log)
        title = f"{file.name}: {part.role} for images of {size[0]}x{size[1]}"
        try:
            notes_by_place |= _carry_over(part, network, title)
        except ValueError as error:
            channels = file.source.channels
            advice = image_sizes.advice(part, network.module, size, channels)
            raise ValueError(f"{error}{advice}") from None
    places = file.source.places
    return {places.get(place, place): note for place, note in notes_by_place.items()}


def _carry_over(part: Part, network: _Network, title: str) -> dict[tuple, Any]:
    """Fills the network's arrays; returns {place in the official layout: note}.

    What another file has filled already stays, and gets a note only if it is the same.
    """
    paths = {row.path for row in part.table if isinstance(row, Rule)}
    if unknown := sorted(paths - network.shapes.keys()):
        raise ValueError(f"{title}: the file has a {unknown[0]} too many")
    own = layouts.apply(
        part.table, network.shapes, part.tensors, title, part.unused, part.optional
    )
    for path, array in own.items():
        network.arrays.setdefault(path, array)
    notes_by_place = {}
    for rule in part.table:
        if isinstance(rule, Constant) or rule.name not in part.tensors:
            continue
        note = notes.make(part.role, rule, part.tensors[rule.name].dtype)
        if note and layouts.same(own[rule.path], network.arrays[rule.path]):
            notes_by_place[(*part.root, part.prefix + rule.name)] = note
    return notes_by_place


def _warn_of_other_filters(part: Part, file: File, log: Log):
    """Says if filters, which our networks have built in, are others in a file."""
    others = [
        row.name
        for row in part.table
        if isinstance(row, Constant)
        and row.matters
        and row.name in part.tensors
        and not np.array_equal(part.tensors[row.name], row.value)
    ]
    if others:
        log(
            f"warning: {file.name}: {len(others)} filters of the {part.role} are not "
            f"the usual [1, 3, 3, 1] ({others[0]}, …); images will differ from the "
            "original"
        )


def _complete(
    networks: Mapping[str, _Network], sources: Sequence[Source], log: Log
) -> None:
    """Makes what the official loaders make where a file lacks it."""
    for role, network in networks.items():
        if role.startswith("generator"):
            defaults.complete_generator(
                role, network.module, network.shapes, network.arrays, log
            )
    generator = networks.get("generator")
    w_avg = generator.arrays.get("buffers/mapping/w_avg") if generator else None
    relative = any(s.opts.get("start_from_latent_avg") for s in sources)
    for role in image_sizes.ENCODERS:
        if encoder := networks.get(role):
            defaults.complete_encoder(
                encoder.module, encoder.arrays, w_avg, relative, log
            )


def _check_complete(role: str, network: _Network, size: Size) -> None:
    if missing := sorted(set(network.shapes) - set(network.arrays)):
        source = network.owner.source
        part = next(part for part in source.parts if part.role == role)
        advice = image_sizes.advice(part, network.module, size, source.channels)
        raise ValueError(
            f"the {role} for images of {size[0]}x{size[1]} needs {missing[0]}, which "
            f"the file lacks{advice}"
        )


def _directions(files: Sequence[File]) -> dict[str, np.ndarray]:
    directions = {}
    for file in files:
        name = re.sub(r"\W+", "_", file.name)
        arrays = file.source.arrays
        if "direction" in arrays:
            directions[name] = arrays["direction"]
        if "ganspace_directions" in arrays:
            # One unit is one standard deviation along the component.
            units = arrays["ganspace_directions"] * arrays["ganspace_std"][:, None]
            directions |= {f"{name}_{i}": unit for i, unit in enumerate(units)}
    return directions


def _info(files: Sequence[File], size: Size) -> dict[str, Any]:
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
