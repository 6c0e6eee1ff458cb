"""HyperStyle's refinement adds to the offsets of the generator in each iteration.

Δ ← Δ + H(x, y); y ← G(w; θ·(1 + Δ)), https://arxiv.org/abs/2111.15666, section 4.2. One
scan runs all iterations. It carries the sums of the layer embeddings, 17·512 numbers
for each image, and not the offsets that they decode to.
"""

from collections.abc import Mapping
from typing import NamedTuple

import flax
import jax
import jax.numpy as jnp

from hyperstyle_jax.inversion.cropping import crop_and_pool
from hyperstyle_jax.models.hypernet import Hypernet
from hyperstyle_jax.net import Net
from hyperstyle_jax.offsets import Inversion, LayerEmbeddings, synthesize, to_w_plus


class Refinement(NamedTuple):
    """The result of `invert` in compact form; `decode` makes an `Inversion` of it.

    Attributes:
        w_plus: [B, L, D].
        embeddings: summed over T iterations.
        images: [T + 1, B, h, w, 3], the reconstruction after each iteration at the
            hypernetwork's size; row 0 is that of the initial inversion.
    """

    w_plus: jax.Array
    embeddings: LayerEmbeddings
    images: jax.Array


class RefinementState(flax.struct.PyTreeNode):
    """What one iteration hands to the next.

    Attributes:
        w_plus: [B, L, D], the same in all iterations.
        embeddings: {path: [B, C] or [B, T, C]}, summed so far.
        image: [B, h, w, 3], the latest reconstruction.
    """

    w_plus: jax.Array
    embeddings: dict[str, jax.Array]
    image: jax.Array


def initial_inversion(
    encoder: Net,
    generator: Net,
    x: jax.Array,
    noise: str | Mapping[str, jax.Array] = "const",
) -> tuple[jax.Array, jax.Array]:
    """Encodes images and renders their latents: w = E(x), y = G(w; θ).

    Args:
        encoder: Net of a WEncoder.
        generator: Net of a Generator.
        x: [B, h, w, 3] in [-1, 1]; its dtype is that of the feature maps.
        noise: as in `Generator.synthesis`.

    Returns:
        w_plus [B, L, D] and the image [B, h, w, 3].
    """
    w_plus = to_w_plus(encoder(x), generator.module.num_ws)
    image = generator(w_plus, noise, method="synthesis", dtype=x.dtype)
    return w_plus, crop_and_pool(image, x.shape[1:3])


def no_embeddings(module: Hypernet, batch: int, num_iters: int) -> dict:
    """The layer embeddings before the first iteration, all zero.

    Args:
        module: the hypernetwork.
        batch: B.
        num_iters: T, the iterations to come; separable layers keep a row for each.

    Returns:
        {path: [B, C]}, of separable layers [B, T, C].
    """
    rows = {"separable": (max(num_iters, 1),)}
    return {
        layer.path: jnp.zeros((batch, *rows.get(layer.kind, ()), module.embedding_dim))
        for layer in module.tuned_layers
    }


def single_iteration(module: Hypernet, embeddings: dict) -> dict:
    """Makes the hypernetwork's answer what `Hypernet.decode` reads for T = 1.

    Args:
        module: the hypernetwork.
        embeddings: {path: [B, C]} of one iteration.

    Returns:
        {path: [B, C]}, of separable layers [B, 1, C].
    """
    kinds = {layer.path: layer.kind for layer in module.tuned_layers}
    return {
        path: embedding[:, None] if kinds[path] == "separable" else embedding
        for path, embedding in embeddings.items()
    }


def add_embeddings(total: dict, new: dict, iteration: int | jax.Array) -> dict:
    """Adds the embeddings of one iteration; separable layers get a row each.

    Args:
        total: {path: [B, C] or [B, T, C]}, of the iterations before.
        new: {path: [B, C]}, of this iteration.
        iteration: its number, from 0.

    Returns:
        Of the shapes of `total`.
    """

    def add(so_far, embedding):
        if so_far.ndim == embedding.ndim:
            return so_far + embedding
        return jax.lax.dynamic_update_index_in_dim(so_far, embedding, iteration, 1)

    return {path: add(total[path], new[path]) for path in total}


def refine(
    hypernet: Net,
    generator: Net,
    x: jax.Array,
    state: RefinementState,
    iteration: int | jax.Array,
    noise: str | Mapping[str, jax.Array] = "const",
) -> RefinementState:
    """Runs one iteration in evaluation mode.

    Args:
        hypernet: Net of a Hypernet.
        generator: Net of a Generator.
        x: targets [B, h, w, 3] in [-1, 1].
        state: after the iterations before.
        iteration: its number, from 0.
        noise: as in `Generator.synthesis`.

    Returns:
        The state with new embeddings and a new image.
    """
    new = hypernet(x, state.image)
    embeddings = add_embeddings(state.embeddings, new, iteration)
    offsets = hypernet(embeddings, iteration + 1, method="decode")
    inversion = Inversion(state.w_plus, offsets)
    image = synthesize(generator, inversion, noise=noise, dtype=x.dtype)
    image = crop_and_pool(image, x.shape[1:3])
    return state.replace(embeddings=embeddings, image=image)


def invert(
    encoder: Net,
    hypernet: Net,
    generator: Net,
    x: jax.Array,
    num_iters: int = 5,
    noise: str | Mapping[str, jax.Array] = "const",
) -> Refinement:
    """Inverts images; a pure function, to be jitted with `num_iters` static.

    Args:
        encoder: Net of a WEncoder.
        hypernet: Net of a Hypernet.
        generator: Net of a Generator.
        x: [B, h, w, 3] in [-1, 1], of the size that the networks were trained with. Its
            dtype, float32 or bfloat16, is that of all feature maps; parameters,
            embeddings and images stay float32.
        num_iters: T, the number of iterations; 0 gives the initial inversion alone.
        noise: as in `Generator.synthesis`.
    """
    w_plus, image = initial_inversion(encoder, generator, x, noise)
    embeddings = no_embeddings(hypernet.module, len(x), num_iters)
    initial = RefinementState(w_plus, embeddings, image)

    def body(state, iteration):
        state = refine(hypernet, generator, x, state, iteration, noise)
        return state, state.image

    final, images = jax.lax.scan(body, initial, jnp.arange(num_iters))
    images = jnp.concatenate([image[None], images])
    return Refinement(w_plus, LayerEmbeddings(final.embeddings, num_iters), images)


compiled = jax.jit(invert, static_argnames="num_iters")


@jax.jit
def decode(hypernet: Net, w_plus: jax.Array, embeddings: LayerEmbeddings) -> Inversion:
    """Decodes layer embeddings to offsets and so completes an inversion.

    Args:
        hypernet: Net of the Hypernet that predicted the embeddings.
        w_plus: [B, L, D].
        embeddings: of T iterations; with T = 0 the generator's own weights stay.
    """
    if embeddings.num_iters == 0:
        return Inversion(w_plus)
    offsets = hypernet(embeddings.values, embeddings.num_iters, method="decode")
    return Inversion(w_plus, offsets, embeddings=embeddings)
