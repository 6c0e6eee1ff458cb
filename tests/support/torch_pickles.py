"""Writes what PyTorch's legacy format and NVIDIA's pickles look like, without torch."""

import pickle
import struct
import sys
import types
from collections import OrderedDict
from contextlib import contextmanager

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
STORAGES = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
}


class Storage:
    """Stands for torch's storage; a view has a base and an offset."""

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        return sys.modules["torch.storage"]._load_from_bytes, (legacy(self),)


class Tensor:
    def __init__(self, array, parameter=False):
        self.array, self.parameter = array, parameter

    def __reduce__(self):
        a = self.array
        strides = tuple(s // a.itemsize for s in a.strides)
        arguments = (Storage(a), 0, a.shape, strides, False, OrderedDict())
        return sys.modules["torch._utils"]._rebuild_tensor_v2, arguments


class Persistent:
    """One of NVIDIA's modules: reduced to a dict with its source code."""

    def __init__(self, class_name, state):
        self.class_name, self.state = class_name, state

    def __reduce__(self):
        meta = sys.modules["dnnlib.util"].EasyDict(
            type="class",
            version=6,
            module_src="raise SystemExit('code of the file was run')",
            class_name=self.class_name,
            state=self.state,
        )
        function = sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj
        return function, (meta,)


@contextmanager
def fake_torch():
    """Modules with the names that the pickles refer to."""
    names = ["torch", "torch._utils", "torch.storage", "torch_utils"]
    names += ["torch_utils.persistence", "dnnlib", "dnnlib.util"]
    modules = {n: types.ModuleType(n) for n in names}
    saved = {n: sys.modules.get(n) for n in names}
    sys.modules.update(modules)
    functions = ["torch._utils _rebuild_tensor_v2", "torch.storage _load_from_bytes"]
    functions += ["torch_utils.persistence _reconstruct_persistent_obj"]
    for entry in functions:
        module, name = entry.split()
        _put(modules[module], name, eval("lambda *a: None"))
    for name in STORAGES.values():
        _put(modules["torch"], name, type(name, (), {}))
    _put(modules["dnnlib.util"], "EasyDict", type("EasyDict", (dict,), {}))
    try:
        yield
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _put(module, name, value):
    value.__module__, value.__qualname__, value.__name__ = module.__name__, name, name
    setattr(module, name, value)


class _LegacyPickler(pickle.Pickler):
    def __init__(self, file, stores):
        super().__init__(file, 2)
        self.stores = stores

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        key = str(len(self.stores))
        self.stores[key] = value.array
        kind = getattr(sys.modules["torch"], STORAGES[value.array.dtype.name])
        return ("storage", kind, key, "cpu", value.array.size, None)


def legacy(value) -> bytes:
    """`torch.save(value, …, _use_new_zipfile_serialization=False)`."""
    import io

    file, stores = io.BytesIO(), {}
    system = dict(protocol_version=PROTOCOL, little_endian=True, type_sizes={})
    for header in (MAGIC, PROTOCOL, system):
        pickle.dump(header, file, 2)
    _LegacyPickler(file, stores).dump(value)
    pickle.dump(sorted(stores), file, 2)
    for key in sorted(stores):
        array = stores[key].ravel("K")  # as it lies in memory
        file.write(struct.pack("<q", array.size) + array.tobytes())
    return file.getvalue()


def nvidia(networks: dict[str, tuple[str, dict]]) -> bytes:
    """NVIDIA's .pkl: {"G": (class name, {"mapping.fc0.weight": array, …}), …}."""
    with fake_torch():
        easy = sys.modules["dnnlib.util"].EasyDict
        value = {k: _module(*v, easy) for k, v in networks.items()}
        value["training_set_kwargs"] = easy(path="faces.zip")
        return pickle.dumps(value, 4)


def _module(class_name, tensors, easy):
    state = _state(tensors, lambda child: _module("Layer", child, easy))
    return Persistent(class_name, state | {"_init_kwargs": easy(z_dim=4)})


def _state(tensors, make_child):
    """The attributes of a torch.nn.Module with these tensors."""
    state = dict(
        training=False,
        _parameters=OrderedDict(),
        _buffers=OrderedDict(),
        _modules=OrderedDict(),
        _non_persistent_buffers_set=set(),
        _forward_hooks=OrderedDict(),
    )
    children: dict[str, dict] = {}
    for name, array in tensors.items():
        first, _, rest = name.partition(".")
        if rest:
            children.setdefault(first, {})[rest] = array
        else:
            group = "_buffers" if name in BUFFERS else "_parameters"
            state[group][name] = Tensor(array)
    for name, child in children.items():
        state["_modules"][name] = make_child(child)
    return state


class Network:
    """A torch.nn.Module of some user's class, pickled as a whole."""

    def __init__(self, tensors):
        self.__dict__ = _state(tensors, Network)


BUFFERS = ("w_avg", "resample_filter", "noise_const")


def save_legacy(value) -> bytes:
    with fake_torch():
        return legacy(value)
