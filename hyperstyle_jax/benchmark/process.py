"""Runs a module that prints figures as JSON, in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from hyperstyle_jax.system import huge_pages


def figures(
    module: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """What `python -m MODULE ARGUMENTS` prints as its last line.

    Args:
        module: its name.
        arguments: for it.
        environment: what differs from that of this process, where the setting of
            `huge_pages.restart` does not count.

    Returns:
        The figures; {"error": the last line on stderr} where it failed.
    """
    own = dict(os.environ)
    if own.get(huge_pages.VARIABLE) == huge_pages.SETTING:
        del own[huge_pages.VARIABLE]
    # Unfiltered, a traceback ends with the error and not with a remark of JAX's.
    own |= {"JAX_TRACEBACK_FILTERING": "off", **environment}
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=own, capture_output=True, text=True)
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    if done.returncode:
        return {"error": lines[-1]}
    try:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError, TypeError):
        return {"error": f"no figures: {lines[-1]}"}


def device() -> str:
    """The device of this process, in words."""
    kind = jax.local_devices()[0].device_kind
    return f"{kind}, {os.cpu_count()} CPU cores"
