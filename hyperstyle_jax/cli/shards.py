"""One of several processes that fill one folder of results together.

Each has every N-th photo and files of its own: `metrics-I-of-N.jsonl`, and when it is
through, `summary-I-of-N.json`. The last of them makes `metrics.jsonl` and
`summary.json` of these. `shards.json` says what they share.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from hyperstyle_jax.system import atomic_files, folder_lock

ROWS, SUMMARY, _PLAN = "metrics.jsonl", "summary.json", "shards.json"
T = TypeVar("T")
_WEEK = 7 * 24 * 3600  # how long a process that is through waits for the others


class Shard(NamedTuple):
    """The number of a process, from 1, and how many there are."""

    number: int = 1
    of: int = 1

    def __str__(self):
        """For people, as "2/4"."""
        return f"{self.number}/{self.of}"

    def part(self, items: Sequence[T]) -> list[T]:
        """Every N-th item, which no other shard has."""
        return list(items[self.number - 1 :: self.of])

    def file(self, name: str) -> str:
        """The shard's own file, as "metrics-2-of-4.jsonl"; of one shard the name."""
        stem, dot, ending = name.partition(".")
        return (
            name if self.of == 1 else f"{stem}-{self.number}-of-{self.of}{dot}{ending}"
        )

    @contextlib.contextmanager
    def hold(self, out: Path, shared: Mapping[str, Any]) -> Iterator[None]:
        """Holds the folder, or of several shards this one's part of it.

        Args:
            out: the folder.
            shared: JSON values in which all shards agree: settings, list of photos.

        Raises:
            ValueError: it is held, or other shards do something else.
        """
        if self.of == 1:
            with folder_lock.hold(out):
                yield
            return
        digest = hashlib.sha256(json.dumps(shared, sort_keys=True).encode())
        plan = {"shards": self.of, "sha256": digest.hexdigest()}

        def admitted(alone: bool) -> None:
            if _read(out / _PLAN) != plan:
                if not alone:
                    raise ValueError(
                        f"{out} is being filled by shards with other photos or "
                        "options; give all shards the same, or wait until they end"
                    )
                for file in out.glob(f"summary-*-of-*{Path(SUMMARY).suffix}"):
                    file.unlink(missing_ok=True)
                atomic_files.write_json(out / _PLAN, plan)
            (out / self.file(SUMMARY)).unlink(missing_ok=True)

        with folder_lock.share(out, self.number, self.of, admitted):
            yield


ONE = Shard()


def parse(text: str) -> Shard:
    """ "2/4" → shard 2 of 4; "auto" asks the cluster.

    Raises:
        ValueError: neither, or no cluster is there.
    """
    if text == "auto":
        return _of_cluster()
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    shard = Shard(*map(int, match.groups())) if match else Shard(0)
    if not 1 <= shard.number <= shard.of:
        raise ValueError(f"--shard {text}: expected I/N with I from 1 to N, or auto")
    return shard


def _of_cluster() -> Shard:
    """By the tasks of a SLURM array, of a SLURM job, or the processes of a jax job."""
    env = os.environ
    if int(env.get("SLURM_ARRAY_TASK_COUNT", "1")) > 1:
        step = int(env.get("SLURM_ARRAY_TASK_STEP", "1") or 1)
        first = int(env["SLURM_ARRAY_TASK_MIN"])
        number = (int(env["SLURM_ARRAY_TASK_ID"]) - first) // step + 1
        return Shard(number, int(env["SLURM_ARRAY_TASK_COUNT"]))
    if int(env.get("SLURM_NTASKS", "1")) > 1:
        return Shard(int(env["SLURM_PROCID"]) + 1, int(env["SLURM_NTASKS"]))
    import jax

    if not jax.distributed.is_initialized():
        try:
            jax.distributed.initialize(shutdown_timeout_seconds=_WEEK)
        except (ValueError, RuntimeError) as error:
            raise ValueError(
                "--shard auto: this is no task of a SLURM job, and jax finds no "
                f"cluster ({str(error).splitlines()[0]}); give --shard I/N"
            ) from error
    return Shard(jax.process_index() + 1, jax.process_count())


def summaries(out: Path, shard: Shard) -> list[dict[str, Any]]:
    """Those of all shards; [] as long as one is not through.

    Call it within `folder_lock.alone`.
    """
    files = [Shard(i + 1, shard.of).file(SUMMARY) for i in range(shard.of)]
    found = [summary for file in files if (summary := _read(out / file))]
    return found if len(found) == shard.of else []


def remove(out: Path) -> None:
    """Removes the shards' own files, when their content is elsewhere."""
    for pattern in ("metrics-*-of-*.jsonl", "summary-*-of-*.json", _PLAN):
        for file in out.glob(pattern):
            file.unlink(missing_ok=True)


def row_files(out: Path) -> list[Path]:
    """The files with rows of all earlier runs, the newest last."""
    files = [out / ROWS, *out.glob("metrics-*-of-*.jsonl")]
    return sorted((f for f in files if f.is_file()), key=lambda f: f.stat().st_mtime)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return None
