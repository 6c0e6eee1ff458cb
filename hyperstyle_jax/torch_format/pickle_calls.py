"""Our replacements of the functions that pickles of weights call.

PyTorch, NumPy and NVIDIA's networks call a few functions to rebuild tensors, arrays and
containers. For a name in the table below our function is run, never the file's.
"""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from hyperstyle_jax.torch_format import objects
from hyperstyle_jax.torch_format.objects import Object
from hyperstyle_jax.torch_format.pickle_values import (
    STORAGES,
    Array,
    DType,
    Fields,
    Global,
    Module,
    Storage,
    Tensor,
    checked,
    checked_bytes,
    checked_shape,
)

_MAX_KEY = 16  # entries of a tuple that is a key


def call(function: Any, arguments: tuple) -> Any:
    """The result of a call; an object of an unknown class is described.

    Raises:
        ValueError: not a name, or arguments that do not fit.
    """
    if not isinstance(function, Global):
        raise ValueError(f"a call of {str(function)!r:.60}")
    if function in _CALLS:
        return _CALLS[function](*arguments)
    return Object(str(function), arguments)


def allowed_global(module: str, name: str) -> Global:
    """The name of a class or function that a pickle may refer to.

    Raises:
        ValueError: no file of weights needs it, or it is of a format not read here.
    """
    if module.startswith("dnnlib.tflib"):
        raise ValueError(
            "a TensorFlow network; NVIDIA's legacy.py makes a PyTorch .pkl of it"
        )
    if module.startswith("joblib."):
        raise ValueError("a joblib file: load it with joblib, save it with numpy.save")
    if objects.is_refused(module, name):
        raise ValueError(
            f"it asks for {f'{module}.{name}'!r:.80}, which no file of weights needs: "
            "do not trust it"
        )
    return Global(module, name)


def key(value: Any) -> Any:
    """Makes a key of a dict plain: names, objects and tuples become text.

    Nested keys are refused: they could be made to hash slowly, or too deeply.
    """
    if value is None or isinstance(value, (str, int, float, bytes)):
        return value
    if isinstance(value, Global):
        return str(value)
    if isinstance(value, Object) and len(value.arguments) <= _MAX_KEY:
        return f"{value.class_name}({_joined(value.arguments)})"
    if isinstance(value, tuple) and len(value) <= _MAX_KEY:
        return f"({_joined(value)})"
    raise ValueError(f"a {type(value).__name__} in an unexpected place")


def _joined(values: tuple) -> str:
    plain = (str, int, float, bytes, type(None))
    return ", ".join(f"{checked(value, plain)!r:.80}" for value in values)


def _dict(items=()):
    if isinstance(items, dict):
        return dict(items)
    return {key(k): value for k, value in checked(items, (list, tuple))}


def _fields(*_, **fields):
    return Fields()


def _tensor(storage, offset, shape, strides, *_):
    shape, strides = checked_shape(shape), tuple(checked(strides, (tuple, list)))
    if len(shape) != len(strides):
        raise ValueError(f"the shape {shape} with the strides {strides!r:.60}")
    if not all(isinstance(s, int) and 0 <= s < 2**48 for s in (offset, *strides)):
        raise ValueError(f"the offset {offset!r:.20} and strides {strides!r:.60}")
    return Tensor(checked(storage, Storage), offset, shape, strides)


def _untyped_tensor(storage, offset, shape, strides, _grad, _hooks, dtype, *_):
    """A tensor of a newer type, which is a view of bytes without a storage class."""
    kind = _NEWER_TYPES.get(getattr(dtype, "name", None))
    data = checked(storage, Storage).data
    if kind is None or data is None:
        raise ValueError(f"a tensor of type {str(dtype)!r:.40}")
    data = data.view(np.uint8)
    numbers = data[: data.size // kind.itemsize * kind.itemsize].view(kind)
    return _tensor(Storage(kind, numbers.size, numbers), offset, shape, strides)


def _of_type(function, _type, arguments, *_):
    """Makes a tensor that has attributes or is of a subclass."""
    return call(function, checked(arguments, tuple))


def _persistent_object(meta):
    """One of NVIDIA's networks, without the source code that it carries along."""
    meta = checked(meta, dict)
    name = meta.get("class_name")
    return Module(checked(name, str), meta.get("state"))


def _dtype(code, *_):
    return DType(code if isinstance(code, str) else str(code))


def _scalar(dtype, raw):
    """A number or text of NumPy's; other types, as dates, are described."""
    kind = checked(dtype, DType).numpy()
    if kind is None:
        return f"a scalar of type {dtype.code!r:.20}"
    if kind.kind == "c":
        return str(np.frombuffer(checked_bytes(raw), kind)[0])
    return np.frombuffer(checked_bytes(raw), kind)[0].item()


def _from_buffer(buffer, dtype, shape, order, *_):
    """Rebuilds an array of NumPy's from a pickle of protocol 5."""
    array = Array()
    array.state = (1, shape, checked(dtype, DType), order == "F", buffer)
    return array


def _reconstruct(kind, base, state=None):
    """Makes an object as copyreg does: of a class, with the content of its base."""
    described = Object(str(checked(kind, Global)))
    if isinstance(state, dict):
        described.pairs.update({key(k): v for k, v in state.items()})
    elif isinstance(state, (list, tuple)):
        described.items.extend(state)
    elif state is not None:
        described.arguments = (state,)
    return described


def _attribute(owner, name):
    """A member of a class, as enumerations are pickled; nothing is looked up."""
    return Global(str(checked(owner, Global)), checked(name, str))


def _encode(text, encoding="latin1"):
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"the encoding {encoding!r:.20}")
    return checked(text, str).encode("latin1")


