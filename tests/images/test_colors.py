"""Colours of ICC profiles, by numbers known from elsewhere and by lcms itself."""

import io

import icc
import numpy as np
import pytest
from PIL import Image, ImageCms

from hyperstyle_jax import images
from hyperstyle_jax.images import colors

PHOTO = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def by_lcms(image: Image.Image, profile: bytes) -> np.ndarray:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    target = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    return np.asarray(converted)


@pytest.mark.parametrize(
    "kind, options",
    [
        ("PNG", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG", {"quality": 100, "subsampling": 0}),
    ],
)
def test_display_p3_becomes_srgb(kind, options):
    """Every file format carries the profile; (60, 180, 90) lies outside sRGB."""
    flat = Image.new("RGB", (32, 32), (60, 180, 90))
    data = saved(flat, kind, icc_profile=icc.display_p3(), **options)
    assert np.abs(images.read(data).astype(int) - (0, 183, 78)).max() <= 2


def test_transparency_stays_as_it_is():
    """White lies behind the converted colours, of palettes too."""
    palette = Image.new("P", (32, 32), 0)
    palette.putpalette([60, 180, 90, 1, 2, 3])
    palette.paste(1, (16, 0, 32, 32))
    alpha = Image.new("RGBA", (32, 32), (60, 180, 90, 255))
    alpha.paste((1, 2, 3, 0), (16, 0, 32, 32))
    profile = icc.display_p3()
    for data in (
        saved(palette, "PNG", icc_profile=profile, transparency=1),
        saved(alpha, "PNG", icc_profile=profile),
    ):
        shown = images.read(data).astype(int)
        assert np.abs(shown[:, :16] - (0, 183, 78)).max() <= 2
        assert (shown[:, 16:] == 255).all()


def test_half_transparent_colors():
    image = Image.new("RGBA", (32, 32), (60, 180, 90, 128))
    shown = images.read(saved(image, "PNG", icc_profile=icc.display_p3())).astype(int)
    assert np.abs(shown - (127, 219, 166)).max() <= 2


@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16"])
def test_grey_profiles(mode):
    """Gamma 1 is linear light: the middle of it is 188 on a screen."""
    level = {"I;16": 128 * 257, "1": 1}.get(mode, 128)
    if mode == "I;16":
        image = Image.fromarray(np.full((32, 32), level, np.uint16))
    else:
        image = Image.new("L", (32, 32), level if mode != "1" else 255).convert(mode)
    shown = images.read(saved(image, "PNG", icc_profile=icc.grey(1.0)))
    assert np.abs(shown.astype(int) - (255 if mode == "1" else 188)).max() <= 1


def test_a_transparent_level_of_grey_is_not_converted():
    image = Image.new("L", (32, 32), 128)
    image.paste(7, (16, 0, 32, 32))
    data = saved(image, "PNG", icc_profile=icc.grey(1.0), transparency=7)
    shown = images.read(data).astype(int)
    assert np.abs(shown[:, :16] - 188).max() <= 1 and (shown[:, 16:] == 255).all()


def test_a_grey_image_with_a_profile_of_colors():
    image = Image.new("L", (32, 32), 90)
    shown = images.read(saved(image, "PNG", icc_profile=icc.display_p3()))
    assert np.abs(shown.astype(int) - 90).max() <= 1


def test_cmyk_goes_through_its_profile():
    image = Image.fromarray(PHOTO).convert("CMYK").resize((64, 48))
    plain = images.read(saved(image, "TIFF"))
    shown = images.read(saved(image, "TIFF", icc_profile=icc.cmyk()))
    expected = by_lcms(image, icc.cmyk())
    assert np.abs(shown.astype(int) - expected).max() <= 1
    assert np.abs(shown.astype(int) - plain).mean() > 20


def test_cmyk_in_jpeg():
    image = Image.new("CMYK", (32, 32), (200, 20, 20, 0))
    shown = images.read(saved(image, "JPEG", quality=100, icc_profile=icc.cmyk()))
    expected = by_lcms(image, icc.cmyk())
    assert np.abs(shown.astype(int) - expected).max() <= 3
    assert shown[0, 0, 0] > shown[0, 0, 2]  # cyan is red on this printer


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_an_srgb_profile_changes_no_bit(mode):
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(PHOTO).convert(mode)
    plain = images.read(saved(image, "PNG"))
    for profile in (own, icc.srgb()):
        np.testing.assert_array_equal(
            images.read(saved(image, "PNG", icc_profile=profile)), plain
        )


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_profile_that_does_not_fit_is_ignored(mode):
    """Damaged ones, and those for other channels than the image has."""
    image = Image.fromarray(PHOTO).convert(mode)
    plain = images.read(saved(image, "TIFF"))
    good = icc.display_p3()
    others = {"RGB": icc.cmyk(), "L": icc.cmyk(), "CMYK": good}
    for profile in (b"x", b"\0" * 3000, good[:100], good[:300], others[mode]):
        shown = images.read(saved(image, "TIFF", icc_profile=profile))
        np.testing.assert_array_equal(shown, plain)


def test_no_damaged_profile_ends_the_reading():
    rng = np.random.default_rng(0)
    image = {"RGB": Image.fromarray(PHOTO), "L": Image.fromarray(PHOTO[..., 0])}
    image["CMYK"] = image["RGB"].convert("CMYK")
    profiles = {"RGB": icc.display_p3(), "L": icc.grey(1.8), "CMYK": icc.cmyk()}
    for mode, good in [*profiles.items()] * 12:
        damaged = np.frombuffer(good, np.uint8).copy()
        damaged[rng.integers(0, len(good), 4)] = rng.integers(0, 256, 4)
        converted = colors.to_srgb(image[mode], damaged.tobytes())
        assert converted.mode == "RGB" and converted.size == (32, 24)
