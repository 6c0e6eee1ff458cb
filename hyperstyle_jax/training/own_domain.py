"""From pictures to trained networks: the steps of `hyperstyle domain` that train.

Each step is a run in a folder of its own. It goes on where it was stopped and is left
out when it is done, so the whole is as resumable as its runs. How many steps each may
do follows from their measured times and from the time that was asked for.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from hyperstyle_jax.config import own_domain as settings
from hyperstyle_jax.data import labels as tables
from hyperstyle_jax.data import preparing, shard_files
from hyperstyle_jax.loop import checkpoint
from hyperstyle_jax.system import atomic_files, program
from hyperstyle_jax.training import exporting, labels, run, timing
from hyperstyle_jax.weights import bundle

# Of the time that is left after preparing and measuring, what each step gets; the rest
# is for evaluations, saving, compiling, directions and the report.
_SHARES = {"features": 0.1, "generator": 0.4, "encoder": 0.12, "hyperstyle": 0.2}
TITLES = {
    "features": "feature extractor",
    "generator": "generator",
    "encoder": "encoder",
    "hyperstyle": "hypernetwork",
}
_SAVED_EVERY = 45.0  # seconds
_PLAN = "plan.json"


class Wish(NamedTuple):
    """What was asked for.

    Attributes:
        source: folder or zip file of pictures.
        size, networks, mirror: see `settings.config`.
        labels, identity: table and its column of people; "" for none.
        transfer: a bundle with the generator to begin with; "" for none.
        frozen_blocks: of the discriminator that comes with it.
        budget: seconds for everything.
    """

    source: str
    size: int = 64
    networks: str = ""
    mirror: bool = False
    labels: str = ""
    identity: str = ""
    transfer: str = ""
    frozen_blocks: int = 0
    budget: float = 7200.0


class Chain:
    """The steps, in the folder `work`; `say` prints a line."""

    def __init__(self, wish: Wish, work: Path, say: Callable[[str], None]):
        self.wish, self.work, self._say = wish, work, say
        self._start = time.monotonic()
        self._plan: dict[str, Any] = {}
        self._pictures = 0

    def check(self) -> None:
        """Refuses what cannot work, before any picture is prepared.

        Raises:
            ValueError: says what, and what to set.
        """
        self.config("features")  # sizes and networks
        if self.wish.labels:
            tables.read(self.wish.labels, identity=self.wish.identity)
        elif self.wish.identity:
            raise ValueError("--identity: name the table with this column by --labels")
        if self.wish.transfer:
            bundle.load(self.wish.transfer).require("generator")
        labels.check(self.config("features"))

    def prepare(self) -> None:
        """Stores the pictures at the sizes of training."""
        sizes = {self.config(step).data.size for step in settings.STEPS}
        for size in sorted(sizes):
            path = preparing.prepare_folder(self.wish.source, self._data, size)
        self._pictures = shard_files.report(path)["counts"]["train"]
        self._say(f"{self._pictures:,} pictures of {self.wish.size}² in {self._data}")

    def plan(self) -> None:
        """Measures the steps here, and decides how many each part gets."""
        file, device = self.work / _PLAN, jax.devices()[0].device_kind
        self._plan = json.loads(file.read_text()) if file.is_file() else {}
        if self._plan.get("device") != device:
            self._plan = {"device": device, "seconds_per_step": {}}
        known = self._plan["seconds_per_step"]
        for step in settings.STEPS:
            if step not in known:
                known[step] = timing.seconds_per_step(self.config(step))
                self._say(f"{TITLES[step]}: {known[step]:.3g} s a step on {device}")
                atomic_files.write_json(file, self._plan)
        if self._plan.get("budget") != self.wish.budget:
            spent = time.monotonic() - self._start
            left = max(0.0, self.wish.budget - spent)
            steps = {}
            for step, share in _SHARES.items():
                most = settings.MOST_IMAGES[step] // self.config(step).batch_size
                steps[step] = timing.steps_within(share * left, known[step], most)
            self._plan |= {"budget": self.wish.budget, "steps": steps}
            atomic_files.write_json(file, self._plan)

    def seconds_left(self) -> float:
        """About how long the training that is still to be done takes."""
        steps, times = self._plan["steps"], self._plan["seconds_per_step"]
        return sum(
            max(0, steps[step] - self._done(step)) * times[step] / 0.85
            for step in settings.STEPS
        )

    def train(self, step: str) -> None:
        """Trains one part, unless that is done, and stores its networks.

        Raises:
            ValueError: what `run.run` refuses.
            program.Stopped: SIGTERM; the step is saved.
        """
        wanted, done = self._plan["steps"][step], self._done(step)
        if done < wanted:
            self._say(f"steps {done:,} to {wanted:,}")
            done = run.run(self.config(step), self.work / step)
            if done < wanted:
                raise program.Stopped(f"step {done:,} of {wanted:,} is saved")
        else:
            self._say(f"{done:,} steps are done")
        if step in _EXPORTED:
            self._export(step)

    def config(self, step: str) -> ConfigDict:
        """The run of a step."""
        wish, table = self.wish, step == "features" and bool(self.wish.labels)
        c = settings.config(
            step,
            wish.size,
            networks=wish.networks,
            pictures=self._pictures or 10_000,
            labelled=table,
            identity=table and bool(wish.identity),
            mirror=wish.mirror,
            transfer=bool(wish.transfer),
        )
        c.data.update(path=wish.source, cache_dir=str(self._data))
        if table:
            c.data.update(labels=wish.labels, identity=wish.identity)
        for role, source in _NEEDED[step].items():
            c.init[role] = str(self._networks(source))
        if wish.transfer:
            self._transfer(c, step)
        if seconds := self._plan.get("seconds_per_step", {}).get(step):
            self._set_rhythm(c, step, seconds)
        return c

    @property
    def runs(self) -> list[Path]:
        """The workdirs whose networks the bundle takes."""
        return [self.work / "hyperstyle"]

    @property
    def steps(self) -> dict[str, int]:
        """How many steps each part has done."""
        return {step: self._done(step) for step in settings.STEPS}

    @property
    def _data(self) -> Path:
        return self.work / "data"

    def _networks(self, step: str) -> Path:
        return self.work / "networks" / step

    def _done(self, step: str) -> int:
        return max(checkpoint.steps(self.work / step), default=0)

    def _export(self, step: str) -> None:
        """The networks of a run as a bundle, unless it is of its last step."""
        out, last = self._networks(step), {"step": self._done(step)}
        with contextlib.suppress(ValueError):
            if bundle.load(out).info.get("chain") == last:
                return
        best = bool(self.config(step).best)
        roles = _EXPORTED[step]
        info = {"chain": last}
        exporting.export([self.work / step], out, best=best, roles=roles, info=info)

    def _set_rhythm(self, c: ConfigDict, step: str, seconds: float) -> None:
        """Saves every 45 seconds, and evaluates four times in all."""
        if steps := self._plan.get("steps"):
            c.num_steps = steps[step]
        c.save_every = max(1, round(_SAVED_EVERY / seconds))
        c.log_every = max(1, min(50, round(10 / seconds)))
        c.eval_every = c.image_every = max(1, -(-c.num_steps // 4))

    def _transfer(self, c: ConfigDict, step: str) -> None:
        """The networks of another domain, whose sizes become this one's."""
        nets = bundle.load(self.wish.transfer).nets
        module = nets["generator"].module
        if module.resolution != self.wish.size:
            raise ValueError(
                f"--transfer {self.wish.transfer}: its generator draws "
                f"{module.resolution}² pixels; give --size {module.resolution}"
            )
        c.model.generator.update({k: getattr(module, k) for k in c.model.generator})
        if step != "generator":
            return
        c.init.generator = self.wish.transfer
        if "discriminator" in nets:
            other = nets["discriminator"].module
            widths = {k: getattr(other, k) for k in ("channel_base", "channel_max")}
            c.model.discriminator.update(widths, frozen_blocks=self.wish.frozen_blocks)
            c.init.discriminator = self.wish.transfer


# The networks of other steps that each step needs, {role: step}.
_NEEDED: dict[str, dict[str, str]] = {
    "features": {},
    "generator": {"feature_extractor": "features"},
    "encoder": {"feature_extractor": "features", "generator": "generator"},
    "hyperstyle": {
        "feature_extractor": "features",
        "generator": "generator",
        "encoder": "encoder",
    },
}
_EXPORTED = {
    "features": ("feature_extractor",),
    "generator": ("generator",),
    "encoder": ("encoder",),
}


@contextlib.contextmanager
def naming(title: str) -> Iterator[None]:
    """Puts the name of a step before its errors and stops."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{title}: {error}") from error
    except KeyboardInterrupt as stop:
        raise type(stop)(f"{title}: {stop}" if str(stop) else title) from None
