"""Sources of images for `hyperstyle prepare`, and what it made of them."""

import zipfile

import numpy as np
from command import photo

from hyperstyle_jax import images
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.data.examples import RecordSource
from hyperstyle_jax.system import atomic_files


def png(seed: int) -> bytes:
    return images.encode_png(photo(seed))


def fill(folder, names, first=0):
    for i, name in enumerate(names):
        atomic_files.write_whole(folder / name, png(first + i))
    return folder


def zipped(path, files: dict[str, bytes]):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def prepare(dataset, *sources, out, more=(), size=16) -> int:
    argv = ["prepare", dataset, "--source", *map(str, sources), "--out", str(out)]
    return main([*argv, "--size", str(size), *more])


def stored(path, split="train") -> dict[str, np.ndarray]:
    source = RecordSource(path, split)
    values = source.take(np.arange(len(source)))["image"]
    return dict(zip(source.names(), values, strict=True))


def celeba(folder, mapping="CelebA-HQ-to-CelebA-mapping.txt"):
    fill(folder / "CelebA-HQ-img", [f"{i}.png" for i in range(6)])
    rows = [f"{i} {100 + i} {101 + i:06d}.jpg" for i in range(6)]
    (folder / mapping).write_text("\n".join(["idx orig_idx orig_file", *rows]) + "\n")
    rows = [f"{101 + i:06d}.jpg {i // 2}" for i in range(6)]
    (folder / "list_eval_partition.txt").write_text("\n".join(rows))
    return folder
