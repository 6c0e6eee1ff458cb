"""Reads config files for commands other than train.py, and the configs of runs."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from hyperstyle_jax.config import checks, errors
from hyperstyle_jax.config import fields as cfg


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


def read_run(workdir: str | Path) -> ConfigDict:
    """The config of a run, which its workdir has as `config.json`.

    Fields that the run is too old to have get their defaults.

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    path = Path(workdir) / "config.json"
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        config = cfg.base(saved["task"])
        known = cfg.flatten(config).keys() | config.keys()  # fields, and groups
        values = cfg.flatten(ConfigDict(saved)).items()
        config.update_from_flattened_dict({k: v for k, v in values if k in known})
        checks.check(config)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is damaged ({why}): copy the run again") from error
    return config