def _list(items=(), *_):
    return list(checked(items, (list, tuple)))


_NEWER_TYPES = {
    "uint16": np.dtype(np.uint16),
    "uint32": np.dtype(np.uint32),
    "uint64": np.dtype(np.uint64),
    "float8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
    "float8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
}
# Its argument is a file of PyTorch in the legacy format, with one storage.
LOAD_STORAGE = Global("torch.storage", "_load_from_bytes")
_CALLS: dict[Global, Callable[..., Any]] = {
    Global("collections", "OrderedDict"): _dict,
    Global("collections", "Counter"): _dict,
    Global("collections", "defaultdict"): lambda _factory=None, items=(): _dict(items),
    Global("collections", "deque"): _list,
    Global("dnnlib.util", "EasyDict"): _dict,
    Global("easydict", "EasyDict"): _dict,
    Global("argparse", "Namespace"): _fields,
    Global("types", "SimpleNamespace"): _fields,
    Global("torch", "Size"): lambda sizes=(): checked_shape(sizes),
    Global("torch", "device"): lambda kind, *index: ":".join(map(str, (kind, *index))),
    Global("torch._utils", "_rebuild_tensor"): _tensor,
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Global("torch._utils", "_rebuild_tensor_v3"): _untyped_tensor,
    Global("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    Global("torch._utils", "_rebuild_parameter_with_state"): lambda data, *_: data,
    Global("torch._utils", "_rebuild_device_tensor_from_numpy"): lambda data, *_: data,
    Global("torch._utils", "_rebuild_xla_tensor"): lambda data, *_: data,
    Global("torch._tensor", "_rebuild_from_type_v2"): _of_type,
    Global("torch_utils.persistence", "_reconstruct_persistent_obj"): (
        _persistent_object
    ),
    Global("numpy", "dtype"): _dtype,
    Global("copyreg", "_reconstructor"): _reconstruct,
    Global("copy_reg", "_reconstructor"): _reconstruct,
    Global("_codecs", "encode"): _encode,
}
for _numpy in ("numpy.core", "numpy._core"):
    _CALLS[Global(f"{_numpy}.multiarray", "_reconstruct")] = lambda *_: Array()
    _CALLS[Global(f"{_numpy}.multiarray", "scalar")] = _scalar
    _CALLS[Global(f"{_numpy}.numeric", "_frombuffer")] = _from_buffer
for _builtins in ("builtins", "__builtin__"):
    _CALLS[Global(_builtins, "set")] = _list
    _CALLS[Global(_builtins, "frozenset")] = _list
    _CALLS[Global(_builtins, "list")] = _list
    _CALLS[Global(_builtins, "dict")] = _dict
    _CALLS[Global(_builtins, "getattr")] = _attribute
    for _name in ("bytes", "bytearray"):
        _CALLS[Global(_builtins, _name)] = lambda data=b"", *encoding: (
            _encode(data, *encoding) if encoding else checked_bytes(data)
        )


def storage_dtype(value) -> np.dtype:
    """The dtype of the storage class that a persistent id names.

    Raises:
        ValueError: no such class.
    """
    if isinstance(value, Global) and value.name == "UntypedStorage":
        return np.dtype(np.uint8)
    if not isinstance(value, Global) or value.name not in STORAGES:
        raise ValueError(f"a storage of type {str(value)!r:.40}")
    return np.dtype(STORAGES[value.name])
