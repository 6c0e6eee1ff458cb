"""Works an inversion's weights into its generator, θ·(1 + Δ), as an official file."""

import os

import jax
import numpy as np

from hyperstyle_jax.convert import official
from hyperstyle_jax.inversion import storage
from hyperstyle_jax.offsets import generator_of
from hyperstyle_jax.torch_format import files as torch_files
from hyperstyle_jax.weights import bundle


def merge(
    model: str | os.PathLike,
    inversion: str | os.PathLike,
    out: str | os.PathLike,
    layout: str = "rosinality",
):
    """Writes the generator of one image, which renders it without a hypernetwork.

    Args:
        model: the bundle that made the inversion.
        inversion: the .npz that `hyperstyle invert` wrote.
        out: the .pt file; besides the generator it has the image's `w_plus` [L, D].
        layout: "rosinality" (`g_ema`, `latent_avg`) or "nvidia" (`G_ema`).
    """
    loaded = bundle.load(model)
    (generator,) = loaded.require("generator")
    restored = storage.restore(loaded, [storage.load(inversion)])
    merged = generator_of(generator, restored)
    value = official.generator_contents(jax.tree.map(np.asarray, merged), layout)
    torch_files.write(out, {**value, "w_plus": np.asarray(restored.w_plus[0])})
