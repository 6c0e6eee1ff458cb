"""Inverts the images with every method; each inversion is a file of its own.

An inversion that is there is not made again, and what is measured is what the file
holds. Batches are always of the same images: a run that was stopped ends with the same
numbers as one that was not.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from hyperstyle_jax import images
from hyperstyle_jax.benchmark.methods.plan import Plan, base, key, read
from hyperstyle_jax.inversion import methods, storage
from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.inversion.methods import Inverted
from hyperstyle_jax.offsets import Inversion, latent_only, synthesize
from hyperstyle_jax.system import atomic_files, errors, program


def invert(plan: Plan, method: str, bar: tqdm) -> dict[str, str]:
    """Inverts what is not inverted yet.

    A batch that fails is tried image by image. Where all of the first batch fail, the
    method is given up.

    Args:
        plan: of the benchmark.
        method: its name.
        bar: moves by one for each image.

    Returns:
        {image: why it failed}.

    Raises:
        OSError: the disk is full.
    """
    failed: dict[str, str] = {}
    for names in _batches(plan):
        todo = [name for name in names if not note(plan, method, name)]
        bar.update(len(names) - len(todo))
        if todo:
            failed |= _invert_batch(plan, method, names, todo)
            bar.update(len(todo))
        if len(failed) == len(names) == len(todo) and names[0] == plan.names[0]:
            why = failed[names[0]]
            failed |= {name: why for name in plan.names if name not in failed}
            bar.update(len(plan.names) - len(names))
            break
    return failed


def note(plan: Plan, method: str, name: str) -> dict[str, Any] | None:
    """The note of an inversion that is whole: its `key` and `bytes`; or None."""
    wanted = _key(plan, method, name)
    found = read(plan.file(method, f"{name}.json"), wanted)
    path = plan.file(method, f"{name}.npz")
    whole = found and path.is_file() and path.stat().st_size == found.get("bytes")
    return found if whole else None


def _key(plan: Plan, method: str, name: str) -> str:
    defaults = plan.model.info.get("num_iters")  # of the methods that iterate
    return key(
        plan.model.id, defaults, base(method), plan.settings(method), plan.x[name]
    )


def _batches(plan: Plan) -> Iterator[list[str]]:
    for i in range(0, len(plan.names), plan.batch_size):
        yield plan.names[i : i + plan.batch_size]


def _invert_batch(plan, method, names, todo) -> dict[str, str]:
    """Writes the inversions of `todo`, which is a part of `names`; who failed."""
    try:
        return _write(plan, method, _run(plan, method, names), names, todo)
    except Exception as error:  # whatever a method raises is its failure
        program.heed_stop()
        if errors.is_disk_full(error):
            raise
        why = _reason(error)
    if len(names) == 1:
        return {names[0]: why}
    failed: dict[str, str] = {}
    for name in todo:
        failed |= _invert_batch(plan, method, [name], [name])
    return failed


def _run(plan: Plan, method: str, names: list[str]) -> Inverted:
    """Inverts a batch, filled up to the size of all others."""
    size = min(plan.batch_size, len(plan.names))
    filled = names + names[-1:] * (size - len(names))
    x = images.to_float(np.stack([plan.x[name] for name in filled]))
    settings = plan.methods[method]
    inverted = methods.invert(plan.model, jnp.asarray(x), base(method), **settings)
    return jax.block_until_ready(inverted)


def _write(plan, method, inverted, names, todo) -> dict[str, str]:
    failed = {}
    finite = np.isfinite(np.asarray(inverted.images[-1])).all((1, 2, 3))
    for i, name in enumerate(names):
        if name not in todo:
            continue
        if not finite[i]:
            failed[name] = "its picture has values that are not finite"
            continue
        path = plan.file(method, f"{name}.npz")
        storage.save(path, inverted.inversion, i, plan.model)
        facts = {"key": _key(plan, method, name), "bytes": path.stat().st_size}
        atomic_files.write_json(plan.file(method, f"{name}.json"), facts)
    return failed


def _reason(error: Exception) -> str:
    if errors.is_expected(error):
        return errors.one_line(error)
    return errors.first_line(error)


def load(plan: Plan, method: str, name: str, failed: bool = False) -> Inversion:
    """One stored inversion; of an image that failed the mean latent.

    A method gains nothing by failing: any method could answer with the mean.
    """
    if failed:
        return mean(plan)
    path: Path = plan.file(method, f"{name}.npz")
    return storage.restore(plan.model, [storage.load(path)])


def mean(plan: Plan) -> Inversion:
    """The generator's mean latent as an inversion of one image."""
    (generator,) = plan.model.require("generator")
    w = generator.variables["buffers"]["mapping"]["w_avg"]
    return latent_only(w[None], generator.module.num_ws)


def picture(plan: Plan, inversion: Inversion) -> np.ndarray:
    """What an inversion of one image shows, [h, w, 3] uint8 of the targets' size."""
    (generator,) = plan.model.require("generator")
    size = next(iter(plan.x.values())).shape[:2]
    return images.to_uint8(np.asarray(_render(generator, inversion, size)[0]))


@jax.jit
def _synthesize(generator, inversion):
    return synthesize(generator, inversion)


def _render(generator, inversion, size):
    return crop_and_pool(_synthesize(generator, inversion), size)
