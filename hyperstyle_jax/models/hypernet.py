"""HyperStyle's hypernetwork: from two images to offsets of the generator's kernels.

https://arxiv.org/abs/2111.15666, section 4. A trunk sees the target and the
reconstruction. For each tuned layer a few convolutions make an embedding of the trunk's
features, and a decoder (`offset_decoders.py`) turns the embedding into offsets.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.offset_decoders import (
    ChannelDecoder,
    Embedder,
    LinearEmbedding,
    SeparableDecoder,
    SharedDecoder,
)
from hyperstyle_jax.models.resnet import ResNet

PRESETS = {
    # What the released weights tune: every convolution but toRGB.
    "all_convs": r"synthesis/b\d+/conv[01]/weight",
    # What the paper describes: medium and fine layers, from 16² on.
    "medium_fine": r"synthesis/b(?!4/|8/)\d+/conv[01]/weight",
}


class TunedLayer(NamedTuple):
    """A layer of the generator whose kernel gets offsets.

    Attributes:
        path: of its kernel [K, K, I, O], as `synthesis/b64/conv0/weight`.
        in_channels: I.
        out_channels: O.
        kernel: K.
        kind: the decoder of its offsets, "shared" (one for all layers of the widest
            shape), "channel" (one number for each channel pair), "rgb" (the same, for
            toRGB) or "separable" (outer products).
    """

    path: str
    in_channels: int
    out_channels: int
    kernel: int
    kind: str

    @property
    def name(self) -> str:
        """The part of submodules' names that stands for this layer: "b64_conv0"."""
        return "_".join(self.path.split("/")[1:-1])


def tuned_layers(
    generator: Generator,
    preset: str = "all_convs",
    *,
    to_rgb: bool = False,
    separable: bool = False,
) -> tuple[TunedLayer, ...]:
    """The layers of a generator that a hypernetwork tunes.

    Args:
        generator: of any resolution and width; it gives paths and shapes.
        preset: a name from `PRESETS`, or a regular expression for paths.
        to_rgb: tune the toRGB layers too.
        separable: bilinear instead of channel-wise decoders (the paper's ablation).

    Raises:
        ValueError: the expression matches no layer.
    """
    pattern, tuned = PRESETS.get(preset, preset), []
    widest = generator.channel_max
    for layer in generator.layers():
        if layer.kernel == 1:
            kind, is_tuned = "rgb", to_rgb
        else:
            kind = "separable" if separable else "channel"
            square = layer.in_channels == layer.out_channels == widest
            kind = "shared" if square else kind
            is_tuned = re.fullmatch(pattern, layer.path)
        if is_tuned:
            tuned.append(TunedLayer(*layer[:4], kind))
    if not tuned:
        names = ", ".join(layer.path for layer in generator.layers())
        raise ValueError(f"preset {preset!r} matches no layer; there are {names}")
    return tuple(tuned)


def centralized_axes(path: str, ndim: int) -> tuple[int, ...]:
    """The axes over which the release's Ranger subtracts the mean of a gradient.

    These are the inputs of convolutions and linear layers. For the two matrices of the
    shared decoder, which the release stores transposed, they are the outputs.

    Args:
        path: of a parameter of the hypernetwork, as `shared/w1`.
        ndim: its number of axes.

    Returns:
        The axes; none for biases and the like.
    """
    *_, layer, name = path.split("/")
    if name in ("w1", "w2"):
        return tuple(range(1, ndim))
    if name != "weight" or ndim == 1:
        return ()
    convolution = re.fullmatch(r"conv\d*", layer)
    return tuple(range(ndim - 1)) if convolution else (0,)


