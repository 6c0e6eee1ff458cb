"""What one person has done on the page so far; each change is a new value."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from hyperstyle_jax.editing.looks import Look
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion
from hyperstyle_jax.photos.align import Aligned
from hyperstyle_jax.photos.face import Face
from hyperstyle_jax.photos.photo import Photo


class Inverted(NamedTuple):
    """An inverted face, ready to be edited.

    Attributes:
        inversion: of one image.
        net: the generator with the weights of this image, made once.
        target: [R, R, 3] uint8, what was inverted; None where a recipe brought it.
        before: [R, R, 3] uint8, the reconstruction.
    """

    inversion: Inversion
    net: Net
    target: np.ndarray | None
    before: np.ndarray


class Session(NamedTuple):
    """One person's work.

    Attributes:
        photo: the picture that was given.
        faces: found in it; one that fills the square where nothing looks for faces.
        chosen: the number of the face that is edited.
        aligned: that face, cut out.
        inverted: that face, inverted.
        look: what is done to it.
        notes: how it was made, for the recipe.
    """

    photo: Photo | None = None
    faces: tuple[Face, ...] = ()
    chosen: int = 0
    aligned: Aligned | None = None
    inverted: Inverted | None = None
    look: Look = Look()
    notes: Mapping[str, Any] = {}

    def need_photo(self) -> Photo:
        """The photo.

        Raises:
            ValueError: there is none yet.
        """
        if self.photo is None:
            raise ValueError("no photo yet: drop one, or take an example")
        return self.photo

    def need_inverted(self) -> Inverted:
        """The inverted face.

        Raises:
            ValueError: nothing was inverted yet.
        """
        if self.inverted is None:
            raise ValueError("nothing to edit yet: press Invert first")
        return self.inverted
