"""A network as one value: a linen module together with its variables."""

from typing import Any

import flax


class Net(flax.struct.PyTreeNode):
    """A network; calling it applies the module to the variables.

    As a pytree its leaves are the variables; the module is static.

    Attributes:
        module: describes the network.
        variables: the collection `params` and, where the module has them, `buffers`
            (constants that are not trained) and `batch_stats`.
    """

    # A linen module; its type is open, as each kind has methods of its own.
    module: Any = flax.struct.field(pytree_node=False)
    variables: dict[str, Any]

    def __call__(self, *args, **kwargs):
        """Calls `module.apply` with the variables and these arguments."""
        return self.module.apply(self.variables, *args, **kwargs)

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as a nested dict."""
        return self.variables["params"]

    def with_params(self, params: dict[str, Any]) -> "Net":
        """The same network with other parameters, a nested dict of the same shapes."""
        return self.replace(variables={**self.variables, "params": params})
