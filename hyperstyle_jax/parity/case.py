"""One fixture: its files, its images, and the networks converted from its weights."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax.convert import assembling, kinds
from hyperstyle_jax.net import Net
from hyperstyle_jax.parity import procedural
from hyperstyle_jax.parity.check import Output


class Case:
    """A fixture: `NAME_seedS.json` and `NAME_seedS.npz` in a folder.

    Attributes:
        folder, name, seed: which fixture.
        meta: the content of the JSON file.
        arrays: the outputs of the official code, by name.
    """

    def __init__(self, folder: Path, name: str, seed: int):
        self.folder, self.name, self.seed = folder, name, seed
        stem = folder / f"{name}_seed{seed}"
        self.meta: dict[str, Any] = json.loads(stem.with_suffix(".json").read_text())
        self.arrays = np.load(stem.with_suffix(".npz"))

    @property
    def specs(self) -> list[str]:
        """File names of the specs of the networks that the fixture used."""
        spec = self.meta.get("spec", [])
        return [spec] if isinstance(spec, str) else spec

    def outputs(self, values: dict[str, Any], kind: str) -> list[Output]:
        """The outputs among `values` that the fixture has too.

        Args:
            values: by the fixture's names and in its layout.
            kind: of `check.TOLERANCES`.
        """
        return [Output(k, np.asarray(v), kind) for k, v in values.items() if k in self]

    def __contains__(self, key: str) -> bool:
        return key in self.arrays or f"{key}.sample" in self.arrays

    def image(self, name: str) -> jax.Array:
        """An image of the fixture, [B, H, W, 3] in [-1, 1]."""
        return nhwc(procedural.to_float(self.image_u8(name)))

    def image_u8(self, name: str) -> np.ndarray:
        """An image of the fixture as PyTorch has it, [B, C, H, W] uint8."""
        entry = self.meta["image_inputs"][name]
        return procedural.image(self.seed, entry["key"], entry["shape"])

    def unit(self, key: str, shape) -> np.ndarray:
        """The fixture's random numbers of mean 0 and variance 1, float32."""
        return procedural.unit(self.seed, key, shape)

    def normal(self, key: str, shape, offset=0.0, scale=1.0) -> np.ndarray:
        """offset + scale·`unit`."""
        return procedural.normal(self.seed, key, shape, offset, scale)

    def tensors(self, spec: str) -> dict[str, np.ndarray]:
        """The official state dict that a spec describes."""
        return procedural.state_dict(self.seed, load_spec(self.folder, spec))

    def latent_avg(self, num_ws: int) -> np.ndarray:
        """The mean latent, repeated for every layer: [num_ws, 512]."""
        row = self.normal("latent_avg", (1, 512), 0, 0.3)
        return np.repeat(row, num_ws, 0)

    def generator(self, spec: str) -> Net:
        """A generator, from an official checkpoint."""
        value = {"g_ema": self.tensors(spec), "latent_avg": self.latent_avg(1)[0]}
        return convert(value)["generator"]

    def hypernet(self, spec: str | None = None) -> dict[str, Net]:
        """The hypernetwork and its generator, from an official checkpoint."""
        spec = spec or next(s for s in self.specs if s.startswith("hypernet"))
        return hyperstyle(self.folder, spec, self.seed)

    def encoder(self, spec: str, generator_spec: str, opts=()) -> Net:
        """An encoder with the mean latent, from a checkpoint in pSp's layout."""
        return self.inversion_networks(spec, generator_spec, opts)[0]

    def inversion_networks(
        self, spec: str, generator_spec: str, opts=()
    ) -> tuple[Net, Net]:
        """An encoder and its generator, from a checkpoint in pSp's layout."""
        state = {f"encoder.{k}": v for k, v in self.tensors(spec).items()}
        decoder = self.tensors(generator_spec)
        state |= {f"decoder.{k}": v for k, v in decoder.items()}
        rows = self.latent_avg(1 + sum(k.startswith("noises.") for k in decoder))
        value = {"state_dict": state, "latent_avg": rows, "opts": dict(opts)}
        nets = convert(value)
        generator = nets.pop("generator")
        (encoder,) = nets.values()
        return encoder, generator


def convert(value: Any, kind: str = "auto") -> dict[str, Net]:
    """The networks that `convert_weights.py` makes of an official file.

    Args:
        value: the file's content.
        kind: of the checkpoint, see `kinds.recognize`.
    """
    file = assembling.File("parity", value, kinds.recognize(value, kind))
    nets = assembling.assemble([file]).nets
    return {role: jax.tree.map(jnp.asarray, net) for role, net in nets.items()}


def load_spec(folder: Path, name: str) -> dict[str, Any]:
    """The names, shapes and kinds of a state dict's tensors.

    Folders of fixtures that lie beside each other share their specs.
    """
    places = [folder, *sorted(folder.absolute().parent.iterdir())]
    found = (place / "specs" / name for place in places)
    file = next((f for f in found if f.is_file()), folder / "specs" / name)
    return json.loads(file.read_text())


_held: dict[tuple, dict[str, Net]] = {}


def hyperstyle(folder: Path, spec: str, seed: int) -> dict[str, Net]:
    """Networks of an official HyperStyle checkpoint with procedural weights.

    The last ones are kept, because fixtures of one hypernetwork follow each other.
    """
    key = (folder, spec, seed)
    if key not in _held:
        _held.clear()  # first: they are large
        _held[key] = _hyperstyle(*key)
    return _held[key]


def forget() -> None:
    """Frees the networks that `hyperstyle` has kept, and all compiled programs."""
    _held.clear()
    jax.clear_caches()


def _hyperstyle(folder: Path, spec: str, seed: int) -> dict[str, Net]:
    size = next(s for s in ("1024", "512", "256") if s in spec)
    hypernet = procedural.state_dict(seed, load_spec(folder, spec))
    decoder = procedural.state_dict(
        seed, load_spec(folder, f"generator_{size}.spec.json")
    )
    state = {f"hypernet.{k}": v for k, v in hypernet.items()}
    state |= {f"decoder.{k}": v for k, v in decoder.items()}
    latent = procedural.normal(seed, "latent_avg", (512,), 0, 0.3)
    return convert({"state_dict": state, "latent_avg": latent})


def nhwc(x) -> jax.Array:
    """[B, C, …] as PyTorch has it → [B, …, C]."""
    return jnp.asarray(np.moveaxis(np.asarray(x), 1, -1))


def nchw(x) -> np.ndarray:
    """[B, …, C] → [B, C, …] as PyTorch has it."""
    return np.moveaxis(np.asarray(x), -1, 1)


def hwio(x) -> jax.Array:
    """Kernels […, O, I, K, K] as PyTorch has them → […, K, K, I, O]."""
    x = np.asarray(x)
    n = x.ndim - 4
    return jnp.asarray(x.transpose(*range(n), n + 2, n + 3, n + 1, n))


def oihw(x) -> np.ndarray:
    """Kernels […, K, K, I, O] → […, O, I, K, K] as PyTorch has them."""
    x = np.asarray(x)
    n = x.ndim - 4
    return x.transpose(*range(n), n + 3, n + 2, n, n + 1)
