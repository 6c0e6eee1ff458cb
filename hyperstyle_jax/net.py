"""A network as one value: a linen module together with its variables."""

from typing import Any

import flax
from flax import linen as nn


@flax.struct.dataclass
class Net:
    """A pytree of `variables` with a static `module`; calling it applies the module.

    `variables` holds the collection `params` and, where the module has them,
    `buffers` (constants that are not trained) and `batch_stats`.
    """

    module: nn.Module = flax.struct.field(pytree_node=False)
    variables: dict[str, Any]

    def __call__(self, *args, **kwargs):
        """Same arguments as `module.apply` after the variables."""
        return self.module.apply(self.variables, *args, **kwargs)

    @property
    def params(self) -> dict[str, Any]:
        return self.variables["params"]

    def with_params(self, params: dict[str, Any]) -> "Net":
        return self.replace(variables={**self.variables, "params": params})
