"""A photograph from its file to its file, with faces edited in between."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.images import originals
from hyperstyle_jax.images.originals import Original
from hyperstyle_jax.photos import align as alignment
from hyperstyle_jax.photos import landmarks as finders
from hyperstyle_jax.photos import masks
from hyperstyle_jax.photos.align import Aligned
from hyperstyle_jax.photos.face import Face, Finder
from hyperstyle_jax.photos.paste import patch


class Photo(NamedTuple):
    """A photograph.

    Attributes:
        image: [H, W, 3] uint8, upright, in sRGB.
        original: the same as its file stores it.
        name: of the file.
        sha256: of the file's content, in hexadecimal digits.
    """

    image: np.ndarray
    original: Original
    name: str
    sha256: str

    @classmethod
    def open(cls, file: str | Path | bytes, name: str = "image") -> "Photo":
        """Reads an image file.

        Args:
            file: a path, or the bytes of a file with its `name`.

        Raises:
            ValueError, MemoryError: as of `images.read`.
        """
        file, name = images.named_bytes(file, name)
        original, image = originals.read(file, name)
        return cls(image, original, name, hashlib.sha256(file).hexdigest())

    def faces(
        self,
        landmarks: str | Finder = finders.DEFAULT,
        model: str | Path | None = None,
    ) -> list[Face]:
        """The faces in the photo, the largest first.

        Args:
            landmarks, model: as of `landmarks.load`; or a finder, loaded once for many
                photos.
        """
        if isinstance(landmarks, str):
            landmarks = finders.load(landmarks, model)
        return landmarks(self.image, self.name)

    def align(self, face: Face, size: int = 1024) -> Aligned:
        """A face, cut out as those of FFHQ are.

        Args:
            size: side of the crop in pixels.

        Raises:
            ValueError: a face that is no part of this photo.
        """
        return alignment.align_face(self.image, face, size)

    def paste(
        self, aligned: Aligned, image: np.ndarray, mask: str | np.ndarray = "face"
    ) -> "Photo":
        """The photo with an edited face.

        Args:
            aligned: of this photo.
            image: [S, S, 3] uint8 or float in [-1, 1], the edited crop, of any size.
            mask: "face", "crop", or an array, 0 to 1: as large as the photo and over
                it, or a square over the crop. Where it is 0, the photo stays bit for
                bit.
        """
        edited = images.to_uint8(image)
        _check_square(edited, "edited crop")
        if isinstance(mask, str):
            share, over_photo = masks.named(mask, aligned), False
        else:
            share, over_photo = mask, mask.shape == self.image.shape[:2]
        if not over_photo:
            _check_square(share, "mask")
        part = patch(self.image, aligned, edited, share, over_photo)
        original = originals.replace(self.original, *part)
        return self._replace(image=originals.shown(original), original=original)

    def save(self, path: str | Path) -> Path:
        """Writes a PNG, JPEG or WebP, by the ending, with the notes of the camera.

        Raises:
            ValueError: another ending. OSError: the file cannot be written.
        """
        return originals.save(path, self.original)


def _check_square(image, what):
    if image.ndim not in (2, 3) or image.shape[0] != image.shape[1]:
        raise ValueError(
            f"{what} of shape {image.shape}: expected a square, as it was cut out"
        )
