"""The batch over several devices: the one place that knows `jax.pmap`.

State and frozen networks are the same on every device and keep their ordinary shapes;
only the batch has a leading device axis. A step sees one device's part of the batch and
averages over the axis `AXIS` itself.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "devices"


def devices(num_devices: int, batch_size: int) -> list[jax.Device]:
    """The first `num_devices` devices (0: all), checked against the batch.

    Raises:
        ValueError: fewer devices than asked, or a batch that they cannot share evenly.
    """
    found = jax.local_devices()
    if num_devices > len(found):
        raise ValueError(
            f"config.num_devices is {num_devices}, but there are {len(found)} "
            f"({found[0].platform}) here; ask for at most {len(found)}, or 0 for all"
        )
    chosen = found[: num_devices or len(found)]
    if batch_size % len(chosen):
        raise ValueError(
            f"config.batch_size is {batch_size}, which {len(chosen)} devices cannot "
            f"share evenly; use a multiple of {len(chosen)} or another num_devices"
        )
    return chosen


def replicated(devices: Sequence[jax.Device]) -> NamedSharding:
    """The sharding of state and frozen networks: whole on every device."""
    return NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec())


def abstract(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """Shapes, dtypes and replicated shardings of `tree`."""
    place = replicated(devices)
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), tree
    )


def split(batch: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """`[B, …]` → `[count, B / count, …]` for every array."""
    return {
        k: v.reshape(count, v.shape[0] // count, *v.shape[1:]) for k, v in batch.items()
    }


def train_step(
    step: Callable, devices: Sequence[jax.Device], seed: int
) -> Callable[..., tuple[Any, dict[str, jax.Array]]]:
    """`(state, frozen, split batch, step number) → (state, metrics)`, compiled.

    The state is donated. The key of a step is `fold_in(key(seed), step number)`, the
    same on every device.
    """

    def run(state, frozen, batch, number):
        return step(state, frozen, batch, _key(seed, number))

    axes = dict(in_axes=(None, None, 0, None), out_axes=(None, None))
    return jax.pmap(run, AXIS, devices=devices, donate_argnums=0, **axes)


def eval_step(step: Callable, devices: Sequence[jax.Device], seed: int) -> Callable:
    """`(state, frozen, split batch, batch number) → results`, compiled.

    Every result keeps the batch's leading axes `[count, B / count, …]`.
    """

    def run(state, frozen, batch, number):
        return step(state, frozen, batch, _key(seed + 1, number))

    return jax.pmap(run, AXIS, devices=devices, in_axes=(None, None, 0, None))


def example_keys(key: jax.Array, count: int) -> jax.Array:
    """One key for each of this device's `count` examples, by place in the whole batch.

    So that the same batch draws the same numbers however many devices share it. To be
    called inside a step.
    """
    first = jax.lax.axis_index(AXIS) * count
    indices = first + jax.numpy.arange(count)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, indices)


def memory(step: Callable, *args: Any) -> int:
    """Bytes that one device needs for a compiled step; nothing is run.

    Args:
        step: from `train_step`.
        args: its arguments, arrays or shapes.
    """
    found = step.lower(*args).compile().memory_analysis()
    return (
        found.argument_size_in_bytes
        + found.output_size_in_bytes
        - found.alias_size_in_bytes
        + found.temp_size_in_bytes
        + found.generated_code_size_in_bytes
    )


def memory_in_use(devices: Sequence[jax.Device]) -> int:
    """Most bytes so far of the fullest device; on a CPU those of this process."""
    found = [device.memory_stats() or {} for device in devices]
    peak = max(stats.get("peak_bytes_in_use", 0) for stats in found)
    return peak or _peak_of_process()


def _peak_of_process() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _key(seed: int, number: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), number)
