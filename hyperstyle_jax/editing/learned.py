"""Edit directions learned through generator and feature extractor.

"Enjoy your editing" (https://arxiv.org/abs/2102.01187): a step along the direction is
to change what a network reads of one attribute, and nothing else. Gradients see what a
linear boundary cannot, so there are directions even of attributes that are no linear
function of w; here every layer's row of w+ moves for itself. On procedural faces, three
units of the linear "smile" change it by 0.3 standard deviations, of this one by 3.3.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from hyperstyle_jax.editing.labelling import Labelled
from hyperstyle_jax.net import Net

_STRENGTHS = (1.0, 4.0)  # trained on, up and down
# Standard deviations that three units are to change the attribute by; what could be
# more is given up for fewer side effects.
_ENOUGH = 3.3
_OTHERS = 0.05  # weight of the squared changes of other attributes
_IDENTITY = 0.2  # weight of the identity that is lost
_LEARNING_RATE = 0.03
_RIDGE = 1e-4  # added to the covariance, relative to the mean variance


def learn_direction(
    generator: Net,
    features: Net,
    labelled: Labelled,
    attribute: int,
    start: np.ndarray,
    *,
    steps: int = 300,
    batch_size: int = 12,
    seed: int = 0,
) -> np.ndarray:
    """The direction [L, D] that changes one attribute visibly and the others least.

    Args:
        generator: Net of a Generator.
        features: Net of a FeatureExtractor for images of the generator's size.
        labelled: thousands of images; the spread of latents and attributes.
        attribute: its place among those that the feature extractor reads.
        start: [D] or [L, D], not zero; as of `interfacegan.fit_directions`.
        steps: of Adam. batch_size: images of a step.
        seed: which latents are seen.

    Returns:
        One unit of strength is at most one standard deviation of the latents in every
        row; positive raises the attribute.
    """
    root = jnp.asarray(_root(labelled.w), jnp.float32)
    start = np.broadcast_to(start, (generator.module.num_ws, len(root)))
    rows = jnp.asarray(np.linalg.solve(root, start.T).T, jnp.float32)
    spread = jnp.asarray(labelled.attributes.std(0))
    tx = optax.adam(_LEARNING_RATE)
    opt, w = tx.init(rows), jnp.asarray(labelled.w)
    step = jax.jit(partial(_step, tx, attribute))
    for key in tqdm(jax.random.split(jax.random.key(seed), steps), disable=None):
        key, which = jax.random.split(key)
        chosen = w[jax.random.randint(which, (batch_size,), 0, len(w))]
        rows, opt = step(rows, opt, (generator, features, root, spread), chosen, key)
    return np.asarray(_within(rows) @ root.T)


def effect(
    generator: Net,
    features: Net,
    labelled: Labelled,
    direction: np.ndarray,
    strength: float = 3.0,
    count: int = 128,
) -> np.ndarray:
    """What a direction does to every attribute: [A] mean changes from −s to +s, halved.

    In standard deviations of the attribute among generated images.
    """
    w = jnp.asarray(labelled.w[:count])[:, None]
    direction = jnp.broadcast_to(direction, (generator.module.num_ws, w.shape[-1]))
    up, down = (
        _read(generator, features, w + s * direction)[1] for s in (strength, -strength)
    )
    return np.asarray((up - down).mean(0)) / 2 / labelled.attributes.std(0)


def _step(tx, attribute, rows, opt, world, w, key):
    generator, features, root, spread = world
    signs = jnp.where(jnp.arange(len(w)) % 2, 1.0, -1.0)
    low, high = _STRENGTHS
    strength = signs * jax.random.uniform(key, signs.shape, minval=low, maxval=high)
    w = jnp.broadcast_to(w[:, None], (len(w), *rows.shape))
    person, before = _read(generator, features, w)

    def loss(rows):
        shift = strength[:, None, None] * (_within(rows) @ root.T)
        same, after = _read(generator, features, w + shift)
        # Per three units of strength, a common range of edits.
        change = 3.0 * (after - before) / spread / strength[:, None]
        others = jnp.square(change).sum(1) - jnp.square(change[:, attribute])
        lost = 1.0 - jnp.sum(person * same, -1)
        reached = jnp.minimum(change[:, attribute].mean(), _ENOUGH)
        return -reached + (_OTHERS * others + _IDENTITY * lost).mean()

    updates, opt = tx.update(jax.grad(loss)(rows), opt)
    return optax.apply_updates(rows, updates), opt


def _within(rows):
    """No row is longer than one standard deviation."""
    return rows / jnp.maximum(1.0, jnp.linalg.norm(rows, axis=-1, keepdims=True))


@jax.jit
def _read(generator, features, w_plus):
    """Identity [B, E] and attributes [B, A] of the images of w+."""
    image = generator(w_plus, method="synthesis")
    return features(jnp.clip(image, -1, 1))


def _root(w: np.ndarray) -> np.ndarray:
    """C with C·Cᵀ the covariance of the latents."""
    w = np.asarray(w, np.float64)
    ridge = _RIDGE * w.var(0).mean() * np.eye(w.shape[1])
    return np.linalg.cholesky(np.cov(w.T) + ridge)
