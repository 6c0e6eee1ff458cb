"""Writes animations: GIF and WebP by Pillow, MP4 by ffmpeg (extra `video`)."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from hyperstyle_jax.images import video
from hyperstyle_jax.images.values import to_uint8
from hyperstyle_jax.system import atomic_files

SUFFIXES = (".gif", ".webp", ".mp4")
_RARE = 16  # of 256 colours, for what is small, as an arrow
_PALETTE_PIXELS = 1 << 20  # a palette is chosen by at most so many pixels


def save_animation(
    path: str | Path,
    frames: Sequence[np.ndarray],
    *,
    fps: int = 20,
    to_and_fro: bool = True,
) -> Path:
    """Writes frames as an endless animation, the whole file or none.

    Args:
        path: ends in .gif, .webp or .mp4.
        frames: [H, W, 3] of one size, uint8 or float in [-1, 1].
        fps: frames a second, all shown equally long. GIF knows hundredths of a second.
        to_and_fro: shows the frames also backwards, so that nothing jumps.

    Raises:
        ValueError: another ending, frames of different sizes, none at all, or no
            program for MP4.
    """
    path = Path(path)
    check_suffix(path)
    shown = [to_uint8(frame) for frame in frames]
    if len({frame.shape for frame in shown}) != 1:
        raise ValueError(
            f"{path}: got {len(shown)} frames of {len({f.shape for f in shown})} "
            "sizes, expected one size"
        )
    if to_and_fro:
        shown += shown[-2:0:-1]
    if path.suffix.lower() == ".mp4":
        data = video.encode_mp4(shown, fps)
    else:
        data = _encode(shown, fps, path.suffix.lower())
    return atomic_files.write_whole(path, data)


def check_suffix(path: str | Path) -> None:
    """Refuses endings that are no animation, and MP4 where ffmpeg is missing.

    Raises:
        ValueError: says what to do.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")
    if suffix == ".mp4":
        video.check()


def _encode(frames: Sequence[np.ndarray], fps: int, suffix: str) -> bytes:
    pictures = [Image.fromarray(frame) for frame in frames]
    options: dict = {"duration": round(1000 / fps)}
    if suffix == ".webp":
        options |= {"quality": 90, "method": 4}
    else:
        # One palette for all frames, or colours would flicker; dithering against bands.
        palette = _common_palette(frames)
        dither = Image.Dither.FLOYDSTEINBERG
        pictures = [p.quantize(palette=palette, dither=dither) for p in pictures]
        options |= {"optimize": False, "disposal": 1}
    out = io.BytesIO()
    first, *others = pictures
    first.save(out, suffix[1:], save_all=True, append_images=others, loop=0, **options)
    return out.getvalue()


def _common_palette(frames: Sequence[np.ndarray]) -> Image.Image:
    """256 colours for all frames: most by how often they occur, a few for rare ones."""
    pixels = np.concatenate([frame.reshape(-1, 3) for frame in frames])
    some = pixels[:: max(1, len(pixels) // _PALETTE_PIXELS)]
    count = 256 - _RARE
    picture = Image.fromarray(some[None]).quantize(count, Image.Quantize.MEDIANCUT)
    chosen = np.reshape(picture.getpalette(), (-1, 3))[:count].astype(np.float32)
    occurring = np.unique(pixels >> 3, axis=0).astype(np.float32) * 8 + 4
    away = np.full(len(occurring), np.inf)
    for colour in chosen:
        away = np.minimum(away, np.square(occurring - colour).sum(1))
    for _ in range(_RARE):  # the one that is farthest from all, again and again
        rare = occurring[away.argmax()]
        chosen = np.concatenate([chosen, rare[None]])
        away = np.minimum(away, np.square(occurring - rare).sum(1))
    palette = Image.new("P", (1, 1))
    palette.putpalette(chosen.astype(np.uint8).tobytes())
    return palette