class Hypernet(nn.Module):
    """Layer embeddings from two images (`__call__`), offsets from them (`decode`).

    The defaults are the released network for images of 256×256: a ResNet-34 as trunk,
    embeddings of 512 numbers, full 3×3 kernels from the shared decoder.

    Attributes:
        layers: what the function `tuned_layers` returns, or lists with the same values.
        widths, depths, stem_stride: of the trunk, see `ResNet`.
        embedding_dim: C, the length of a layer's embedding.
        inner_shared, inner: channels of the embedders' convolutions, for layers of the
            shared decoder and for all others.
        hidden: channels between the two matrices of the shared decoder.
        shared_kernel: the shared decoder gives full kernels, else one number for each
            channel pair.
        axis_name: of the devices that share a batch, for `BatchNorm`.
    """

    layers: Sequence[Sequence]
    widths: Sequence[int] = (64, 128, 256, 512)
    depths: Sequence[int] = (3, 4, 6, 3)
    embedding_dim: int = 512
    inner_shared: int = 128
    inner: int = 256
    hidden: int = 512
    shared_kernel: bool = True
    stem_stride: int = 2
    axis_name: str | None = None

    @property
    def tuned_layers(self) -> tuple[TunedLayer, ...]:
        """The layers of the generator that get offsets."""
        return tuple(TunedLayer(*layer) for layer in self.layers)

    def setup(self):
        """Builds the trunk, and an embedder and a decoder for each tuned layer."""
        self.trunk = ResNet(
            self.widths, self.depths, prelu=True, pool=False,
            stem_stride=self.stem_stride, axis_name=self.axis_name,
        )  # fmt: skip
        layers = self.tuned_layers
        shared = [layer for layer in layers if layer.kind == "shared"]
        unshared = [layer for layer in layers if layer.kind != "shared"]
        self.embedders = {layer.name: self._embedder(layer) for layer in layers}
        self.decoders = {layer.name: self._decoder(layer) for layer in unshared}
        if shared:
            kernel = shared[0].kernel if self.shared_kernel else 1
            width = shared[0].in_channels
            self.linears = {s.name: self._linear(s) for s in shared}
            self.shared = SharedDecoder(self.embedding_dim, self.hidden, width, kernel)

    def _embedder(self, layer):
        inner = self.inner_shared if layer.kind == "shared" else self.inner
        name = f"embed_{layer.name}"
        return Embedder(inner, self.embedding_dim, layer.kind, name=name)

    def _linear(self, layer):
        return LinearEmbedding(self.embedding_dim, name=f"linear_{layer.name}")

    def _decoder(self, layer):
        decoders = {"channel": ChannelDecoder, "rgb": ChannelDecoder}
        make = decoders.get(layer.kind, SeparableDecoder)
        shape = (self.embedding_dim, layer.in_channels, layer.out_channels)
        return make(*shape, layer.kernel, name=f"decode_{layer.name}")

    def __call__(self, x, y_hat, train: bool = False) -> dict[str, jax.Array]:
        """The layer embeddings of one iteration.

        Args:
            x: target [B, H, W, 3] in [-1, 1]; its dtype is that of the feature maps.
            y_hat: reconstruction, of the same shape.
            train: use and update the statistics of the batch.

        Returns:
            {path: embedding float32 [B, C]}.

        Raises:
            ValueError: the images are of different shapes.
        """
        if x.shape != y_hat.shape:
            raise ValueError(
                f"hypernetwork: target {x.shape} and reconstruction {y_hat.shape} "
                "differ, expected the same shape"
            )
        pair = jnp.concatenate([x, y_hat.astype(x.dtype)], axis=-1)
        features = self.trunk(pair, train)
        return {
            layer.path: self.embedders[layer.name](features).astype(jnp.float32)
            for layer in self.tuned_layers
        }

    def decode(self, embeddings, num_iters=1) -> dict[str, jax.Array]:
        """The sum Δ of the offsets of several iterations.

        Args:
            embeddings: {path: [B, C]}, summed over the iterations; separable layers
                have [B, T, C], a row for each iteration, with zeros in the rows from
                `num_iters` on.
            num_iters: how many iterations the sums hold.

        Returns:
            {path: [B, I, O] or [B, K, K, I, O]}.
        """
        layers, offsets = self.tuned_layers, {}
        shared = [layer for layer in layers if layer.kind == "shared"]
        for layer in layers:
            if layer.kind != "shared":
                decoder = self.decoders[layer.name]
                offsets[layer.path] = decoder(embeddings[layer.path], num_iters)
        if shared:
            # One product for all layers: the second matrix is large.
            rows = [self.linears[s.name](embeddings[s.path], num_iters) for s in shared]
            kernels = self.shared(jnp.stack(rows, axis=1), num_iters)
            offsets |= {s.path: kernels[:, i] for i, s in enumerate(shared)}
        return {layer.path: offsets[layer.path] for layer in layers}

    def initialize(self, x, y_hat):
        """Uses every parameter, so that `init` makes them all."""
        embeddings = self(x, y_hat)
        for layer in self.tuned_layers:
            if layer.kind == "separable":
                embeddings[layer.path] = embeddings[layer.path][:, None]
        return self.decode(embeddings)
