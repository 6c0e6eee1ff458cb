"""Images are written whole or not at all."""

import errno
from pathlib import Path

import pytest
from gradient import gradient

from hyperstyle_jax import images


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = images.save_png(tmp_path / "a.png", gradient())
    before = path.read_bytes()

    def full(self, data):
        self.open("wb").write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="could not write .No space left.*a.png"):
        images.save_png(path, gradient() // 2)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
