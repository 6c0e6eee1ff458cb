"""Divides batches over devices and hosts; the one module that knows `jax.pmap`.

State and frozen networks are the same on every device and keep their ordinary shapes;
only the batch has a leading device axis. A step sees one device's part of the batch and
averages over the axis `AXIS` itself. Each of several processes has the devices of its
host and its part of every batch; all run the same steps, and one of them writes.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "devices"


def join(coordinator: str, num_processes: int, process_id: int) -> None:
    """Makes this process one of several that train together.

    It has to be called before anything else of jax. Without a coordinator, jax asks the
    cluster (TPU pods, SLURM, Open MPI, Kubernetes).

    Args:
        coordinator: HOST:PORT of process 0, or "".
        num_processes: the number of processes on all hosts, or 0.
        process_id: the number of this process, or -1.

    Raises:
        ValueError: there is no such cluster, or it cannot be reached.
    """
    options: dict[str, Any] = {}
    if coordinator:
        options = {
            "coordinator_address": coordinator,
            "num_processes": num_processes,
            "process_id": process_id,
        }
    try:
        jax.distributed.initialize(**options)
    except (ValueError, RuntimeError) as error:
        where = f"at {coordinator}" if coordinator else "in this environment"
        raise ValueError(
            f"cannot join other processes {where}: {str(error).splitlines()[0]}; give "
            "all of --coordinator HOST:PORT --num_processes N --process_id I"
        ) from error


def shard() -> tuple[int, int]:
    """(number of this process, number of processes)."""
    return jax.process_index(), jax.process_count()


def is_writer() -> bool:
    """Whether this process is the one that writes files and the console."""
    return jax.process_index() == 0


def wait_for_all(name: str) -> None:
    """Returns when every process has reached this point, called `name`."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def stop_due(step: int, asked: bool) -> bool:
    """Whether to stop after this step; the same answer in all processes.

    Args:
        asked: whether this process was asked to stop, which decides if it is the only
            one. Of several processes JAX catches SIGTERM and lets all stop at the next
            step that none has passed, without waiting for devices.
    """
    if jax.process_count() == 1:
        return asked
    return multihost_utils.reached_preemption_sync_point(step)


def everyones(value: np.ndarray) -> np.ndarray:
    """Stacks values [B] of each process to [B, processes]; every process calls this."""
    if jax.process_count() == 1:
        return value[:, None]
    return multihost_utils.process_allgather(value).T


def leave(code: int) -> None:
    """Ends this process after an error.

    Other processes may be waiting for it in the middle of a step, and only notice that
    it is gone. A regular exit would wait for them, so this one does not take place.
    """
    if jax.process_count() > 1:
        os._exit(code)
    sys.exit(code)


def devices(num_devices: int, batch_size: int) -> list[jax.Device]:
    """The first `num_devices` devices (0: all), checked against the batch.

    Of several processes all devices are used, in the order of the processes.

    Raises:
        ValueError: fewer devices than asked, or a batch that they cannot share evenly.
    """
    available = sorted(jax.devices(), key=lambda d: (d.process_index, d.id))
    if jax.process_count() > 1 and num_devices not in (0, len(available)):
        raise ValueError(
            f"config.num_devices is {num_devices}, but {jax.process_count()} processes "
            f"have {len(available)} devices together; set it to 0"
        )
    if num_devices > len(available):
        raise ValueError(
            f"config.num_devices is {num_devices}, but there are {len(available)} "
            f"({available[0].platform}) here; ask for at most {len(available)}, or 0 "
            "for all"
        )
    chosen = available[: num_devices or len(available)]
    if batch_size % len(chosen):
        raise ValueError(
            f"config.batch_size is {batch_size}, which {len(chosen)} devices cannot "
            f"share evenly; use a multiple of {len(chosen)} or another num_devices"
        )
    return chosen


def local(devices: Sequence[jax.Device]) -> list[jax.Device]:
    """The devices of this process."""
    return [d for d in devices if d.process_index == jax.process_index()]


