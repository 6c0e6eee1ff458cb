"""HyperStyle's refinement: every iteration adds to the offsets of the generator.

Δ ← Δ + H(x, y); y ← G(w; θ·(1 + Δ)) (https://arxiv.org/abs/2111.15666, section 4.2).
One scan runs all iterations. It carries the summed layer embeddings, 17·512 numbers for
each image, and not the offsets that they decode to.
"""

from typing import NamedTuple

import flax
import jax
import jax.numpy as jnp

from hyperstyle_jax.models.hypernet import Hypernet
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, LayerEmbeddings, synthesize, to_w_plus


class Refinement(NamedTuple):
    """Result of `invert`, in compact form; `decode` makes an `Inversion` of it.

    Attributes:
        w_plus: [B, L, D].
        embeddings: of T iterations.
        images: [T + 1, B, h, w, 3] at the hypernetwork's size, the reconstruction
            after every iteration; row 0 is the initial inversion.
    """

    w_plus: jax.Array
    embeddings: LayerEmbeddings
    images: jax.Array


@flax.struct.dataclass
class RefinementState:
    """What the refinement carries from one iteration to the next.

    Attributes:
        w_plus: [B, L, D], the same in every iteration.
        embeddings: {path: [B, C] or [B, T, C]}, summed so far.
        image: [B, h, w, 3], the reconstruction so far.
    """

    w_plus: jax.Array
    embeddings: dict[str, jax.Array]
    image: jax.Array


def block_mean(image: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Means of equal blocks of [B, H, W, C], one for each pixel of `size`.

    Raises:
        ValueError: H and W are not multiples of `size`.
    """
    (b, height, width, c), (h, w) = image.shape, size
    if (height, width) == (h, w):
        return image
    if height % h or width % w:
        raise ValueError(
            f"cannot average {height}x{width} images to {h}x{w}: not a multiple"
        )
    return image.reshape(b, h, height // h, w, width // w, c).mean((2, 4))


def crop_and_pool(image: jax.Array, size: tuple[int, int]) -> jax.Array:
    """A square generator's image as the hypernetwork sees it, [B, h, w, C]."""
    return block_mean(middle_rows(image, size), size)


def middle_rows(image: jax.Array, size: tuple[int, int]) -> jax.Array:
    """The middle of [B, H, W, C] with the aspect ratio of `size`, as wide as it is.

    Domains whose images are wider than high use these rows of a square image.
    """
    _, height, width, _ = image.shape
    rows = width * size[0] // size[1]
    top = (height - rows) // 2
    return image[:, top : top + rows]


def initial_inversion(
    encoder: Net, generator: Net, x: jax.Array, noise="const"
) -> tuple[jax.Array, jax.Array]:
    """The latent that the encoder finds, w = E(x), and its image y = G(w; θ).

    Args:
        x: [B, h, w, 3] in [-1, 1]; its dtype is that of the feature maps.

    Returns:
        w_plus [B, L, D] and the image [B, h, w, 3].
    """
    w_plus = to_w_plus(encoder(x), generator.module.num_ws)
    image = generator(w_plus, noise, method="synthesis", dtype=x.dtype)
    return w_plus, crop_and_pool(image, x.shape[1:3])


def no_embeddings(module: Hypernet, batch: int, num_iters: int) -> dict:
    """Zeros for every tuned layer: nothing is predicted yet.

    Args:
        num_iters: iterations that will follow; separable layers keep a row for each.

    Returns:
        {path: [B, C]}, of separable layers [B, T, C].
    """
    rows = {"separable": (max(num_iters, 1),)}
    return {
        layer.path: jnp.zeros((batch, *rows.get(layer.kind, ()), module.embedding_dim))
        for layer in module.tuned_layers
    }


def single_iteration(module: Hypernet, embeddings: dict) -> dict:
    """The embeddings of one iteration in the form that `Hypernet.decode` reads."""
    kinds = {layer.path: layer.kind for layer in module.tuned_layers}
    return {
        path: embedding[:, None] if kinds[path] == "separable" else embedding
        for path, embedding in embeddings.items()
    }


def add_embeddings(total: dict, new: dict, iteration) -> dict:
    """The embeddings after one more iteration, counted from 0.

    Sums, or for separable layers the row of this iteration.
    """

    def add(old, embedding):
        if old.ndim == embedding.ndim:
            return old + embedding
        return jax.lax.dynamic_update_index_in_dim(old, embedding, iteration, 1)

    return {path: add(total[path], new[path]) for path in total}


def refine(
    hypernet: Net,
    generator: Net,
    x: jax.Array,
    state: RefinementState,
    iteration,
    noise="const",
) -> RefinementState:
    """One iteration in evaluation mode: new embeddings and a new image."""
    new = hypernet(x, state.image)
    embeddings = add_embeddings(state.embeddings, new, iteration)
    offsets = hypernet(embeddings, iteration + 1, method="decode")
    tuned = Inversion(state.w_plus, offsets)
    image = synthesize(generator, tuned, noise=noise, dtype=x.dtype)
    image = crop_and_pool(image, x.shape[1:3])
    return state.replace(embeddings=embeddings, image=image)


def invert(
    encoder: Net,
    hypernet: Net,
    generator: Net,
    x: jax.Array,
    num_iters: int = 5,
    noise="const",
) -> Refinement:
    """Inverts images; pure, to be jitted with `num_iters` static.

    Args:
        encoder: Net of a WEncoder. hypernet: of a Hypernet. generator: of a Generator.
        x: [B, h, w, 3] in [-1, 1] at the size the networks were trained with. Its
            dtype, float32 or bfloat16, is that of all feature maps; parameters,
            embeddings and images stay float32.
        num_iters: T, the number of iterations; 0 gives the initial inversion alone.
        noise: as in `Generator.synthesis`.
    """
    w_plus, image = initial_inversion(encoder, generator, x, noise)
    embeddings = no_embeddings(hypernet.module, len(x), num_iters)
    start = RefinementState(w_plus, embeddings, image)

    def body(state, iteration):
        state = refine(hypernet, generator, x, state, iteration, noise)
        return state, state.image

    end, images = jax.lax.scan(body, start, jnp.arange(num_iters))
    images = jnp.concatenate([image[None], images])
    return Refinement(w_plus, LayerEmbeddings(end.embeddings, num_iters), images)


@jax.jit
def decode(hypernet: Net, w_plus: jax.Array, embeddings: LayerEmbeddings) -> Inversion:
    """The inversion that a latent and layer embeddings stand for.

    Args:
        hypernet: Net of the Hypernet that predicted the embeddings.
        w_plus: [B, L, D].
        embeddings: of T iterations; with T = 0 the generator's own weights stay.
    """
    if embeddings.num_iters == 0:
        return Inversion(w_plus)
    offsets = hypernet(embeddings.values, embeddings.num_iters, method="decode")
    return Inversion(w_plus, offsets, embeddings=embeddings)
