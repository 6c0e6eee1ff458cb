"""Encodes MP4 by the program ffmpeg, which the package imageio-ffmpeg brings."""

import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def check() -> None:
    """Refuses to begin where ffmpeg is missing.

    Raises:
        ValueError: says what to install.
    """
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ValueError(
            "MP4 needs ffmpeg: pip install 'hyperstyle_jax[video]', or choose a name "
            "that ends in .gif or .webp"
        )


def encode_mp4(frames: Sequence[np.ndarray], fps: int) -> bytes:
    """H.264 in MP4, which browsers and phones play.

    Args:
        frames: [H, W, 3] uint8 of one size; an odd side gets one more row or column.
        fps: frames a second.

    Raises:
        ValueError: ffmpeg is missing, or failed.
    """
    check()
    import imageio_ffmpeg

    height, width = frames[0].shape[:2]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    size = (width + width % 2, height + height % 2)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "animation.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(file), size, fps=fps, codec="libx264", quality=None, bitrate=0,
            macro_block_size=1, output_params=["-crf", "16", "-movflags", "+faststart"],
        )  # fmt: skip
        try:
            writer.send(None)
            for frame in frames:
                padded = np.pad(frame, padding, mode="edge")
                writer.send(np.ascontiguousarray(padded))
            writer.close()
            return file.read_bytes()
        except OSError as error:
            raise ValueError(f"ffmpeg failed: {str(error).splitlines()[-1]}") from None
