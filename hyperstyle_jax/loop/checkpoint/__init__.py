"""Training state on disk: saved in the background, restored exactly.

A run keeps `WORKDIR/checkpoints/STEP/`, each with two parts: `state`, the pytree that
training changes, and `progress`, a JSON value (position in the data, running means,
best evaluation so far). Beside them `sha256sums` lists the files, so that a later
change on disk is noticed when they are read, here or by `sha256sum --check`.
"""

from hyperstyle_jax.loop.checkpoint.files import steps
from hyperstyle_jax.loop.checkpoint.reading import (
    load_arrays,
    progress,
    restore,
    restore_best,
)
from hyperstyle_jax.loop.checkpoint.saving import Saver

__all__ = ["Saver", "load_arrays", "progress", "restore", "restore_best", "steps"]
