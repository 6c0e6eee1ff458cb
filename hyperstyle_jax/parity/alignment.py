"""FFHQ's alignment: quads and crops of drawn images, by three official scripts."""

from collections.abc import Iterator

import numpy as np

from hyperstyle_jax.parity import procedural
from hyperstyle_jax.parity.case import Case
from hyperstyle_jax.parity.check import Output
from hyperstyle_jax.photos.align import align_face, face_quad
from hyperstyle_jax.photos.face import Face

# Side of the crop, and side at which it was sampled.
_SCRIPTS = {
    "hyperstyle_1024": (1024, None),
    "pti_256": (256, None),
    "ffhq_4096_1024": (1024, 4096),
    "ffhq_1024_256": (256, 1024),
}


def alignment(case: Case) -> Iterator[Output]:
    """Each face by HyperStyle's, PTI's and FFHQ's own sizes."""
    for name, entry in case.meta["cases"].items():
        image = procedural.image(case.seed, entry["key"], entry["shape"])[0]
        photo = np.ascontiguousarray(np.moveaxis(image, 0, -1))
        face = Face(case.arrays[f"{name}.landmarks"])
        yield Output(f"{name}.quad", face_quad(face.anchors), "coordinate")
        for script in _SCRIPTS.keys() & entry.keys():
            aligned = align_face(photo, face, *_SCRIPTS[script])
            kind = "padded level" if entry[script]["padded"] else "level"
            key = f"{name}.{script}"
            yield Output(key, np.moveaxis(aligned.image, -1, 0).astype("f4"), kind)
