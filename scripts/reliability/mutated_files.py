"""Reads thousands of damaged checkpoints, bundles, data sets; counts what happens.

    python scripts/reliability/mutated_files.py --count 10000 --seed 0

Small valid files of every kind are changed at random: bytes flipped, pieces cut out,
doubled or exchanged, ends cut off, zip entries and JSON values replaced, some with the
checksums mended; options and configs get odd values. Each is read as a user's program
reads it. It must be read, or refused with a ValueError or OSError; it must not crash,
take 5 s of processor time or 1 GiB, write a file, start a program or open a connection.
Exits with 1 if one does.
"""

import argparse
import collections
import copy
import faulthandler
import hashlib
import io
import json
import os
import pickle
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import mutated_folders  # noqa: E402
import networks  # noqa: E402
import numpy as np  # noqa: E402
import torch_pickles  # noqa: E402

from hyperstyle_jax.convert import assembling, conversion, official  # noqa: E402
from hyperstyle_jax.inversion import storage  # noqa: E402
from hyperstyle_jax.torch_format import files as torch_files  # noqa: E402
from hyperstyle_jax.weights import bundle, verification  # noqa: E402

SECONDS, GIBIBYTE = 5, 1 << 30
OUTCOMES = ("read", "refused", "crashed", "slow", "large")
# What reading a file has no reason to do.
_FORBIDDEN = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn",
              "socket.connect", "os.remove", "os.rename", "shutil.rmtree")  # fmt: skip
_REPLACEMENTS = (
    None, True, 0, -1, 1, 2**31, 2**40, 2**63, 1e308, float("nan"), "", "x" * 5000, "é",
    "../x", "demo", [], {}, [[]], [0], [-1, 2], [2**20] * 4, {"class": "Generator"},
)  # fmt: skip


class Kind(NamedTuple):
    """Valid files by name, a way to change them, and the program that reads them."""

    files: dict[str, bytes]
    mutate: Callable[[dict[str, bytes], random.Random], dict[str, bytes]]
    read: Callable[[Path], None]


class Hung(BaseException):
    """Raised when the time is up; no `except Exception` catches it."""


def main() -> int:
    """Runs the campaign and prints the counts."""
    args = _arguments()
    _watch()
    counts: dict[str, collections.Counter] = {}
    with tempfile.TemporaryDirectory() as folder:
        kinds = make_kinds(Path(folder))
        for kind in kinds.values():
            _write(Path(folder) / "case", kind.files)
            kind.read(Path(folder) / "case")  # valid; and all programs are compiled
        rng = random.Random(args.seed)
        names = sorted(kinds)
        for i in range(args.count):
            name = names[i % len(names)]
            files = kinds[name].mutate(kinds[name].files, rng)
            outcome = attempt(kinds[name], files, Path(folder) / "case")
            counts.setdefault(name, collections.Counter())[outcome] += 1
            if outcome not in ("read", "refused") and args.keep:
                _write(args.keep / f"{name}_{i}_{outcome}", files)
    print(table(counts))
    bad = sum(c[o] for c in counts.values() for o in OUTCOMES[2:])
    return int(bad > 0)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files that did harm")
    return parser.parse_args()


