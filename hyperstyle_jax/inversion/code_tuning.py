"""Code tuning: layer embeddings are searched through the hypernetwork's frozen heads.

HyperStyle's refinement predicts a few hundred numbers for each layer, and its decoders
turn them into offsets of the weights. Here these numbers, and the latent, go on by
gradient descent on the image: the weights come closer as in pivotal tuning, within the
offsets that the hypernetwork has learned, and the inversion's file stays as small.
"""

from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from hyperstyle_jax.inversion import chunks, closeness
from hyperstyle_jax.inversion.closeness import Targets
from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import LayerEmbeddings, apply_offsets

_WARM_UP, _COOL_DOWN = 0.05, 0.5  # shares of the steps

Code = dict[str, Any]  # "w" [B, L, D], "embeddings" {path: [B, C]}


class CodeTuned(NamedTuple):
    """The result of `tune`.

    Attributes:
        w_plus: [B, L, D].
        embeddings: of as many iterations as at the start.
        image: [B, h, w, 3].
        losses: [steps, B], before each step.
    """

    w_plus: jax.Array
    embeddings: LayerEmbeddings
    image: jax.Array
    losses: np.ndarray


@flax.struct.dataclass
class _Setting:
    """What stays the same in all steps of a chunk of images."""

    hypernet: Net
    generator: Net
    targets: Targets
    scales: Code
    weight: jax.Array
    num_iters: int = flax.struct.field(pytree_node=False)


def tune(
    hypernet: Net,
    generator: Net,
    w_plus: jax.Array,
    embeddings: LayerEmbeddings,
    targets: Targets,
    *,
    steps: int = 50,
    lr: float = 0.3,
    lr_w: float = 0.0,
    lpips: float = 0.8,
) -> CodeTuned:
    """Tunes the compact form of inversions, each image independent of the others.

    Args:
        hypernet: Net of the Hypernet that predicted the embeddings; only decodes.
        generator: Net of a Generator.
        w_plus: [B, L, D].
        embeddings: of T ≥ 1 iterations.
        targets: of B images.
        steps: of Adam; 0 returns the start.
        lr: the largest step of a layer's embedding, relative to its own size.
        lr_w: the largest step of the latent, relative to its size; 0 keeps it.
        lpips: λ of the perceptual distance; L2 has 1.
    """
    scales = {
        "w": lr_w * _size(w_plus),
        "embeddings": {k: lr * _size(v) for k, v in embeddings.values.items()},
    }
    code = {"w": w_plus, "embeddings": embeddings.values}
    parts, total = [], chunks.count(len(w_plus)) * steps
    with tqdm(total=total, desc="codes", unit="step", leave=False, disable=None) as bar:
        for rows in chunks.chunks(len(w_plus)):
            setting = _Setting(
                hypernet,
                generator,
                closeness.rows(targets, rows),
                jax.tree.map(lambda v, rows=rows: v[rows], scales),
                jnp.float32(lpips),
                embeddings.num_iters,
            )
            mine = jax.tree.map(lambda v, rows=rows: v[rows], code)
            parts.append(_tune_chunk(setting, mine, steps, bar))
    codes, images, losses = zip(*parts, strict=True)
    joined = jax.tree.map(lambda *v: jnp.concatenate(v), *codes)
    tuned = LayerEmbeddings(joined["embeddings"], embeddings.num_iters)
    image, history = jnp.concatenate(images), np.concatenate(losses, axis=1)
    return CodeTuned(joined["w"], tuned, image, history)


def _size(v):
    """The root mean square of each image's numbers, [B, 1, …]."""
    return jnp.sqrt(jnp.square(v).mean(tuple(range(1, v.ndim)), keepdims=True))


def _tune_chunk(setting, code, steps, bar):
    state, history = _ADAM.init(code), []
    for step in range(steps):
        rate = jnp.float32(learning_rate(step, steps))
        code, state, values = _step(setting, code, state, rate)
        history.append(values)
        bar.update()
    losses = np.zeros((0, len(code["w"])), np.float32)
    losses = np.stack(jax.device_get(history)) if history else losses
    return code, _draw(setting, code), losses


def learning_rate(step: int, steps: int) -> float:
    """The share of the largest step: a short rise, a plateau, half a cosine down."""
    up = min(1.0, (step + 1) / max(_WARM_UP * steps, 1))
    down = min(1.0, (steps - step) / (_COOL_DOWN * steps))
    return up * (0.5 - 0.5 * np.cos(np.pi * down))


_ADAM = optax.scale_by_adam(b1=0.9, b2=0.99)


@jax.jit
def _step(setting, code, state, rate):
    """One step → code, state, and the loss [B] before it."""

    def loss(code):
        l2, lpips = closeness.distances(setting.targets, _render(setting, code))
        values = l2 + setting.weight * lpips
        return values.sum(), values

    (_, values), grads = jax.value_and_grad(loss, has_aux=True)(code)
    updates, state = _ADAM.update(grads, state)
    code = jax.tree.map(lambda v, u, s: v - rate * s * u, code, updates, setting.scales)
    return code, state, values


def _render(setting, code):
    def one(code):
        rows = {path: value[None] for path, value in code["embeddings"].items()}
        offsets = setting.hypernet(rows, setting.num_iters, method="decode")
        offsets = {path: offset[0] for path, offset in offsets.items()}
        own = apply_offsets(setting.generator.params, offsets)
        tuned = setting.generator.with_params(own)
        return tuned(code["w"][None], method="synthesis")[0]

    size = setting.targets.x.shape[1:3]
    return crop_and_pool(chunks.each(one, code), size)


_draw = jax.jit(_render)
