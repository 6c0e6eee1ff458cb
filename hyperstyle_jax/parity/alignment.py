"""FFHQ's alignment: quads and crops of drawn images, by three official scripts."""

from collections.abc import Iterator

import numpy as np

from hyperstyle_jax.parity import procedural
from hyperstyle_jax.parity.case import Case
from hyperstyle_jax.parity.check import Output
from hyperstyle_jax.photos.align import align_face, face_quad
from hyperstyle_jax.photos.face import Face

# Side of the crop, and side at which it was sampled.
SCRIPTS = {
    "hyperstyle_1024": (1024, None),
    "pti_256": (256, None),
    "ffhq_4096_1024": (1024, 4096),
    "ffhq_1024_256": (256, 1024),
}


def alignment(case: Case) -> Iterator[Output]:
    """Each face by HyperStyle's, PTI's and FFHQ's own sizes."""
    for name, entry in case.meta["cases"].items():
        face = Face(case.arrays[f"{name}.landmarks"])
        yield Output(f"{name}.quad", face_quad(face.anchors), "coordinate")
        yield from (crop(case, name, s) for s in SCRIPTS if s in entry)


def crop(case: Case, name: str, script: str) -> Output:
    """One face by one script."""
    entry = case.meta["cases"][name]
    image = procedural.image(case.seed, entry["key"], entry["shape"])[0]
    photo = np.ascontiguousarray(np.moveaxis(image, 0, -1))
    face = Face(case.arrays[f"{name}.landmarks"])
    aligned = align_face(photo, face, *SCRIPTS[script])
    kind = "padded level" if entry[script]["padded"] else "level"
    value = np.moveaxis(aligned.image, -1, 0).astype(np.float32)
    return Output(f"{name}.{script}", value, kind)
