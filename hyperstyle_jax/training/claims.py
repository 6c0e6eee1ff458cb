"""What a run's folder is bound to from its first checkpoint on: config and networks."""

import json
import sys
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from hyperstyle_jax import trees
from hyperstyle_jax.config import fields as cfg
from hyperstyle_jax.loop import checkpoint, parallel
from hyperstyle_jax.net import Net
from hyperstyle_jax.system import atomic_files

CONFIG, NETWORKS = "config.json", "networks.json"


class Claim:
    """Compares a start of a run with what its folder is bound to, and binds it.

    `networks.json` lists, for each start that brought others, the step it went on from
    and the sha256 of the frozen networks' weights.
    """

    def __init__(self, workdir: Path, config: ConfigDict, force: bool):
        """
        Args:
            force: take the folder although it is bound to another config.

        Raises:
            ValueError: it is bound to another config.
        """
        self._workdir, self._config = workdir, config
        self._step = max(checkpoint.steps(workdir), default=0)
        self._starts: list[dict[str, Any]] = []
        if self._step and not force:
            self._refuse_another_config()
        elif not self._step and parallel.is_writer():
            self._write_config()  # binds nothing yet: it says what is being tried

    def compare_networks(self, frozen: Any) -> None:
        """Says on stderr which networks have changed since the run went on with them.

        Args:
            frozen: of the task, {name: Net or anything else}.
        """
        if not parallel.is_writer():
            return
        sums = _sums(frozen)
        self._starts = self._recorded()
        before = self._starts[-1]["networks"] if self._starts else None
        for name in sorted(sums.keys() & (before or {}).keys()):
            if sums[name] != before[name]:
                print(
                    f"warning: the {name} is not the one that this run used up to step "
                    f"{self._step} (weights {before[name][:12]} then, "
                    f"{sums[name][:12]} now): was it trained further? The run goes on "
                    "with the new one; another --workdir starts anew with it",
                    file=sys.stderr,
                )
        if before != sums:
            self._starts.append({"step": self._step, "networks": sums})

    def settle(self) -> None:
        """Binds the folder. To be called before this start's first checkpoint."""
        if parallel.is_writer():
            self._write_config()
            atomic_files.write_json(self._workdir / NETWORKS, self._starts)

    def _recorded(self) -> list[dict[str, Any]]:
        path = self._workdir / NETWORKS
        if not self._step or not path.is_file():
            return []
        try:
            return [
                {"step": start["step"], "networks": dict(start["networks"])}
                for start in json.loads(path.read_text(encoding="utf-8"))
            ]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} is damaged ({error}): delete it") from error

    def _refuse_another_config(self) -> None:
        path = self._workdir / CONFIG
        if not path.exists():
            return
        try:
            lines = cfg.differences(path.read_text(encoding="utf-8"), self._config)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{path} is damaged ({error}): delete it, or use --force"
            ) from error
        if lines:
            raise ValueError(
                f"{self._workdir} belongs to another config ({'; '.join(lines)}); use "
                "another --workdir, or --force to go on with this config"
            )

    def _write_config(self) -> None:
        text = cfg.to_json(self._config)
        atomic_files.write_whole(self._workdir / CONFIG, text.encode())


def _sums(frozen: Any) -> dict[str, str]:
    parts = frozen.items() if isinstance(frozen, dict) else ()
    nets = {name: part for name, part in parts if isinstance(part, Net)}
    return {name: trees.sha256(dict(net.variables)) for name, net in nets.items()}
