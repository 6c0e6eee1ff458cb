"""A cache that cannot be used is one line, and damaged entries are made anew."""

import warnings

import jax
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from hyperstyle_jax.system import compilation_cache

READ = "Error reading persistent compilation cache entry for 'jit_f': error: bad zlib"
WRITE = "Error writing persistent compilation cache entry for 'jit_f': OSError: full"


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """JAX's settings and Python's warnings are left as they were."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", raising=False)
    compilation_cache._warn.cache_clear()
    with warnings.catch_warnings(record=True) as others:
        warnings.simplefilter("always")
        yield others
    reset_cache()
    for name, value in before.items():
        jax.config.update(name, value)


def test_without_a_home_there_is_no_cache_and_one_line(monkeypatch, capsys):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("HYPERSTYLE_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(compilation_cache.Path, "home", homeless)
    for _ in range(2):
        compilation_cache.enable()
    said = capsys.readouterr().err
    assert "there is no compilation cache" in said and said.count("\n") == 1
    assert jax.config.jax_compilation_cache_dir is None


def test_a_file_in_its_place_means_no_cache(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HYPERSTYLE_CACHE", str(tmp_path / "file" / "cache"))
    compilation_cache.enable()
    assert "Not a directory" in capsys.readouterr().err


def test_a_read_only_cache_is_read_and_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HYPERSTYLE_CACHE", str(tmp_path))
    monkeypatch.setattr(compilation_cache.os, "access", lambda *_: False)
    compilation_cache.enable()
    said = capsys.readouterr().err
    assert "cannot be written" in said and said.count("\n") == 1
    assert jax.config.jax_compilation_cache_dir == str(tmp_path)
    assert jax.config.jax_persistent_cache_min_compile_time_secs == float("inf")


def test_jax_s_warnings_become_one_line_each_and_damage_is_removed(
    tmp_path, monkeypatch, capsys, as_before
):
    monkeypatch.setenv("HYPERSTYLE_CACHE", str(tmp_path))
    for name in ("jit_f-1a-cache", "jit_f-2b-cache", "jit_g-1a-cache"):
        (tmp_path / name).touch()
    compilation_cache.enable()
    for text in (READ, READ, WRITE, WRITE, WRITE):
        warnings.warn(text, stacklevel=1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "damaged entries" in lines[0] and "OSError: full" in lines[1]
    assert [p.name for p in tmp_path.iterdir()] == ["jit_g-1a-cache"]
    warnings.warn("something else", stacklevel=1)
    assert [str(other.message) for other in as_before] == ["something else"]


def test_jax_still_says_it_in_these_words(tmp_path, monkeypatch, capsys, as_before):
    monkeypatch.setenv("HYPERSTYLE_CACHE", str(tmp_path))
    compilation_cache.enable()
    reset_cache()
    for expected in ("", "damaged entries, which are made anew", ""):
        jax.clear_caches()
        compilation_cache._warn.cache_clear()
        jax.jit(lambda x: x + 3)(1.0)
        said = capsys.readouterr().err
        assert expected in said and said.count("\n") == bool(expected)
        entries = [*tmp_path.iterdir()]
        assert entries and not as_before
        if not expected:
            for entry in entries:
                entry.write_bytes(entry.read_bytes()[:40])
