"""Reads safetensors files: https://huggingface.co/docs/safetensors."""

import os

import ml_dtypes
import numpy as np
import safetensors

np.dtype(ml_dtypes.bfloat16)  # once imported, NumPy knows the type by its name


def read(file: str | os.PathLike) -> dict[str, np.ndarray]:
    """All arrays of a file by name, in their own types.

    Raises:
        ValueError: not such a file, damaged, or with numbers of an unknown type.
    """
    try:
        with safetensors.safe_open(file, "np") as f:
            return {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(_refusal(file, error)) from None
    except (TypeError, AttributeError) as error:
        raise ValueError(
            f"{file} is not a safetensors file of numbers that NumPy has: {error}"
        ) from None


def shapes(file: str | os.PathLike) -> dict[str, list[int]]:
    """Names and shapes of a file's arrays, without reading their numbers.

    Raises:
        ValueError: not such a file, or damaged.
    """
    try:
        with safetensors.safe_open(file, "np") as f:
            return {k: f.get_slice(k).get_shape() for k in f.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(_refusal(file, error)) from None


def _refusal(file, error) -> str:
    return (
        f"{file} is not a safetensors file, or is damaged or cut off (an unfinished "
        f"download?): {error}"
    )
