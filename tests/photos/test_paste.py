"""Pasting back: what is not edited stays, what is edited fits."""

import numpy as np
import pytest
from drawn_faces import encoded, photo, points68
from icc import display_p3
from PIL import Image

from hyperstyle_jax.photos import masks
from hyperstyle_jax.photos.face import Face
from hyperstyle_jax.photos.photo import Photo

# Pillow's names of what turns an upright image into the stored one.
STORED = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_90",
          "TRANSVERSE", "ROTATE_270")  # fmt: skip


def opened(height=300, width=260, **options) -> Photo:
    return Photo.open(encoded(photo(height, width), **options), "me.png")


def face(**options) -> Face:
    return Face(points68(**options))


def changed(before: Photo, after: Photo) -> np.ndarray:
    return (before.image != after.image).any(axis=-1)


@pytest.mark.parametrize("size", [32, 128, 512])
@pytest.mark.parametrize("mask", masks.NAMES)
def test_an_unedited_crop_changes_nothing(size, mask):
    before = opened()
    aligned = before.align(face(lean=0.4), size)
    after = before.paste(aligned, aligned.image, mask)
    assert np.array_equal(after.image, before.image)


@pytest.mark.parametrize("side", [16, 64, 300])
def test_pixels_outside_of_the_mask_stay_and_inside_change(side):
    before = opened()
    aligned = before.align(face(lean=0.4), 64)
    edited = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    change = changed(before, before.paste(aligned, edited, "face"))
    corners = aligned.corners
    assert 0.1 * 160**2 < change.sum() < 0.7 * 160**2
    y, x = np.nonzero(change)
    assert corners[:, 0].min() < x.min() and x.max() < corners[:, 0].max()
    assert corners[:, 1].min() < y.min() and y.max() < corners[:, 1].max()


def test_a_square_photo_as_large_as_a_mask_has_its_own_face_changed():
    before = opened(masks.SIDE, masks.SIDE)
    aligned = before.align(face(), 64)
    change = changed(before, before.paste(aligned, 255 - aligned.image))
    y, x = np.nonzero(change)
    assert y.max() < aligned.corners[:, 1].max() and x.max() < 220


def test_an_edit_lands_where_it_was_made():
    """A bright spot in the middle of the crop."""
    before = opened()
    aligned = before.align(face(lean=0.6), 128)
    edited = aligned.image.copy()
    edited[58:70, 58:70] = 255
    after = before.paste(aligned, edited)
    apart = np.abs(after.image.astype(int) - before.image).sum(axis=-1).astype(float)
    y, x = np.mgrid[:300, :260] + 0.5
    spot = [(apart * axis).sum() / apart.sum() for axis in (x, y)]
    np.testing.assert_allclose(spot, aligned.corners.mean(axis=0), atol=1.5)


def test_colours_are_matched_at_the_seam():
    """An edit that only makes everything darker vanishes."""
    before = opened()
    aligned = before.align(face(), 160)
    darker = (aligned.image * 0.9).astype(np.uint8)
    after = before.paste(aligned, darker)
    shift = after.image.astype(float) - before.image
    plain = 0.1 * before.image[changed(before, after)].mean()
    assert np.abs(shift[changed(before, after)].mean(axis=0)).max() < 0.35 * plain


def test_a_mask_of_one_s_own_lies_over_the_photo_or_over_the_crop():
    before = opened()
    aligned = before.align(face(), 64)
    edited = 255 - aligned.image
    over_photo = np.zeros((300, 260), np.float32)
    over_photo[100:110, 100:120] = 1
    change = changed(before, before.paste(aligned, edited, over_photo))
    assert change[100:110, 100:120].mean() > 0.9 and change.sum() <= 200
    over_crop = np.zeros((10, 10), np.float32)
    over_crop[:, :5] = 1  # the left half, up to the edge
    change = changed(before, before.paste(aligned, edited, over_crop))
    left, right = aligned.corners[0, 0], aligned.corners[3, 0]
    x = np.nonzero(change.any(axis=0))[0]
    assert left - 1 < x.min() < left + 3 and x.max() < (left + right) / 2 + 20
    everywhere = before.paste(aligned, edited, np.ones((300, 260), np.float32))
    inside = changed(before, everywhere)
    assert inside.sum() <= np.prod(np.ptp(aligned.corners, axis=0) + 2)


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (np.zeros((8, 9, 3), np.uint8), "face", "edited crop of shape"),
        (np.zeros((8, 8, 3), np.uint8), np.ones((8, 9)), "mask of shape"),
        (np.zeros((8, 8, 3), np.uint8), "hair", "expected face or crop"),
    ],
)
def test_what_does_not_fit_is_refused(image, mask, message):
    before = opened()
    with pytest.raises(ValueError, match=message):
        before.paste(before.align(face(), 32), image, mask)


