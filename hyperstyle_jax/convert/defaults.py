"""Completes networks whose files lack what the official loaders make themselves.

Published generators may come without fixed noise or without the mean latent. Both are
made here, the same at every conversion, and one line says so every time.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import trees
from hyperstyle_jax.net import Net

Log = Callable[[str], None]
Arrays = dict[str, np.ndarray]

_W_AVG = "buffers/mapping/w_avg"
_LATENT_AVG = "buffers/latent_avg"
_SAMPLES = 10_000
_SEED = 0


def complete_generator(role: str, module, shapes: Mapping, arrays: Arrays, log: Log):
    """Adds fixed noise, its strengths and the mean latent where they are missing.

    Args:
        role: of the generator, for the log.
        module: the `Generator`.
        shapes: of all its arrays by path.
        arrays: those of the files by path; the missing ones are added.
        log: told what is made.
    """
    missing = sorted(path for path in shapes if path not in arrays)
    noises = [path for path in missing if path.endswith("/noise_const")]
    if noises:
        rng = np.random.default_rng(_SEED)
        for path in noises:
            arrays[path] = rng.standard_normal(shapes[path], np.float32)
        log(
            f"{role}: no fixed noise for {len(noises)} layers in the file, drawn from "
            f"seed {_SEED}; images differ from the original's in fine texture"
        )
    strengths = [path for path in missing if path.endswith("/noise_strength")]
    if strengths:
        arrays |= {path: np.zeros(shapes[path], np.float32) for path in strengths}
        log(f"{role}: no strength of the noise for {len(strengths)} layers, taken as 0")
    if _W_AVG in missing and _has_mapping(missing):
        arrays[_W_AVG] = mean_latent(Net(module, trees.unflatten(arrays)))
        log(f"{role}: no mean latent in the file, averaged {_SAMPLES:,} latents")


def _has_mapping(missing) -> bool:
    """A mapping network that lacks something is refused by its own error."""
    return not any(path.startswith("params/mapping/") for path in missing)


def complete_encoder(
    module, arrays: Arrays, w_avg: np.ndarray | None, relative: bool, log: Log
):
    """Adds the latent that an encoder's outputs are relative to, where it is missing.

    Args:
        module: the encoder.
        arrays: its arrays by path; `latent_avg` is added.
        w_avg: the generator's mean latent [D], if there is a generator.
        relative: whether the training's options say that the encoder starts from it.
        log: told what is made.
    """
    if _LATENT_AVG in arrays:
        return
    rows = (module.num_ws,) if hasattr(module, "num_ws") else ()
    latent = np.zeros(module.w_dim, np.float32)
    if relative and w_avg is not None:
        latent = w_avg
        log("encoder: no mean latent in the file, the generator's is taken")
    else:
        log("encoder: no mean latent in the file, its latents are taken as absolute")
    arrays[_LATENT_AVG] = np.broadcast_to(latent, (*rows, module.w_dim))


def mean_latent(generator: Net) -> np.ndarray:
    """The mean of w over fixed latents z, [D]."""
    module = generator.module
    mapping = {"mapping": {"w_avg": np.zeros(module.w_dim, np.float32)}}
    variables = {
        "params": {"mapping": generator.params["mapping"]},
        "buffers": mapping,
    }
    z = np.random.default_rng(_SEED).standard_normal(
        (_SAMPLES, module.z_dim), np.float32
    )
    apply = jax.jit(lambda v, z: module.apply(v, z, method="mapping"))
    return np.asarray(apply(jax.tree.map(jnp.asarray, variables), z).mean(0))
