"""HyperStyle in JAX: photos into a generator's latent space and weights, and edits.

Names are imported when first used, so that `import hyperstyle_jax` costs nothing.
"""

import importlib

_PUBLIC = {
    "Bundle": "hyperstyle_jax.bundle",
    "load": "hyperstyle_jax.bundle",
    "save": "hyperstyle_jax.bundle",
    "Net": "hyperstyle_jax.net",
    "Inversion": "hyperstyle_jax.offsets",
    "apply_offsets": "hyperstyle_jax.offsets",
    "synthesize": "hyperstyle_jax.offsets",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str):
    if name == "__version__":
        from importlib.metadata import version

        return version("hyperstyle_jax")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'hyperstyle_jax' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *_PUBLIC])
