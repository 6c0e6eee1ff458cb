"""Recognizes by its content what a file of weights holds.

One module reads a kind of file, or a few that are alike; `READERS` lists them all. A
file becomes a `Source`: modules by role, and for every group of tensors the table that
carries it over. Nothing is read from a file's name.
"""

from typing import Any

import numpy as np

from hyperstyle_jax.convert import containers, foreign_networks
from hyperstyle_jax.convert.kinds import (
    clip,
    edit_arrays,
    encoders,
    face_networks,
    hyperstyle,
    lpips,
    lpips_flax,
    mtcnn,
    resnets,
    styleflow,
    stylegan2,
    stylegan2_nvidia,
)
from hyperstyle_jax.convert.sources import Reader, Source

# The first one that matches reads a file.
READERS = (
    Reader(hyperstyle.KINDS, hyperstyle.matches, hyperstyle.read),
    Reader(encoders.KINDS, encoders.matches, encoders.read),
    Reader(stylegan2.KINDS, stylegan2.matches, stylegan2.read),
    Reader(stylegan2_nvidia.KINDS, stylegan2_nvidia.matches, stylegan2_nvidia.read),
    Reader(clip.KINDS, clip.matches, clip.read),
    Reader(styleflow.KINDS, styleflow.matches, styleflow.read),
    Reader(resnets.MOCO_KINDS, resnets.matches_moco, resnets.read_moco),
    Reader(
        edit_arrays.GANSPACE_KINDS,
        edit_arrays.matches_ganspace,
        edit_arrays.read_ganspace,
    ),
    Reader(mtcnn.KINDS, mtcnn.matches, mtcnn.read),
    Reader(encoders.KINDS, encoders.matches_alone, encoders.read_alone),
    Reader(face_networks.KINDS, face_networks.matches, face_networks.read),
    Reader(resnets.KINDS, resnets.matches, resnets.read),
    Reader(lpips.KINDS, lpips.matches, lpips.read),
    Reader(lpips_flax.KINDS, lpips_flax.matches, lpips_flax.read),
    Reader(
        edit_arrays.STYLECLIP_KINDS,
        edit_arrays.matches_style_statistics,
        edit_arrays.read_style_statistics,
    ),
    Reader(
        edit_arrays.STYLECLIP_KINDS,
        edit_arrays.matches_style_effects,
        edit_arrays.read_style_effects,
    ),
    Reader(
        edit_arrays.DIRECTION_KINDS,
        edit_arrays.matches_direction,
        edit_arrays.read_direction,
    ),
)
KINDS = tuple(dict.fromkeys(kind for reader in READERS for kind in reader.kinds))


def recognize(value: Any, kind: str = "auto") -> Source:
    """The content of a file as a Source, whatever wraps its tensors.

    Args:
        value: the content of a file, made `containers.plain`.
        kind: one of `KINDS` where the content leaves open what it is (pSp and e4e
            differ in their use only), or "auto".

    Raises:
        ValueError: unknown content, or not of the given kind.
    """
    if kind not in ("auto", *KINDS):
        raise ValueError(f"kind {kind!r}: expected auto, {', '.join(KINDS)}")
    if foreign := foreign_networks.describe(containers.names(value)):
        raise ValueError(foreign)
    for layout in containers.candidates(value):
        for reader in READERS:
            if reader.matches(layout.value):
                source = reader.read(layout.value, kind)
                if kind not in ("auto", source.kind):
                    raise ValueError(f"it is {source.kind}, not {kind}")
                return source._replace(places=layout.places)
    raise ValueError(f"no known kind of weights: {_summary(value)}{_hint(value)}")


def _summary(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, dict):
        names = ", ".join(f"{k!r:.40}" for k in list(value)[:5])
        return f"a dict of {len(value)} ({names}{', …' * (len(value) > 5)})"
    return f"a {type(value).__name__}"


def _hint(value: Any) -> str:
    """What a hypernetwork without its generator lacks: the shapes of its layers."""
    if any("refinement_blocks." in name for name in containers.names(value)):
        return "; a hypernetwork without its generator (decoder.…), which is needed"
    return ""
