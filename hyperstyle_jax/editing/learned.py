"""Learns edit directions through the generator and a feature extractor.

"Enjoy your editing" (https://arxiv.org/abs/2102.01187): a step along the direction
shall change what a network reads of one attribute, and nothing else. A gradient follows
what no linear boundary can describe, and here each row of w+ moves by itself. On
procedural faces, three units of the linear direction "smile" change the attribute by
0.3 standard deviations, three units of the learned direction by 3.3.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from hyperstyle_jax.editing import latents
from hyperstyle_jax.editing.labelling import LabelledLatents
from hyperstyle_jax.net import Net

_STRENGTHS = (1.0, 4.0)  # the range of strengths in training, up and down
# Standard deviations that three units shall change the attribute by. A larger change is
# not rewarded, in favour of fewer side effects.
_TARGET_CHANGE = 3.3
_SIDE_EFFECT_WEIGHT = 0.05  # of the squared changes of other attributes
_IDENTITY_WEIGHT = 0.2  # of 1 − the cosine similarity of the identities
_LEARNING_RATE = 0.03


class _Setting(NamedTuple):
    """What stays the same in all steps of training."""

    generator: Net
    feature_extractor: Net
    root: jax.Array  # C [D, D] with C·Cᵀ the covariance of the latents
    attribute_std: jax.Array  # [A]


def learn_direction(
    generator: Net,
    feature_extractor: Net,
    labelled: LabelledLatents,
    attribute: int,
    start: np.ndarray,
    *,
    steps: int = 300,
    batch_size: int = 12,
    seed: int = 0,
) -> np.ndarray:
    """Learns the direction that changes one attribute visibly and the others least.

    Args:
        generator: Net of a Generator.
        feature_extractor: Net of a FeatureExtractor for images of the generator's size.
        labelled: thousands of latents; they give the range of latents and attributes.
        attribute: its index among those that the feature extractor reads.
        start: [D] or [L, D], not zero, for example of `interfacegan.fit_directions`.
        steps: of Adam.
        batch_size: the number of images of a step.
        seed: of the choice of latents.

    Returns:
        [L, D]; one unit of strength is at most one standard deviation of the latents in
        each row, positive raises the attribute.
    """
    root = jnp.asarray(latents.root_of(labelled.w), jnp.float32)
    start = np.broadcast_to(start, (generator.module.num_ws, len(root)))
    # The direction in units of standard deviations: direction = whitened · Cᵀ.
    whitened = jnp.asarray(np.linalg.solve(root, start.T).T, jnp.float32)
    attribute_std = jnp.asarray(labelled.attributes.std(0))
    setting = _Setting(generator, feature_extractor, root, attribute_std)
    tx = optax.adam(_LEARNING_RATE)
    state, w = tx.init(whitened), jnp.asarray(labelled.w)
    step = jax.jit(partial(_step, tx, attribute))
    for key in tqdm(jax.random.split(jax.random.key(seed), steps), disable=None):
        key, index_key = jax.random.split(key)
        batch = w[jax.random.randint(index_key, (batch_size,), 0, len(w))]
        whitened, state = step(whitened, state, setting, batch, key)
    return np.asarray(_limit_lengths(whitened) @ root.T)


def measure_effect(
    generator: Net,
    feature_extractor: Net,
    labelled: LabelledLatents,
    direction: np.ndarray,
    strength: float = 3.0,
    count: int = 128,
) -> np.ndarray:
    """Measures how a direction changes each attribute.

    Args:
        generator, feature_extractor, labelled: as in `learn_direction`.
        direction: [D] or [L, D].
        strength: s, of the edits.
        count: the number of images.

    Returns:
        [A], half the mean change from −s to +s, in standard deviations of the attribute
        among generated images.
    """
    w = jnp.asarray(labelled.w[:count])[:, None]
    direction = jnp.broadcast_to(direction, (generator.module.num_ws, w.shape[-1]))
    raised, lowered = (
        _extract(generator, feature_extractor, w + s * direction)[1]
        for s in (strength, -strength)
    )
    return np.asarray((raised - lowered).mean(0)) / 2 / labelled.attributes.std(0)


def _step(tx, attribute, whitened, state, setting, w, key):
    """One step of Adam for the latents w [B, D], half edited up and half down."""
    signs = jnp.where(jnp.arange(len(w)) % 2, 1.0, -1.0)
    low, high = _STRENGTHS
    strength = signs * jax.random.uniform(key, signs.shape, minval=low, maxval=high)
    w = jnp.broadcast_to(w[:, None], (len(w), *whitened.shape))
    nets = (setting.generator, setting.feature_extractor)
    identity_before, before = _extract(*nets, w)

    def loss_fn(whitened):
        shift = strength[:, None, None] * (_limit_lengths(whitened) @ setting.root.T)
        identity_after, after = _extract(*nets, w + shift)
        # Scaled to three units of strength, a common range of edits.
        change = 3.0 * (after - before) / setting.attribute_std / strength[:, None]
        side_effects = jnp.square(change).sum(1) - jnp.square(change[:, attribute])
        identity_loss = 1.0 - jnp.sum(identity_before * identity_after, -1)
        gain = jnp.minimum(change[:, attribute].mean(), _TARGET_CHANGE)
        penalty = _SIDE_EFFECT_WEIGHT * side_effects + _IDENTITY_WEIGHT * identity_loss
        return -gain + penalty.mean()

    updates, state = tx.update(jax.grad(loss_fn)(whitened), state)
    return optax.apply_updates(whitened, updates), state


def _limit_lengths(rows):
    """Shortens rows that are longer than one standard deviation."""
    return rows / jnp.maximum(1.0, jnp.linalg.norm(rows, axis=-1, keepdims=True))


@jax.jit
def _extract(generator, feature_extractor, w_plus):
    """Identity [B, E] and attributes [B, A] of the images of w+."""
    image = generator(w_plus, method="synthesis")
    return feature_extractor(jnp.clip(image, -1, 1))
