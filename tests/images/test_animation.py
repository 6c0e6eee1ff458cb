"""Animations: every frame for the same time, to and fro, near the colours."""

import io

import numpy as np
import pytest
from PIL import Image

from hyperstyle_jax import images
from hyperstyle_jax.images import animation, video


def frames(count=5, size=24):
    """A smooth picture that moves."""
    x, y = np.meshgrid(*[np.linspace(0, 1, size)] * 2)
    return [
        np.uint8(255 * np.stack([x, y, np.full_like(x, 0.5 + 0.1 * i / count)], -1))
        for i in range(count)
    ]


def read(path):
    picture, shown, durations = Image.open(io.BytesIO(path.read_bytes())), [], []
    for i in range(picture.n_frames):
        picture.seek(i)
        shown.append(np.asarray(picture.convert("RGB"), float))
        durations.append(picture.info["duration"])
    return shown, durations, picture.info.get("loop")


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_frames_go_to_and_fro(tmp_path, suffix):
    path = images.save_animation(tmp_path / f"a{suffix}", frames(), fps=20)
    shown, durations, loop = read(path)
    assert len(shown) == 8 and set(durations) == {50} and loop == 0
    expected = [*frames(), *frames()[-2:0:-1]]
    for got, frame in zip(shown, expected, strict=True):
        assert abs(got - frame).mean() < 10
        # Dithered, not banded: the mean over a few pixels is right.
        blocks = (got - frame).reshape(4, 6, 4, 6, 3).mean((1, 3))
        assert abs(blocks).max() < 16


def test_a_small_mark_keeps_its_colour(tmp_path):
    marked = [frame.copy() for frame in frames(2, 128)]
    for frame in marked:
        frame[..., 0] //= 4
        frame[40:43, 40:43] = (230, 10, 20)
    shown, *_ = read(images.save_animation(tmp_path / "a.gif", marked))
    red, green, blue = shown[0][41, 41]
    assert red > 190 and green < 60 and blue < 60


def test_other_endings_and_sizes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ends in .gif, .webp, .mp4"):
        images.save_animation(tmp_path / "a.avi", frames())
    with pytest.raises(ValueError, match="expected one size"):
        images.save_animation(tmp_path / "a.gif", [*frames(), *frames(size=8)])
    with pytest.raises(ValueError, match="0 frames"):
        images.save_animation(tmp_path / "a.gif", [])
    assert not any(tmp_path.iterdir())


def test_without_ffmpeg_mp4_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(video.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"hyperstyle_jax\[video\]"):
        animation.check_suffix(tmp_path / "a.mp4")


def test_mp4_has_its_frames(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="the extra video is missing")
    path = images.save_animation(tmp_path / "a.mp4", frames(size=25), fps=10)
    reader = ffmpeg.read_frames(str(path))
    facts = next(reader)
    assert facts["size"] == (26, 26) and facts["fps"] == 10
    shown = [np.frombuffer(f, np.uint8).reshape(26, 26, 3) for f in reader]
    assert len(shown) == 8
    assert abs(shown[0][:25, :25].astype(float) - frames(size=25)[0]).mean() < 8


def test_arrows_are_on_the_enlarged_image():
    grey = np.full((16, 16, 3), 128, np.uint8)
    drawn = images.arrows(grey, [[4, 8]], [[12, 8]], scale=8)
    assert drawn.shape == (128, 128, 3)
    red, blue = drawn[68, 36], drawn[68, 100]
    assert red[0] > 180 > red[2] and blue[2] > 180 > blue[0]
    assert (drawn[:40] == 128).all()
