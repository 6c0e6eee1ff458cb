"""Fetches bundles from an address, once, and only with the expected checksum.

    hs.load("hf://owner/name@revision", sha256="…")
    hs.load("https://host/folder/of/the/bundle#sha256=…")

The checksum is that of bundle.json, which has those of all other files; `hyperstyle
verify` prints it. Whoever serves the files cannot change them unnoticed.
"""

import http.client
import json
import os
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from hyperstyle_jax.system import atomic_files, compilation_cache, folder_lock

_JSON = "bundle.json"
_MAX_JSON = 16 << 20
_TIMEOUT = 60  # seconds without an answer
_CHUNK = 1 << 20
_FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"


def is_address(path: str | os.PathLike) -> bool:
    """Whether a bundle is to be fetched: hf://…, https://… or http://…"""
    return bool(re.match(r"(hf|https?)://", str(path)))


def fetch(address: str, sha256: str | None = None, cache: Path | None = None) -> Path:
    """The folder of a bundle at an address; fetched only once.

    Args:
        address: `hf://owner/name[@revision]`, or the https address of a bundle's folder
            or of its bundle.json. It may end in `#sha256=…`.
        sha256: of bundle.json, in hexadecimal digits.
        cache: folder of fetched bundles; `$XDG_CACHE_HOME/hyperstyle_jax/bundles` by
            default.

    Raises:
        ValueError: no checksum, another one, or no bundle there.
        OSError: the network or the disk failed.
    """
    address, _, fragment = address.partition("#")
    expected = sha256 or fragment.removeprefix("sha256=")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", expected):
        raise ValueError(
            f"{address} needs the sha256 of its bundle.json, 64 hexadecimal digits, as "
            "sha256=… or after the address as #sha256=…; `hyperstyle verify` prints it"
        )
    expected = expected.lower()
    folder = (cache or _cache()) / expected
    if not (folder / _JSON).is_file():
        get = _get_from_hub if address.startswith("hf://") else _get_from_web
        _fetch_whole(folder, address, expected, get)
    return folder


def _cache() -> Path:
    return compilation_cache.user_cache() / "hyperstyle_jax" / "bundles"


def _fetch_whole(folder: Path, address: str, expected: str, get):
    """Fills a temporary folder, which becomes `folder` when all files are there."""
    with folder_lock.hold(folder, beside=True, wait=True):
        if not (folder / _JSON).is_file():  # another process may have been faster
            _fetch(folder, address, expected, get)


def _fetch(folder: Path, address: str, expected: str, get):
    temporary = folder_lock.beside_file(folder).with_suffix(".new")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        get(address, _JSON, temporary / _JSON, _MAX_JSON)
        _check(temporary / _JSON, expected, address)
        for name, recorded in _files(temporary / _JSON, address).items():
            get(address, name, temporary / name, recorded["bytes"])
            _check(temporary / name, recorded["sha256"], address)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _files(manifest: Path, address: str) -> dict[str, dict]:
    """The files that bundle.json lists, with plain names only."""
    try:
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        for name, recorded in files.items():
            if not re.fullmatch(_FILE_NAME, name) or name == _JSON:
                raise ValueError(f"refused the file name {name!r:.60}")
            if not isinstance(recorded["bytes"], int):
                raise ValueError(f"no size of {name}")
            recorded["sha256"].encode()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{address}: bundle.json is not valid: {error}") from None
    return files


def _check(file: Path, expected: str, address: str):
    actual = atomic_files.sha256(file)
    if actual != expected.lower():
        raise ValueError(
            f"{address}: the sha256 of {file.name} is {actual[:12]}…, expected "
            f"{expected[:12]}…: it was changed or cut off; it is not used"
        )


def _get_from_web(address: str, name: str, target: Path, limit: int):
    """One file beside bundle.json, of at most `limit` bytes."""
    parts = urllib.parse.urlsplit(address)
    base = parts.path.removesuffix(_JSON).rstrip("/")
    url = parts._replace(path=f"{base}/{name}").geturl()
    try:
        with (
            urllib.request.urlopen(url, timeout=_TIMEOUT) as answer,
            open(target, "wb") as out,
        ):
            written = 0
            while block := answer.read(_CHUNK):
                written += len(block)
                if written > limit:
                    raise ValueError(f"{url} has more than {limit:,} bytes")
                out.write(block)
    except urllib.error.HTTPError as error:
        raise ValueError(
            f"{url}: {error.code} {error.reason}; expected the address of a folder "
            f"with {_JSON}"
        ) from None
    except (urllib.error.URLError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise OSError(f"{url} cannot be reached: {why}") from None


def _get_from_hub(address: str, name: str, target: Path, limit: int):
    """One file of a repository on the hub; `limit` is left to the checksum."""
    try:
        import huggingface_hub
    except ImportError:
        raise ValueError(
            f"{address} needs the package huggingface_hub: "
            "pip install 'hyperstyle_jax[hub]'"
        ) from None
    place = re.fullmatch(r"hf://([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?/?", address)
    if place is None:
        raise ValueError(
            f"{address}: expected hf://OWNER/NAME or hf://OWNER/NAME@REVISION"
        )
    repository, revision = place.groups()
    try:
        file = huggingface_hub.hf_hub_download(repository, name, revision=revision)
    except (OSError, ValueError) as error:  # its own errors are OSErrors
        raise ValueError(f"{address}: {name} cannot be fetched: {error}") from None
    shutil.copyfile(file, target)