def table(counts) -> str:
    """Markdown: a row for each kind."""
    lines = ["| kind | files | " + " | ".join(OUTCOMES) + " |"]
    lines += ["|---|" + "---:|" * (len(OUTCOMES) + 1)]
    total = sum(counts.values(), collections.Counter())
    for name, row in [*sorted(counts.items()), ("all", total)]:
        cells = [f"{row[outcome]:,}" for outcome in OUTCOMES]
        lines.append(f"| {name} | {row.total():,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def attempt(kind: Kind, files: dict[str, bytes], place: Path) -> str:
    """Writes and reads mutated files; one of `OUTCOMES`."""
    _write(place, files)
    memory = _peak()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    faulthandler.dump_traceback_later(60 * SECONDS, exit=True)
    _watched.append(True)
    try:
        kind.read(place)
        outcome = "read"
    except (ValueError, OSError) as error:
        outcome = "refused" if str(error).strip() else "crashed"
    except Hung:
        outcome = "slow"
    except BaseException:  # also SystemExit, which code in a file may raise
        traceback.print_exc()
        outcome = "crashed"
    finally:
        _watched.clear()
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
    return "large" if _peak() - memory > GIBIBYTE else outcome


_watched: list[bool] = []


def _watch():
    """Alarms for what lasts too long, errors for what a file must not cause."""

    def ring(*_):
        raise Hung

    def hook(event, arguments):
        if not _watched:
            return
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
        if event in _FORBIDDEN or writes:
            raise RuntimeError(f"reading a file led to {event} {arguments!r:.80}")

    signal.signal(signal.SIGPROF, ring)
    sys.addaudithook(hook)


def _peak() -> int:
    """The largest memory of this process so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _write(place: Path, files: dict[str, bytes]):
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name, content in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(content)


# The kinds


def make_kinds(folder: Path) -> dict[str, Kind]:
    """Valid files of every kind, made in a folder."""
    nets = networks.tiny_nets(16)
    content = official.contents(nets).files["hypernet"]
    content = _numpy(content) | {"opts": {"lr": 0.1, "dataset_type": "faces"}}
    generator = _numpy(official.generator_contents(nets["generator"], "nvidia"))[
        "G_ema"
    ]
    torch_files.write(folder / "weights.pt", content)
    with torch_pickles.fake_torch():
        whole = pickle.dumps({"g_ema": torch_pickles.Network(generator)}, 2)
    tensors = {k: torch_pickles.Tensor(v) for k, v in generator.items()}
    legacy = torch_pickles.save_legacy({"g_ema": tensors})
    nvidia = torch_pickles.nvidia({"G_ema": ("Generator", generator)})
    np.savez_compressed(folder / "state.npz", **generator)
    bundle.save(folder / "model", nets)
    model = bundle.load(folder / "model")
    small = {k: nets[k] for k in ("generator", "encoder")}
    bundle.save(folder / "bundle", small, directions={"smile": np.ones(6)})
    files = {f.name: f.read_bytes() for f in (folder / "bundle").iterdir()}
    weights = files["generator.safetensors"]
    checkpoints = {
        "PyTorch, zip": (folder / "weights.pt").read_bytes(),
        "PyTorch, legacy": legacy,
        "PyTorch, whole network": whole,
        "NVIDIA, pickle": nvidia,
        "NumPy, npz": (folder / "state.npz").read_bytes(),
        "safetensors": weights,
    }
    kinds = {
        name: Kind({"weights.pt": content}, _mutate_checkpoint, _convert)
        for name, content in checkpoints.items()
        if name != "safetensors"
    }
    kinds["safetensors"] = Kind({"weights.pt": weights}, _mutate_any, _recognize)
    kinds["bundle"] = Kind(files, _mutate_bundle, _load_bundle)
    kinds |= _folders(folder)
    photo = {"photo.npz": _inversion(folder, model)}
    kinds["inversion"] = Kind(
        photo, _mutate_checkpoint, lambda place: _restore(place, model)
    )
    return kinds


def _folders(folder: Path) -> dict[str, Kind]:
    m = mutated_folders
    mutators = m.Mutators(mutate, _replace_value)

    def kind(files, change, read):
        return Kind(files, lambda *given: change(*given, mutators), read)

    return {
        "data set": kind(m.data_set(folder), m.mutate_data_set, m.read_data_set),
        "options": kind(m.options(), m.mutate_options, m.read_options),
        "config.json": kind(m.run_config(), m.mutate_run_config, m.read_run_config),
    }


def _numpy(value):
    if isinstance(value, dict):
        return {k: _numpy(v) for k, v in value.items()}
    return np.asarray(value) if hasattr(value, "shape") else value


def _inversion(folder, model) -> bytes:
    (generator,) = model.require("generator")
    shape = (generator.module.num_ws, generator.module.w_dim)
    (hypernet,) = model.require("hypernet")
    rows = [layer.path for layer in hypernet.module.tuned_layers]
    np.savez(
        folder / "photo.npz",
        w_plus=np.zeros(shape, np.float32),
        embeddings=np.zeros((len(rows), hypernet.module.embedding_dim), np.float32),
        layers=np.array(rows),
        num_iters=np.int32(2),
        bundle=np.str_(model.id),
    )
    return (folder / "photo.npz").read_bytes()


def _recognize(place: Path):
    """Our own parameter names are of no official kind: only read."""
    try:
        conversion.read(place / "weights.pt")
    except ValueError as error:
        if "no known kind" not in str(error):
            raise


def _convert(place: Path):
    file = conversion.read(place / "weights.pt")
    assembling.assemble([file], (16, 16))


def _load_bundle(place: Path):
    faults = [file.fault for file in verification.verify(place)]
    bundle.load(place)
    if any(faults):
        raise ValueError(f"verify: {faults}")


def _restore(place: Path, model):
    storage.restore(model, [storage.load(place / "photo.npz")])


# Changes


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Some bytes flipped, cut out, doubled, exchanged, or the end cut off."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        i, j = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        kind = rng.randrange(7)
        if kind == 0 and i < len(data):
            data[i] = rng.randrange(256)
        elif kind == 1 and i < len(data):
            data[i] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[i : min(j, i + rng.choice((1, 8, 4096)))]
        elif kind == 3:
            data[i:i] = data[i : min(j, i + rng.choice((4, 64, 4096)))]
        elif kind == 4:
            data[i : i + 8] = rng.choice(
                (b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f\0\0\0\0", b"2" * 8)
            )
        elif kind == 5:
            data[i:j], data[: j - i] = data[: j - i], data[i:j]
        elif rng.random() < 0.3:
            del data[max(i, 1) :]
    return bytes(data)


def _mutate_any(files, rng):
    return {name: mutate(content, rng) for name, content in files.items()}


def _mutate_checkpoint(files, rng):
    """Bytes of the file, or of one entry of a zip file with its checksum mended."""
    ((name, content),) = files.items()
    if content.startswith(b"PK") and rng.random() < 0.75:
        return {name: _rewrap(content, rng)}
    if not content.startswith(b"PK") and rng.random() < 0.5:
        # The pickle's instructions stand at the beginning and between the numbers.
        size = min(len(content), 2000)
        return {name: mutate(content[:size], rng) + content[size:]}
    return {name: mutate(content, rng)}


def _rewrap(content: bytes, rng) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {n: archive.read(n) for n in archive.namelist()}
    name = rng.choice(sorted(entries))
    if rng.random() < 0.4:
        name = next((n for n in entries if n.endswith("data.pkl")), name)
    kind = rng.randrange(8)
    if kind == 0:
        del entries[name]
    elif kind == 1:
        other = rng.choice(sorted(entries))
        entries[name], entries[other] = entries[other], entries[name]
    elif kind == 2:
        entries[mutate(name.encode(), rng).decode("latin1")] = entries.pop(name)
    else:
        entries[name] = mutate(entries[name], rng)
    out = io.BytesIO()
    packing = zipfile.ZIP_DEFLATED if kind == 3 else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", packing) as archive:
        for entry, data in entries.items():
            archive.writestr(entry.replace("\0", "_") or "x", data)
    return out.getvalue()


def _mutate_bundle(files, rng):
    """bundle.json's values or bytes, or a file's bytes with its checksum mended."""
    files = dict(files)
    kind = rng.randrange(5)
    if kind == 0:
        files["bundle.json"] = mutate(files["bundle.json"], rng)
    elif kind < 3:
        manifest = json.loads(files["bundle.json"])
        for _ in range(rng.choice((1, 1, 2, 5))):
            _replace_value(manifest, rng)
        files["bundle.json"] = json.dumps(manifest).encode()
    else:
        name = rng.choice(sorted(files))
        files[name] = mutate(files[name], rng)
        if kind == 4 and name != "bundle.json":
            _mend_checksum(files, name)
    return files


def _replace_value(manifest, rng):
    """One value anywhere in the JSON becomes another one, or goes."""
    holder = manifest
    while True:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        if not keys:
            return
        key = rng.choice(list(keys))
        inner = holder[key]
        if not isinstance(inner, (dict, list)) or rng.random() < 0.2:
            break
        holder = inner
    if isinstance(holder, dict) and rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(rng.choice(_REPLACEMENTS))


def _mend_checksum(files, name):
    manifest = json.loads(files["bundle.json"])
    if name in manifest["files"]:
        digest = hashlib.sha256(files[name]).hexdigest()
        manifest["files"][name] = {"sha256": digest, "bytes": len(files[name])}
    files["bundle.json"] = json.dumps(manifest).encode()


if __name__ == "__main__":
    sys.exit(main())
