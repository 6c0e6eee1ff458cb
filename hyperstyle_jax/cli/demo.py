"""`hyperstyle demo` trains a hypernetwork for minutes and shows what it does."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

from hyperstyle_jax.system import folder_lock, program

_CONFIG = Path("configs/demo.py")
_COUNT = 32  # faces per domain
_SHOWN = ("loss", "l2", "lpips", "id")  # of the curves of training


def add_commands(commands):
    """Adds `hyperstyle demo`."""
    parser = commands.add_parser(
        "demo",
        help="train a hypernetwork for a few minutes and show what it does",
        description="In a clone of the repository: trains the hypernetwork of "
        "configs/demo.py from the shipped networks, inverts held-out faces with it and "
        "with the shipped one, and leaves images, tables and curves. The same "
        "command goes on where it was stopped.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo_output"), help="default: demo_output"
    )
    parser.add_argument("--steps", type=int, help="of training (default: the config's)")
    parser.set_defaults(run=run)


def run(args):
    """Trains, evaluates and shows; the folder of results is held meanwhile."""
    start = time.perf_counter()
    root, workdir = _clone(), args.out / "run"
    from hyperstyle_jax.weights import bundle

    bundle.find("demo")  # before minutes of training
    with folder_lock.hold(args.out):
        _run(root, workdir, args, start)


def _run(root, workdir, args, start):
    _say(
        f"Trains a hypernetwork on procedural faces ({_CONFIG}, run in {workdir}),\n"
        f"then inverts {_COUNT} held-out faces, and {_COUNT} with accessories never "
        "seen,\nwith it and with the one that is shipped.\n"
    )
    seconds = {}
    with _stage("1/3 training", seconds):
        _train(root, workdir, args.steps)
    with _stage("2/3 inverting held-out faces", seconds):
        results, summary = _evaluate(workdir)
    with _stage("3/3 writing tables, curves and images", seconds):
        files = _write(results, summary, args.out, workdir)
    seconds["all"] = round(time.perf_counter() - start, 1)
    _finish(summary, files, seconds, args.out)


def _clone() -> Path:
    """The repository: where we are, or where this package lies."""
    for folder in (Path.cwd(), Path(__file__).parents[2]):
        if (folder / "train.py").is_file() and (folder / _CONFIG).is_file():
            return folder
    raise ValueError(
        f"no train.py and {_CONFIG} here: run the demo in a clone of the repository "
        "(`hyperstyle evaluate demo` shows the shipped model anywhere)"
    )


@contextlib.contextmanager
def _stage(title: str, seconds: dict[str, float]):
    _say(f"[{title}]")
    start = time.perf_counter()
    yield
    spent = seconds[title] = round(time.perf_counter() - start, 1)
    _say(f"[{title}: {spent:.0f} s]\n")


def _train(root: Path, workdir: Path, steps: int | None):
    command = [sys.executable, "train.py", "--config", str(_CONFIG)]
    command += ["--workdir", str(workdir.resolve())]
    if steps is not None:
        command.append(f"--config.num_steps={steps}")
    _say(" ".join(["python", *command[1:]]))
    process = subprocess.Popen(command, cwd=root)
    try:
        code = process.wait()
    except KeyboardInterrupt as stop:
        if isinstance(stop, program.Stopped):
            process.terminate()  # of Ctrl-C the terminal has told it as well
        process.wait()  # it is saving
        raise
    if code:
        raise ValueError(
            f"training ended with exit code {code}, the reason stands above; the same "
            "command goes on from the last checkpoint"
        )


def _evaluate(workdir):
    from hyperstyle_jax.evaluation import held_out_faces, tables
    from hyperstyle_jax.loop import checkpoint
    from hyperstyle_jax.system import compilation_cache

    compilation_cache.enable()
    models = {
        "trained": held_out_faces.load(workdir),
        "shipped": held_out_faces.load("demo"),
    }
    results = held_out_faces.run(models, count=_COUNT)
    summary = tables.summarize(results, models)
    return results, summary | {"trained_steps": checkpoint.steps(workdir)[-1]}


def _write(results, summary, out, workdir) -> list[Path]:
    from hyperstyle_jax import plots
    from hyperstyle_jax.evaluation import tables
    from hyperstyle_jax.loop import logs

    files = tables.write(results, summary, out)
    shown = {"step", *_SHOWN, *(f"eval/{name}" for name in _SHOWN)}
    rows = [{k: v for k, v in r.items() if k in shown} for r in logs.read(workdir)]
    plots.curves(rows, out / "training.png")
    return [*files, out / "training.png"]


def _finish(summary, files, seconds, out):
    from hyperstyle_jax.evaluation import tables
    from hyperstyle_jax.system import atomic_files

    summary |= {"stages": seconds}
    atomic_files.write_json(out / "metrics.json", summary)
    _say(tables.markdown(summary))
    steps = summary["trained_steps"]
    _say(f"trained: {steps} steps in all; shipped: the bundle demo.\n")
    _say(f"In {out}:")
    _say("\n".join(f"  {file.name}" for file in files))
    _say(f"All together {seconds['all']:.0f} s. Again: goes on from the checkpoint.")


def _say(text: str):
    print(text, flush=True)  # in order with what the training prints
