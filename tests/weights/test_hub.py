"""Bundles at an address: fetched once, whole, and only with the right checksum."""

import functools
import http.server
import json
import shutil
import sys
import threading
import types
from pathlib import Path

import pytest
from networks import tiny_generator

import hyperstyle_jax as hs
from hyperstyle_jax.system import atomic_files
from hyperstyle_jax.weights import bundle, hub


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(folder of a bundle, its address, the sha256 of its bundle.json)."""
    root = tmp_path_factory.mktemp("server")
    bundle.save(root / "mine", {"generator": tiny_generator()})
    handler = functools.partial(_Quiet, directory=str(root))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/mine"
    yield root / "mine", address, atomic_files.sha256(root / "mine" / "bundle.json")
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hyperstyle_jax" / "bundles"


def test_a_bundle_is_fetched_once(served, cache, monkeypatch):
    folder, address, sha256 = served
    loaded = hs.load(address, sha256=sha256)
    assert loaded.id == bundle.load(folder).id
    assert [p.name for p in cache.iterdir()] == [sha256]
    monkeypatch.setattr(hub, "_get_from_web", None)  # a second time nobody is asked
    for end in ("", "/", "/bundle.json"):
        assert hs.load(f"{address}{end}#sha256={sha256}").id == loaded.id
    assert hs.load(address, sha256=sha256.upper()).id == loaded.id


@pytest.mark.parametrize("sha256", [None, "", "abc", "0" * 63 + "x"])
def test_without_a_checksum_nothing_is_fetched(served, cache, sha256):
    with pytest.raises(ValueError, match="needs the sha256.*hyperstyle verify"):
        hs.load(served[1], sha256=sha256)
    assert not cache.exists()


def test_another_checksum_is_refused_and_leaves_nothing(served, cache):
    with pytest.raises(ValueError, match="sha256 of bundle.json is .*not used"):
        hs.load(served[1], sha256="0" * 64)
    assert not cache.exists()


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "generator.safetensors is"),
        (lambda data: data[:-10], "generator.safetensors is"),
        (lambda data: data + b"x" * 10, "more than"),
    ],
)
def test_a_changed_file_is_refused(served, cache, change, says):
    folder, address, sha256 = served
    file = folder / "generator.safetensors"
    whole = file.read_bytes()
    file.write_bytes(change(whole))
    try:
        with pytest.raises(ValueError, match=says):
            hs.load(address, sha256=sha256)
    finally:
        file.write_bytes(whole)
    assert not cache.exists()


def test_missing_pages_and_servers_are_named(served):
    with pytest.raises(ValueError, match="404.*folder with bundle.json"):
        hs.load(served[1] + "/nothing", sha256="0" * 64)
    with pytest.raises(OSError, match="cannot be reached"):
        hs.load("http://127.0.0.1:9/x", sha256="0" * 64)


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a/b", "bundle.json", ""])
def test_names_outside_of_the_folder_are_refused(served, tmp_path, name, cache):
    folder, address, _ = served
    target = folder.parent / "tricky"
    shutil.copytree(folder, target, dirs_exist_ok=True)
    manifest = json.loads((target / "bundle.json").read_text())
    manifest["files"] = {name: {"sha256": "0" * 64, "bytes": 3}}
    (target / "bundle.json").write_text(json.dumps(manifest))
    sha256 = atomic_files.sha256(target / "bundle.json")
    with pytest.raises(ValueError, match="bundle.json is not valid: refused"):
        hs.load(address.replace("mine", "tricky"), sha256=sha256)
    assert not cache.exists()


def test_a_folder_is_checked_too(served):
    folder, _, sha256 = served
    assert hs.load(folder, sha256=sha256)
    with pytest.raises(ValueError, match="another bundle"):
        hs.load(folder, sha256="0" * 64)


@pytest.fixture
def fake_hub(served, monkeypatch):
    """huggingface_hub with one repository; gives the list of what was asked for."""
    asked = []

    def hf_hub_download(repo_id, filename, revision=None):
        asked.append((repo_id, filename, revision))
        if repo_id != "owner/name":
            raise OSError("404 Repository Not Found")
        return str(served[0] / filename)

    package = types.SimpleNamespace(hf_hub_download=hf_hub_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", package)
    return asked


def test_the_hub(served, fake_hub):
    _, _, sha256 = served
    for address, revision in (
        ("hf://owner/name", None),
        ("hf://owner/name@v1.0/x", "v1.0/x"),
    ):
        assert hs.load(f"{address}#sha256={sha256}")
        assert fake_hub[0] == ("owner/name", "bundle.json", revision)
        fake_hub.clear()
        shutil.rmtree(hub._cache())
    with pytest.raises(ValueError, match="bundle.json cannot be fetched: 404"):
        hs.load("hf://owner/other", sha256=sha256)
    with pytest.raises(ValueError, match="expected hf://OWNER/NAME"):
        hs.load("hf://name", sha256=sha256)


def test_without_its_package_the_hub_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'hyperstyle_jax\[hub\]'"):
        hs.load("hf://owner/name", sha256="0" * 64)


def test_a_bundle_at_an_address_is_not_changed(served):
    _, address, sha256 = served
    with pytest.raises(ValueError, match="copy the bundle to a folder"):
        bundle.set_directions(f"{address}#sha256={sha256}", {})


def test_windows_drives_and_folders_are_no_addresses():
    for path in ("C:/models/x", "demo", "https:/x", Path("http://x")):
        assert not hub.is_address(path)
