"""What `hyperstyle invert` makes of a photo before the device sees it.

Photos are read, aligned and resized in threads, ahead of the device.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hyperstyle_jax.cli import photo_runs
from hyperstyle_jax.cli.inverted import Inverted

if TYPE_CHECKING:  # they take long to import
    import numpy as np

    from hyperstyle_jax.data.entries import File
    from hyperstyle_jax.photos.face import Finder
    from hyperstyle_jax.photos.photo import Photo
    from hyperstyle_jax.weights.bundle import Bundle


class Target(NamedTuple):
    """A picture to invert.

    Attributes:
        path: of the photo.
        photo, name: names of the photo's and of this picture's results.
        key: of the photo, as `Inverted.key` gives it.
        x: [h, w, 3] float32 in [-1, 1].
        crops: how many pictures the photo gives.
        position: the numbers of the photo and of the picture, for sorting.
        remarks: on how the face was found.
    """

    path: str
    photo: str
    name: str
    key: str
    x: "np.ndarray"
    crops: int
    position: list[int]
    remarks: tuple[str, ...] = ()


class Aligner(NamedTuple):
    """How faces are found and cut out; `size` is the side of the crops.

    `STEM_crop.png` and `STEM.align.json` are written into `out`.
    """

    find: "Finder"
    label: str
    landmarks: str
    choice: str
    size: int
    out: Path

    def key(self) -> dict[str, str | int]:
        """What the crops depend on besides the photo."""
        return {"landmarks": self.label, "face": self.choice, "crop": self.size}

    def cut(self, photo: "Photo", name: str) -> list[tuple]:
        """(name, crop, remarks) of each face that is asked for.

        Raises:
            ValueError: there is no such face.
        """
        from hyperstyle_jax import images
        from hyperstyle_jax.photos import records
        from hyperstyle_jax.photos.remarks import remarks

        faces = photo.faces(self.find)
        chosen, cut = photo_runs.choose(faces, self.choice, self.landmarks), []
        for number, face in chosen.items():
            aligned = photo.align(face, self.size)
            stem = f"{name}_{number}" if self.choice == "all" else name
            crop = images.save_png(self.out / f"{stem}_crop.png", aligned.image)
            path = self.out / f"{stem}{records.ENDING}"
            facts = (photo, aligned, self.label, number, len(faces))
            records.save(crop, *facts, path)
            lines = remarks(faces, self.choice, aligned)
            cut.append((stem, aligned.image, tuple(lines)))
        return cut


def read(
    model: "Bundle",
    aligner: Aligner | None,
    done: Inverted,
    work: tuple[int, "File", str],
) -> list[dict] | list[Target]:
    """Rows of an earlier run that still hold, or else what is to be inverted.

    Args:
        model: gives the size.
        aligner: None for photos that are faces already.
        done: the earlier rows.
        work: the photo's number, file, and the name of its results.

    Raises:
        ValueError, MemoryError: the photo cannot be read, or has no such face.
    """
    from hyperstyle_jax import images
    from hyperstyle_jax.inversion import pipeline

    number, file, name = work
    data = file.read()
    key = done.key(data)
    if rows := done.kept(name, key):
        return [row | {"position": [number, i]} for i, row in enumerate(rows)]
    if aligner is None:
        cut = [(name, images.read(data, file.path), ())]
    else:
        cut = aligner.cut(_open(data, file.path), name)
    x = pipeline.prepare(model, [image for _, image, _ in cut])
    return [
        Target(file.path, name, stem, key, x[i], len(cut), [number, i], lines)
        for i, (stem, _, lines) in enumerate(cut)
    ]


def _open(data: bytes, path: str) -> "Photo":
    from hyperstyle_jax.photos.photo import Photo

    return Photo.open(data, path)
