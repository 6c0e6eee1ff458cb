"""Trains what a config file describes; the same command given again goes on.

python train.py --config configs/NAME.py [--workdir DIR] [--config.optim.lr=3e-4]
"""

import sys
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

from hyperstyle_jax.config import checks, errors
from hyperstyle_jax.system import compilation_cache, console, huge_pages, program

_CONFIG = config_flags.DEFINE_config_file("config", None, "A file of configs/.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Default: runs/NAME of the config.")
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Print config, sizes, memory; stop.")
_FORCE = flags.DEFINE_bool("force", False, "Go on in a workdir of another config.")
_DISTRIBUTED = flags.DEFINE_bool("distributed", False, "One process of a cluster.")
_COORDINATOR = flags.DEFINE_string("coordinator", "", "HOST:PORT of process 0.")
_PROCESSES = flags.DEFINE_integer("num_processes", 0, "How many, on all hosts.")
_PROCESS = flags.DEFINE_integer("process_id", -1, "The number of this one, from 0.")


def main(argv: list[str]) -> None:
    """Trains; exits with the code of `program.run`."""
    # Where several processes train, JAX tells all of them of a SIGTERM to one.
    alone = not (_DISTRIBUTED.value or _COORDINATOR.value)
    code = console.finish(program.run(_train, catch_sigterm=alone))
    if code == 1:
        from hyperstyle_jax.loop import parallel

        parallel.leave(code)
    sys.exit(code)


def _train() -> None:
    compilation_cache.enable()
    from hyperstyle_jax.loop import parallel
    from hyperstyle_jax.training import run

    name = Path(config_flags.get_config_filename(flags.FLAGS["config"])).stem
    if _DISTRIBUTED.value or _COORDINATOR.value:
        parallel.join(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
    if _DRY_RUN.value:
        print(run.describe(_CONFIG.value))
    else:
        run.run(_CONFIG.value, _WORKDIR.value or f"runs/{name}", _FORCE.value)


def parse(argv: list[str]) -> list[str]:
    """Reads the flags and checks the config; exits with 2 where they are wrong."""
    try:
        rest = flags.FLAGS(argv)
        if len(rest) > 1:
            raise flags.Error(f"what is {rest[1]!r}? Options start with --")
        checks.check(_CONFIG.value)
        some = _COORDINATOR.value or _PROCESSES.value or _PROCESS.value != -1
        good = _COORDINATOR.value and 0 <= _PROCESS.value < _PROCESSES.value
        if some and not good:
            raise flags.Error(
                "processes are --coordinator HOST:PORT, --num_processes N and "
                "--process_id from 0 to N - 1: give all three, or --distributed alone"
            )
        return rest
    except Exception as error:
        print(f"error: {errors.explain(error, argv)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    huge_pages.restart()
    console.prepare()
    app.run(main, flags_parser=parse)