def replicated(devices: Sequence[jax.Device]) -> NamedSharding:
    """The sharding of state and frozen networks: whole on every device of this host."""
    return _whole(local(devices))


def shared(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """The state as one array of all processes, as it is saved; nothing is copied."""
    if jax.process_count() == 1:
        return tree
    sharding = _whole(devices)

    def join(x):
        pieces = [shard.data for shard in x.addressable_shards]
        return jax.make_array_from_single_device_arrays(x.shape, sharding, pieces)

    return jax.tree.map(join, tree)


def abstract(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """The shapes and dtypes of `tree`, with replicated shardings."""
    sharding = replicated(devices)
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
    )


def part(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The part of this process of a whole batch [B, …]."""
    process, count = shard()
    size = len(next(iter(batch.values()))) // count
    return {k: v[process * size : (process + 1) * size] for k, v in batch.items()}


def gathered(tree: Any) -> Any:
    """The results of `eval_step` of all processes, as NumPy arrays in each of them."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def split(batch: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """Reshapes every array of a batch from [B, …] to [count, B / count, …]."""
    return {
        k: v.reshape(count, v.shape[0] // count, *v.shape[1:]) for k, v in batch.items()
    }


def train_step(
    step: Callable, devices: Sequence[jax.Device], seed: int
) -> Callable[..., tuple[Any, dict[str, jax.Array]]]:
    """Compiles `(state, frozen, split batch, step number) → (state, metrics)`.

    The state is donated. The key of a step is `fold_in(key(seed), step number)`, the
    same on every device.
    """

    def run(state, frozen, batch, number):
        return step(state, frozen, batch, _key(seed, number))

    return jax.pmap(
        run,
        AXIS,
        in_axes=(None, None, 0, None),
        out_axes=(None, None),
        devices=devices,
        donate_argnums=0,
    )


def eval_step(step: Callable, devices: Sequence[jax.Device], seed: int) -> Callable:
    """Compiles `(state, frozen, split batch, batch number) → results`.

    Every result keeps the batch's leading axes `[count, B / count, …]`.
    """

    def run(state, frozen, batch, number):
        return step(state, frozen, batch, _key(seed + 1, number))

    return jax.pmap(run, AXIS, devices=devices, in_axes=(None, None, 0, None))


def example_keys(key: jax.Array, count: int) -> jax.Array:
    """One key for each of this device's `count` examples, by place in the whole batch.

    With these keys a batch draws the same numbers however many devices share it. This
    is called inside a step. Processes take turns in the batch, as in
    `pipeline.batches`.
    """
    return jax.vmap(jax.random.fold_in, (None, 0))(key, _places(count))


def on_whole_batch(function: Callable[[jax.Array], jax.Array], x: jax.Array):
    """Each device's part of `function` of the whole batch [B, …].

    This is called inside a step, for functions in which examples depend on each other.

    Args:
        function: from and to the examples of the whole batch.
        x: [B / devices, …], the examples of this device.
    """
    return function(whole_batch(x))[_places(len(x))]


def whole_batch(x: jax.Array) -> jax.Array:
    """The examples of all devices [B, …], of those of each [B / devices, …].

    This is called inside a step.
    """
    parts = jax.lax.all_gather(x, AXIS, tiled=True)
    parts = parts.reshape(jax.process_count(), -1, *x.shape[1:])
    return parts.swapaxes(0, 1).reshape(-1, *x.shape[1:])


def _places(count: int) -> jax.Array:
    """The places [count] of this device's examples in the whole batch."""
    processes = jax.process_count()
    each = jax.lax.axis_size(AXIS) // processes
    process, device = jax.numpy.divmod(jax.lax.axis_index(AXIS), each)
    return (device * count + jax.numpy.arange(count)) * processes + process


def _whole(devices: Sequence[jax.Device]) -> NamedSharding:
    return NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec())


def _key(seed: int, number: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), number)
