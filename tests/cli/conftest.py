"""A tiny bundle and photos for the tests of the commands."""

from pathlib import Path

import pytest
from command import invert, photo, save_model

from hyperstyle_jax import images


@pytest.fixture
def no_cache(monkeypatch):
    """No compiled programs are kept on disk."""
    monkeypatch.setenv("HYPERSTYLE_CACHE", "off")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The folder of a bundle with tiny networks."""
    return save_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three photos, two of one stem, in two folders."""
    path = tmp_path_factory.mktemp("photos")
    images.save_png(path / "a.png", photo(0))
    images.save_png(path / "b.png", photo(1))
    images.save_png(path / "more" / "a.png", photo(2))
    return path


@pytest.fixture(scope="module")
def inverted(model, folder, tmp_path_factory) -> Path:
    """The folder that `hyperstyle invert` has filled with these photos."""
    out = tmp_path_factory.mktemp("inverted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYPERSTYLE_CACHE", "off")
        assert invert(model, folder, out=out) == 0
    return out
