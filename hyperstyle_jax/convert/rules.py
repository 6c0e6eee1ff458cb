"""Rows of the tables from official parameter names to ours: one function per layer.

Paths start with the collection: params, buffers or batch_stats.
"""

import numpy as np

from hyperstyle_jax.convert.layouts import Constant, Rule

CONV = "o i h w -> h w i o"
LINEAR = "o i -> i o"
# The filter [1, 3, 3, 1] of StyleGAN2's up- and down-sampling.
FIR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64
_TRACKED = np.zeros((), np.int64)


def linear(name: str, path: str) -> list[Rule]:
    """A linear layer with its bias."""
    return [
        Rule(f"{name}.weight", f"params/{path}/weight", LINEAR),
        Rule(f"{name}.bias", f"params/{path}/bias"),
    ]


def linear_over_map(
    name: str, path: str, size: int, order: str = "c h w"
) -> list[Rule]:
    """A linear layer over all positions of a map [size, size, C].

    Args:
        name: of the layer.
        path: of the layer.
        size: sides of the map.
        order: of the map's axes in the official tensor.
    """
    layout, sizes = f"e ({order}) -> (h w c) e", {"h": size, "w": size}
    return [
        Rule(f"{name}.weight", f"params/{path}/weight", layout, sizes),
        Rule(f"{name}.bias", f"params/{path}/bias"),
    ]


def conv(name: str, path: str, bias: bool = True) -> list[Rule]:
    """A convolution."""
    rows = [Rule(f"{name}.weight", f"params/{path}/weight", CONV)]
    return rows + [Rule(f"{name}.bias", f"params/{path}/bias")] * bias


def norm(name: str, path: str, affine: bool = True) -> list[Rule | Constant]:
    """A batch normalization with its running statistics."""
    rows: list[Rule | Constant] = []
    if affine:
        rows = [Rule(f"{name}.{k}", f"params/{path}/{k}") for k in ("weight", "bias")]
    return rows + [
        Rule(f"{name}.running_mean", f"batch_stats/{path}/mean"),
        Rule(f"{name}.running_var", f"batch_stats/{path}/var"),
        Constant(f"{name}.num_batches_tracked", _TRACKED),
    ]


def conv_norm(conv_name: str, norm_name: str, path: str) -> list[Rule | Constant]:
    """A convolution without bias and the normalization behind it, as in shortcuts."""
    rows = conv(conv_name, f"{path}/conv", bias=False)
    return rows + norm(norm_name, f"{path}/norm")
