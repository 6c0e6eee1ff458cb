"""What forks run: the long commands, and what makes their inputs."""

import shutil
import sys
from pathlib import Path

import command  # of tests/support
import drawn_faces
import evaluated_bundles
import networks
import numpy as np
import toy_train

import convert_weights
import train
from hyperstyle_jax import images
from hyperstyle_jax.cli.main import main
from hyperstyle_jax.convert import official
from hyperstyle_jax.data import preparing
from hyperstyle_jax.system import console
from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.training import pre_extract

PHOTOS, RECORDS, FACES = 6, 64, 4


def _hyperstyle(argv):
    # Files of 16 images each, the fewest: small sets have several of them too.
    preparing._SHARD_PIXELS = pre_extract._SHARD_PIXELS = 0
    sys.argv[:] = ["hyperstyle", *argv]
    console.prepare()
    sys.exit(console.finish(main(argv)))


def _convert(argv):
    sys.argv[:] = ["convert_weights.py", *argv]
    console.prepare()
    sys.exit(console.finish(convert_weights.main(argv)))


def _invert_for_ever(argv):
    """The same photos again and again, each time into a new folder."""
    sys.argv[:] = ["hyperstyle", *argv]
    while not (code := main(argv)):
        shutil.rmtree(argv[-1])
    sys.exit(code)


def _toy(argv):
    sys.argv[1:] = argv
    toy_train.start()


def _train(argv):
    sys.argv[:] = ["train.py", *argv]
    console.prepare()
    train.app.run(train.main, flags_parser=train.parse)


def _inputs(argv):
    """Images, a bundle and official files of small random networks."""
    folder = Path(argv[0])
    for i in range(RECORDS):
        images.save_png(folder / "images" / f"{i:02d}.png", command.photo(i))
    for i in range(PHOTOS):
        images.save_png(folder / "photos" / f"{i:02d}.png", command.photo(i))
    points = {}
    for i in range(FACES):
        name = f"{i}.png"
        images.save_png(folder / "faces" / name, drawn_faces.photo(seed=i))
        points[name] = [drawn_faces.points68()]
    drawn_faces.save_points(folder / "points.json", points)
    nets = networks.tiny_nets(command.SIZE)
    smile = np.eye(6, dtype=np.float32)[0]
    evaluated_bundles.save(folder / "model", nets, smile=smile)
    for name, content in official.contents(nets).files.items():
        torch_files.write(folder / "official" / f"{name}.pt", content)


PROGRAMS = {
    "hyperstyle": _hyperstyle,
    "convert": _convert,
    "invert for ever": _invert_for_ever,
    "toy": _toy,
    "train": _train,
    "inputs": _inputs,
}