# --- the photo's file


@pytest.mark.parametrize(
    ("mode", "orientation"),
    [("RGB", n) for n in range(1, 9)]
    + [(mode, 6) for mode in ("RGBA", "L", "LA", "P", "I;16", "CMYK")],
)
def test_depth_channels_and_orientation_stay(mode, orientation, tmp_path):
    upright = Image.fromarray(photo(200, 180))
    turned = upright
    if orientation > 1:
        turned = upright.transpose(Image.Transpose[STORED[orientation - 2]])
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = orientation, "camera"
    kind = "JPEG" if mode == "CMYK" else "PNG"
    before = Photo.open(encoded(_as(turned, mode), kind, exif=exif))
    assert before.image.shape == (200, 180, 3)
    aligned = before.align(face(middle=(90.0, 80.0), unit=25.0), 64)
    after = before.paste(aligned, 255 - aligned.image)
    again = Photo.open(after.save(tmp_path / "out.png"))
    kept = ~changed(before, after)
    assert 0.5 < kept.mean() < 0.95 and np.array_equal(again.image, after.image)
    assert np.array_equal(again.image[kept], before.image[kept])
    with Image.open(tmp_path / "out.png") as file:
        assert file.getexif()[0x0112] == orientation
        assert file.getexif()[0x0110] == "camera"
        assert file.size == turned.size
        assert file.mode == {"P": "RGB", "CMYK": "RGB"}.get(mode, mode)


def _as(image: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        grey = np.asarray(image.convert("L"), np.uint16)
        return Image.fromarray(grey * 256 + grey[::-1])
    if mode in ("RGBA", "LA"):
        image = image.convert(mode)
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image.convert(mode)


def test_sixteen_bits_stay_outside_of_the_mask():
    deep = np.random.default_rng(0).integers(0, 65536, (300, 260), np.uint16)
    before = Photo.open(encoded(deep))
    aligned = before.align(face(), 64)
    after = before.paste(aligned, 255 - aligned.image)
    assert after.original.pixels.dtype == np.uint16
    same = after.original.pixels == deep
    assert not same[changed(before, after)].all() and same.mean() > 0.6


def test_a_colour_profile_is_kept_and_used():
    before = opened(icc_profile=display_p3())
    plain = opened()
    assert np.abs(before.image.astype(int) - plain.image).max() > 20
    aligned = before.align(face(), 128)
    assert np.array_equal(before.paste(aligned, aligned.image).image, before.image)
    edited = np.full((128, 128, 3), (60, 150, 90), np.uint8)
    after = before.paste(aligned, edited, np.ones((128, 128), np.float32))
    assert after.original.profile == display_p3()
    y, x = aligned.corners.mean(axis=0)[::-1].astype(int)
    # The colour is what was asked for, but for the match at the seam, which is none.
    np.testing.assert_allclose(after.image[y, x], (60, 150, 90), atol=3)


def test_jpeg_and_webp_keep_their_kind_and_notes(tmp_path):
    exif = Image.Exif()
    exif[0x0110] = "camera"
    for kind, ending in (("JPEG", ".jpg"), ("WEBP", ".webp")):
        before = Photo.open(encoded(photo(), kind, exif=exif, quality=90))
        path = before.save(tmp_path / f"out{ending}")
        with Image.open(path) as file:
            assert file.format == kind and file.getexif()[0x0110] == "camera"
        again = Photo.open(path)
        assert np.abs(again.image.astype(int) - before.image).mean() < 2


def test_names_and_kinds_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"out.bmp: expected a name that ends in"):
        opened().save(tmp_path / "out.bmp")
    see_through = Photo.open(encoded(np.zeros((20, 20, 4), np.uint8)))
    with pytest.raises(ValueError, match="JPEG has no transparency"):
        see_through.save(tmp_path / "out.jpg")
    with pytest.raises(ValueError, match="nowhere.png: no such file"):
        Photo.open("nowhere.png")


def test_damaged_notes_cost_no_photo():
    before = opened(exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(before.image, photo(300, 260))
