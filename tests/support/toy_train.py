"""train.py with the toy task, for tests that need a process of their own.

Environment: TOY_DELAY, seconds per step; TOY_BALLAST_MB, a useless part of the state;
TOY_BAD, the batch that holds a NaN; TOY_TIMEOUT, seconds that processes wait for one
another in a save; TOY_LARGEST, bytes of the largest file that process 0 can write.
"""

import os
import resource
import sys
import time

import jax
import toy

import train
from hyperstyle_jax.loop.checkpoint import saving
from hyperstyle_jax.training import run


class SlowData(toy.Data):
    def __next__(self):
        time.sleep(float(os.environ.get("TOY_DELAY", "0")))
        process, count = run.parallel.shard()
        return {k: v[process::count] for k, v in super().__next__().items()}


def make_task(config):
    task = toy.make_task(config.optim.lr)
    size = int(float(os.environ.get("TOY_BALLAST_MB", "0")) * 2**18)
    if not size:
        return task

    def init(key):  # noise, because zeros would be compressed away
        return {"toy": task.init(key), "ballast": jax.random.normal(key, (size,))}

    def train_step(state, *rest):
        update, metrics = task.train_step(state["toy"], *rest)
        return lambda state: state | {"toy": update(state["toy"])}, metrics

    def eval_step(state, *rest):
        return task.eval_step(state["toy"], *rest)

    return run.fit.Task(init, train_step, eval_step, columns=task.columns)


def start():
    saving.TIMEOUT = int(os.environ.get("TOY_TIMEOUT", saving.TIMEOUT))
    if "TOY_LARGEST" in os.environ and "--process_id=0" in sys.argv:
        limit = int(os.environ["TOY_LARGEST"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    run.make_task = make_task
    run.inputs.make_data = lambda config: (
        SlowData(config.batch_size, int(os.environ.get("TOY_BAD", "-1"))),
        lambda: toy.eval_data(batch_size=config.batch_size),
    )
    sys.argv[0] = "train.py"
    train.app.run(train.main, flags_parser=train.parse)


if __name__ == "__main__":
    start()
