"""What a person should know about how a face was found and cut out."""

from hyperstyle_jax.photos.align import Aligned, face_quad, side
from hyperstyle_jax.photos.face import Face

_TINY = 0.25  # a square of fewer pixels than this part of the crop's side
_CUT = 0.1  # the part of the crop that lies outside of the photo


def remarks(faces: list[Face], chosen: int | str, aligned: Aligned) -> list[str]:
    """One line for each oddity; mostly none.

    Args:
        faces: all of the photo.
        chosen: the number of a face, "largest" or "all".
        aligned: one of them.
    """
    face, lines = aligned.face, []
    if chosen == "largest" and len(faces) > 1:
        lines.append(f"{len(faces)} faces; took the largest (--face all takes each)")
    if not face.is_upright():
        lines.append(f"the head is turned by {face.lean:.0f}°; the crop is upright")
    if face.is_profile():
        lines.append("seen from the side; models of frontal faces do worse on it")
    pixels, size = side(face_quad(face.anchors)), len(aligned.image)
    if pixels < _TINY * size:
        lines.append(f"tiny: {pixels:.0f} pixels were enlarged to {size}")
    if aligned.outside > _CUT:
        lines.append(
            f"cut off: {100 * aligned.outside:.0f} % of the crop lies outside of the "
            "photo and was filled by its reflection"
        )
    return lines
