"""An edited face goes back into its photo: inverse transform, colours, soft edge.

A crop holds less than the photo: it was resampled, and is often smaller. The detail
that it lost comes back wherever the edit left the face as it was, so that an unedited
crop changes nothing.
"""

from typing import NamedTuple

import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.images import warping
from hyperstyle_jax.photos.align import Aligned

_COARSE = 96  # side at which the difference of colours is smoothed
_SMOOTH = 0.12  # standard deviation, a part of the square's side
_MOST_SHIFT = 40.0  # levels by which colours are moved at most
_KEPT_LEVELS = 12.0  # an edit by more than this takes the photo's own detail with it
_NOTHING = 1 / 255  # a mask below this changes no pixel of 8 bits


class Patch(NamedTuple):
    """A part of the upright photo, and how much of it is taken.

    Attributes:
        top, left: where it begins.
        before, image: [h, w, 3] uint8, the photo and what it becomes.
        mask: [h, w] float32, 0 to 1.
    """

    top: int
    left: int
    before: np.ndarray
    image: np.ndarray
    mask: np.ndarray


def patch(
    photo: np.ndarray,
    aligned: Aligned,
    image: np.ndarray,
    mask: np.ndarray,
    over_photo: bool = False,
) -> Patch:
    """What an edited crop becomes in its photo.

    Args:
        photo: [H, W, 3] uint8, upright.
        aligned: the crop before the edit.
        image: [S, S, 3] uint8, the edited crop, of any size.
        mask: [M, M] float32, 0 to 1, over the crop.
        over_photo: the mask is [H, W] over the photo; what lies outside of the crop
            does not count.
    """
    top, left, height, width = _box(aligned.corners, photo.shape)
    corners = aligned.corners - (left, top)
    place = slice(top, top + height), slice(left, left + width)
    part = np.float32(photo[place])

    def lay(values, order=3):
        fitting = _no_finer(values, corners)
        return warping.lay_over(fitting, corners, height, width, order)

    if over_photo:
        share = mask[place]
    else:
        share = lay(mask, order=1).clip(0, 1)
    used = (share >= _NOTHING) & warping.inside(corners, height, width)
    share = np.where(used, share, 0).astype(np.float32)
    before = images.resize(aligned.image, *image.shape[:2])
    edited = _with_detail(part, lay(before), lay(image), corners, len(image))
    matched = edited + _seam_shift(part - edited, share, corners)
    after = np.rint(matched.clip(0, 255)).astype(np.uint8)
    return Patch(top, left, photo[place], after, share)


def _with_detail(photo, before, edited, corners, size) -> np.ndarray:
    """The edited face with what the crop lost of the photo, where it is unchanged."""
    from scipy import ndimage

    change = np.abs(edited - before).mean(axis=-1)
    pixel = max(1.0, np.hypot(*(corners[3] - corners[0])) / size)
    change = ndimage.gaussian_filter(change, 1.5 * pixel, mode="nearest")
    unchanged = np.exp(-np.square(change / _KEPT_LEVELS))
    return edited + unchanged[..., None] * (photo - before)


def _box(corners, shape) -> tuple[int, int, int, int]:
    """Top, left, height and width of the part of the photo that the square touches."""
    low = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)), shape[1::-1]).astype(int)
    return low[1], low[0], high[1] - low[1], high[0] - low[0]


def _no_finer(image, corners):
    """Scaled down to about the size at which it is seen in the photo."""
    seen = max(1, int(np.ceil(np.hypot(*(corners[3] - corners[0])))))
    if seen >= len(image):
        return image
    if image.ndim == 2:
        return np.float32(images.resize(np.uint8(image * 255), seen, seen)) / 255
    return images.resize(image, seen, seen)


def _seam_shift(difference, mask, corners) -> np.ndarray:
    """Levels that make an edited face agree with the photo where they meet.

    The differences at the soft edge are continued smoothly over the face.

    Args:
        difference: [h, w, 3], photo minus face.
        mask: [h, w].
        corners: [4, 2] of the square in this part of the photo.
    """
    from scipy import ndimage

    height, width = mask.shape
    side = np.hypot(*(corners[3] - corners[0]))
    step = max(1, int(np.ceil(side / _COARSE)))
    seam = mask * (1 - mask)
    weighted = difference.clip(-_MOST_SHIFT, _MOST_SHIFT) * seam[..., None]
    coarse = _block_sums(np.concatenate([weighted, seam[..., None]], axis=-1), step)
    sigma = _SMOOTH * side / step
    smooth = ndimage.gaussian_filter(coarse, (sigma, sigma, 0), mode="constant")
    shift = smooth[..., :3] / np.maximum(smooth[..., 3:], 1e-6)
    middles = (np.arange(n) + 0.5 for n in (height, width))
    places = np.meshgrid(*(m / step - 0.5 for m in middles), indexing="ij")
    channels = [
        ndimage.map_coordinates(shift[..., c], places, order=1, mode="nearest")
        for c in range(3)
    ]
    return np.stack(channels, axis=-1)


def _block_sums(values, step) -> np.ndarray:
    """[h, w, C] → sums over blocks of step × step, the last ones smaller."""
    rows, columns = (np.arange(0, n, step) for n in values.shape[:2])
    return np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
