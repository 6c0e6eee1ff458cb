"""Measures the memory of a training step, before it runs and while it does."""

import sys
from collections.abc import Sequence
from typing import Any

import jax


def needed_bytes(step: Any, *args: Any) -> int:
    """The bytes that one device needs for a compiled step, which is not run.

    Args:
        step: from `parallel.train_step`.
        args: its arguments, arrays or shapes.
    """
    analysis = step.lower(*args).compile().memory_analysis()
    return (
        analysis.argument_size_in_bytes
        + analysis.output_size_in_bytes
        - analysis.alias_size_in_bytes
        + analysis.temp_size_in_bytes
        + analysis.generated_code_size_in_bytes
    )


def peak_bytes(devices: Sequence[jax.Device]) -> int:
    """The peak so far of the fullest device; on a CPU that of this process."""
    stats = [device.memory_stats() or {} for device in devices]
    peak = max(s.get("peak_bytes_in_use", 0) for s in stats)
    return peak or _peak_of_process()


def _peak_of_process() -> int:
    """The most bytes that this process has had in memory."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
