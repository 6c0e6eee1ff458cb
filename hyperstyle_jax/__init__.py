"""HyperStyle in JAX: photos become a generator's latents and weights, and are edited.

    bundle = hs.load("demo")
    inversion = hs.invert(bundle, [hs.read_image("me.png")])
    smiling = hs.edit(inversion, bundle.direction("smile"), 2.0)
    hs.save_image("smiling.png", hs.synthesize(bundle.nets["generator"], smiling)[0])

Names are imported when they are first used: `import hyperstyle_jax` itself is instant.
"""

import importlib

_PUBLIC = {
    "Bundle": "weights.bundle.Bundle",
    "load": "weights.bundle.load",
    "save": "weights.bundle.save",
    "Net": "net.Net",
    "Inversion": "offsets.Inversion",
    "apply_offsets": "offsets.apply_offsets",
    "synthesize": "offsets.synthesize",
    "invert": "inversion.pipeline.invert",
    "optimize": "inversion.optimize.optimize",
    "edit": "editing.directions.edit",
    "apply_edits": "editing.steps.apply_edits",
    "sweep": "editing.directions.sweep",
    "interpolate": "editing.mixing.interpolate",
    "drag": "editing.drag.drag",
    "fit_directions": "editing.interfacegan.fit_directions",
    "fit_direction": "editing.fitting.fit_direction",
    "Photo": "photos.photo.Photo",
    "read_image": "images.read",
    "save_image": "images.save_png",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str):
    if name == "__version__":
        from importlib.metadata import version

        return version("hyperstyle_jax")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'hyperstyle_jax' has no attribute {name!r}")
    home, attribute = _PUBLIC[name].rsplit(".", 1)
    value = getattr(importlib.import_module(f"{__name__}.{home}"), attribute)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *_PUBLIC])
