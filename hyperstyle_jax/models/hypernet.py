"""HyperStyle's hypernetwork: two pictures → offsets for the generator's kernels.

https://arxiv.org/abs/2111.15666, section 4. A trunk sees target and reconstruction, a
small stack of convolutions per tuned layer makes a code, a head decodes it. Shared and
channel-wise heads are affine in the code, so that the sum of several passes' offsets
follows from the sum of their codes; separable heads are bilinear.
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from hyperstyle_jax.models.generator import Generator
from hyperstyle_jax.models.resnet import Conv, ResNet

PRESETS = {
    # What the released weights tune: every convolution but toRGB.
    "all_convs": r"synthesis/b\d+/conv[01]/weight",
    # What the paper describes: medium and fine layers, from 16² on.
    "medium_fine": r"synthesis/b(?!4/|8/)\d+/conv[01]/weight",
}
_SLOPE = 0.01


class Head(NamedTuple):
    """One tuned layer: its kernel's path and shape, and what makes its offsets.

    `kind` is "shared" (one decoder for all layers of the widest shape), "channel" (one
    number per channel pair), "rgb" (toRGB) or "separable" (outer products).
    """

    path: str
    in_channels: int
    out_channels: int
    kernel: int
    kind: str

    @property
    def name(self) -> str:
        return "_".join(self.path.split("/")[1:-1])


def heads(
    generator: Generator,
    preset: str = "all_convs",
    *,
    to_rgb: bool = False,
    separable: bool = False,
) -> tuple[Head, ...]:
    """The heads that a generator's layers call for.

    Args:
        generator: gives paths and shapes, any resolution and width.
        preset: a name from `PRESETS`, or a regular expression over paths.
        to_rgb: tune the toRGB layers too.
        separable: bilinear instead of channel-wise heads (the paper's ablation).

    Raises:
        ValueError: the expression matches no layer.
    """
    pattern, found = PRESETS.get(preset, preset), []
    widest = generator.channel_max
    for layer in generator.layers():
        if layer.kernel == 1:
            kind, wanted = "rgb", to_rgb
        else:
            kind = "separable" if separable else "channel"
            square = layer.in_channels == layer.out_channels == widest
            kind = "shared" if square else kind
            wanted = re.fullmatch(pattern, layer.path)
        if wanted:
            found.append(Head(*layer[:4], kind))
    if not found:
        names = ", ".join(layer.path for layer in generator.layers())
        raise ValueError(f"preset {preset!r} matches no layer; there are {names}")
    return tuple(found)


def centralized_axes(path: str, ndim: int) -> tuple[int, ...]:
    """The axes over which the release's Ranger gives a gradient the mean 0.

    The inputs of convolutions and matrices; of the shared head's two matrices, which
    the release stores the other way round, the outputs.

    Args:
        path: of a parameter, as "shared/w1". ndim: its number of axes.
    """
    *_, layer, name = path.split("/")
    if name in ("w1", "w2"):
        return tuple(range(1, ndim))
    if name != "weight" or ndim == 1:
        return ()
    convolution = re.fullmatch(r"conv\d*", layer)
    return tuple(range(ndim - 1)) if convolution else (0,)


class Hypernet(nn.Module):
    """Codes from pictures (`__call__`), offsets from codes (`decode`).

    The defaults are the released network at 256×256 input: ResNet-34 trunk, 512-number
    codes, full 3×3 kernels from the shared head.
    """

    heads: Sequence[Sequence]
    widths: Sequence[int] = (64, 128, 256, 512)
    depths: Sequence[int] = (3, 4, 6, 3)
    code: int = 512
    inner_shared: int = 128
    inner: int = 256
    hidden: int = 512  # between the two matrices of the shared head
    shared_kernel: bool = True  # full kernels, or one number per channel pair
    stem_stride: int = 2
    axis_name: str | None = None

    def setup(self):
        self.table = [Head(*head) for head in self.heads]
        self.trunk = ResNet(
            self.widths, self.depths, prelu=True, pool=False,
            stem_stride=self.stem_stride, axis_name=self.axis_name,
        )  # fmt: skip
        self.coders = {h.name: self._coder(h) for h in self.table}
        self.decoders = {
            h.name: self._decoder(h) for h in self.table if h.kind != "shared"
        }
        shared = [h for h in self.table if h.kind == "shared"]
        if shared:
            kernel = shared[0].kernel if self.shared_kernel else 1
            width = shared[0].in_channels
            self.linears = {h.name: self._linear(h) for h in shared}
            self.shared = SharedDecoder(self.code, self.hidden, width, kernel)

    def _coder(self, head):
        inner = self.inner_shared if head.kind == "shared" else self.inner
        return Coder(inner, self.code, head.kind, name=f"code_{head.name}")

    def _linear(self, head):
        return LinearCode(self.code, name=f"linear_{head.name}")

    def _decoder(self, head):
        kinds = {"channel": ChannelDecoder, "rgb": ChannelDecoder}
        make = kinds.get(head.kind, SeparableDecoder)
        shape = (self.code, head.in_channels, head.out_channels)
        return make(*shape, head.kernel, name=f"decode_{head.name}")

    def __call__(self, x, y_hat, train: bool = False):
        """One pass.

        Args:
            x: target [B, H, W, 3] in [-1, 1]; its dtype is that of the computation.
            y_hat: reconstruction, the same shape.
            train: use and update the statistics of the batch.

        Returns:
            {path: code float32 [B, C]}.
        """
        if x.shape != y_hat.shape:
            raise ValueError(
                f"hypernetwork: target {x.shape} and reconstruction {y_hat.shape} "
                "differ, expected the same shape"
            )
        pair = jnp.concatenate([x, y_hat.astype(x.dtype)], axis=-1)
        features = self.trunk(pair, train)
        codes = {h.path: self.coders[h.name](features) for h in self.table}
        return {path: code.astype(jnp.float32) for path, code in codes.items()}

    def decode(self, codes, num_iters=1):
        """Offsets summed over passes.

        Args:
            codes: {path: [B, C] summed over the passes}; separable layers have
                [B, T, C], pass by pass, zeros and `num_iters` < T for passes to come.
            num_iters: how many passes the sums hold.

        Returns:
            {path: [B, I, O] or [B, K, K, I, O]}.
        """
        offsets = {
            h.path: self.decoders[h.name](codes[h.path], num_iters)
            for h in self.table
            if h.kind != "shared"
        }
        shared = [h for h in self.table if h.kind == "shared"]
        if shared:
            # One product for all layers: the second matrix is large.
            lines = [self.linears[h.name](codes[h.path], num_iters) for h in shared]
            kernels = self.shared(jnp.stack(lines, axis=1), num_iters)
            offsets |= {h.path: kernels[:, i] for i, h in enumerate(shared)}
        return {h.path: offsets[h.path] for h in self.table}

    def initialize(self, x, y_hat):
        """Touches every parameter, for `init`."""
        codes = self(x, y_hat)
        bilinear = {h.path for h in self.table if h.kind == "separable"}
        return self.decode(
            {k: v[:, None] if k in bilinear else v for k, v in codes.items()}
        )


class Coder(nn.Module):
    """Trunk features [B, h, w, F] → code [B, C]."""

    inner: int
    code: int
    kind: str

    @nn.compact
    def __call__(self, x):
        size = max(1, math.ceil(math.log2(max(x.shape[1:3]))))
        if self.kind == "shared":
            strides = [1] + [2] * size
        elif self.kind == "channel":
            strides = [2] * max(2, size - 1)
        else:
            strides = [2] * max(2, size)
        for i, stride in enumerate(strides):
            width = self.code if i == len(strides) - 1 else self.inner
            conv = Conv(width, 3, stride, use_bias=True, name=f"conv{i}")
            x = nn.leaky_relu(conv(x), _SLOPE)
        return x.mean((1, 2))


class LinearCode(nn.Module):
    """EqualLinear whose bias counts once per pass."""

    features: int

    @nn.compact
    def __call__(self, x, num_iters):
        shape = (x.shape[-1], self.features)
        weight = self.param("weight", nn.initializers.normal(1.0), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return x @ (weight * (1 / math.sqrt(shape[0]))) + num_iters * bias


class SharedDecoder(nn.Module):
    """The pair of matrices that all layers of the widest shape share.

    Offsets start near zero: the second matrix of the pair is small.
    """

    code: int
    hidden: int
    width: int
    kernel: int

    @nn.compact
    def __call__(self, codes, num_iters):
        """[B, N, C] → [B, N, K, K, I, O], or [B, N, I, O] for kernel 1."""
        k, s, z = self.kernel, self.width, self.hidden
        normal = nn.initializers.normal(1 / 40)
        w2 = self.param("w2", normal, (self.code, s, z))
        b2 = self.param("b2", normal, (s, z))
        w1 = self.param("w1", nn.initializers.normal(1e-3), (z, k, k, s))
        b1 = self.param("b1", nn.initializers.zeros, (k, k, s))
        hidden = _product(self, codes, "w2", w2) + num_iters * b2
        out = jnp.einsum("bnoz,zkli->bnklio", hidden, w1)
        out = out + num_iters * b1[..., None]
        return out[:, :, 0, 0] if k == 1 else out


class ChannelDecoder(nn.Module):
    """One number per channel pair, affine in the code. Starts near zero."""

    code: int
    in_channels: int
    out_channels: int
    kernel: int

    @nn.compact
    def __call__(self, code, num_iters):
        """[B, C] → [B, I, O]."""
        shape = (self.code, self.in_channels, self.out_channels)
        weight = self.param("weight", nn.initializers.normal(1e-3), shape)
        bias = self.param("bias", nn.initializers.zeros, shape[1:])
        return _product(self, code, "weight", weight) + num_iters * bias


def _product(module, x, name, weight):
    """`product`, from whose two sides training makes the gradient of `weight`.

    The collection "rows" gets x, and "taps", added to the result, gets its gradient:
    Σ xᵀ·δ over all passes is then one product (`training/factors.py`).
    """
    module.sow("rows", name, x, reduce_fn=lambda _, new: new, init_fn=lambda: None)
    return module.perturb(name, product(x, weight), "taps")


# The large matrices. The gradient comes in the order of the weight: JAX's own is
# transposed afterwards, which takes as much memory again.
@jax.custom_vjp
def product(x, weight):
    """x [..., C] times weight [C, ...]: [..., ...]."""
    return jnp.tensordot(x, weight, 1)


def _product_bwd(residuals, g):
    x, weight = residuals
    rows = g.reshape(math.prod(x.shape[:-1]), -1)
    matrix = weight.reshape(len(weight), -1)
    dx = jax.lax.dot_general(rows, matrix, (((1,), (1,)), ((), ())))
    return dx.reshape(x.shape), product_gradient(x, g)


def product_gradient(x, g):
    """Of `product` by its weight: Σ xᵀ·g over all leading axes, [C, ...]."""
    flat = x.reshape(-1, x.shape[-1])
    rows = g.reshape(len(flat), -1)
    dweight = jax.lax.dot_general(flat, rows, (((0,), (0,)), ((), ())))
    return dweight.reshape(-1, *g.shape[x.ndim - 1 :])


product.defvjp(lambda x, weight: (product(x, weight), (x, weight)), _product_bwd)


class SeparableDecoder(nn.Module):
    """Outer product of two vectors per tap, then a matrix on each side."""

    code: int
    in_channels: int
    out_channels: int
    kernel: int

    @nn.compact
    def __call__(self, codes, num_iters):
        """[B, T, C] of single passes → their sum [B, K, K, I, O]."""
        k, i, o = self.kernel, self.in_channels, self.out_channels
        left = _Affine((k, k, i), 0.02, name="left")(codes)
        right = _Affine((k, k, o), 0.02, name="right")(codes)
        done = (jnp.arange(codes.shape[1]) < num_iters).astype(codes.dtype)
        outer = jnp.einsum("t,btkli,btklo->bklio", done, left, right)
        # The same matrices for every tap and pass; linear, so applied to the sum.
        w, b = _Affine((i,), 0.1, name="mix_in").matrix(i)
        outer = jnp.einsum("bklio,ij->bkljo", outer, w)
        outer = outer + num_iters * b[:, None]
        w, b = _Affine((o,), 0.1, name="mix_out").matrix(o)
        return outer @ w + num_iters * b


class _Affine(nn.Module):
    """[…, C] → […, *shape]."""

    shape: Sequence[int]
    scale: float

    @nn.compact
    def matrix(self, fan_in: int) -> tuple[jax.Array, jax.Array]:
        init = nn.initializers.normal(self.scale)
        weight = self.param("weight", init, (fan_in, *self.shape))
        return weight, self.param("bias", nn.initializers.zeros, tuple(self.shape))

    def __call__(self, x):
        weight, bias = self.matrix(x.shape[-1])
        return jnp.tensordot(x, weight, 1) + bias
