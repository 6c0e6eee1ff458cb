"""Reads config files for commands other than train.py."""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from hyperstyle_jax.config import checks, errors


def read(path: str | Path, changes: Sequence[str] = ()) -> ConfigDict:
    """Reads and checks a config file.

    Args:
        path: a file of configs/.
        changes: fields to set and their values, as "data.path=images".

    Raises:
        ValueError: no such file or field, or a value that cannot work.
    """
    argv = [f"--config={path}", *(f"--config.{change}" for change in changes)]
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", None, "", values, sys_argv=["", *argv])
    # Configs may build on each other: `from configs import ffhq`.
    sys.path.insert(0, str(Path(path).resolve().parent.parent))
    try:
        values(["", *argv])
        config = values["config"].value
        checks.check(config)
    except Exception as error:
        raise ValueError(errors.explain(error, argv)) from error
    finally:
        sys.path.pop(0)
    return config
