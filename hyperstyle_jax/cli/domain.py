"""`hyperstyle domain` makes a bundle of a folder of pictures: all steps in one."""

import argparse
import contextlib
import re
import time
from pathlib import Path

from hyperstyle_jax.system import folder_lock

_UNITS = {"s": 1, "m": 60, "h": 3600}


def add_commands(commands):
    """Adds `hyperstyle domain`."""
    parser = commands.add_parser(
        "domain",
        help="make a HyperStyle of your own pictures",
        description="Trains a feature extractor, a generator, an encoder and a "
        "hypernetwork on pictures, finds edit directions, and makes a bundle of them "
        "for `hyperstyle invert`. The same command goes on where it was stopped; what "
        "is done is not done again. A longer --budget trains further.",
    )
    parser.add_argument(
        "source", metavar="FOLDER_OR_ZIP", help="pictures; also a folder in a zip file"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument(
        "--work", type=Path, help="folder of the runs (default: OUT_work)"
    )
    parser.add_argument("--size", type=int, default=64, help="pixels (default 64)")
    parser.add_argument(
        "--budget", type=duration, default="2h", help="as 90s, 30m or 2h (default 2h)"
    )
    parser.add_argument(
        "--networks",
        choices=("tiny", "small", "full"),
        default="",
        help="default: small up to 128 pixels, else full, as published",
    )
    parser.add_argument(
        "--labels",
        default="",
        metavar="FILE",
        help="a .csv or .jsonl table of what is known of the pictures",
    )
    parser.add_argument(
        "--identity", default="", metavar="COLUMN", help="of the table: who is in it"
    )
    parser.add_argument(
        "--mirror", action="store_true", help="mirrored pictures are of the domain too"
    )
    parser.add_argument(
        "--transfer", default="", metavar="BUNDLE", help="the generator to begin with"
    )
    parser.add_argument(
        "--frozen-blocks",
        type=int,
        default=0,
        metavar="N",
        help="of the discriminator in that bundle, that stay as they are (default 0)",
    )
    parser.set_defaults(run=run)


def duration(text: str) -> float:
    """Seconds of "90s", "30m" or "2h"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a time as 90s, 30m or 2h")
    return float(match[1]) * _UNITS[match[2]]


def run(args):
    """Does what is left of all steps; work folder and bundle are held meanwhile."""
    work = args.work or args.out.with_name(f"{args.out.name}_work")
    from hyperstyle_jax.system import compilation_cache
    from hyperstyle_jax.training import own_domain

    wish = own_domain.Wish(
        source=_absolute(args.source),
        size=args.size,
        networks=args.networks,
        mirror=args.mirror,
        labels=args.labels and _absolute(args.labels),
        identity=args.identity,
        transfer=args.transfer and _bundle(args.transfer),
        frozen_blocks=args.frozen_blocks,
        budget=args.budget,
    )
    chain = own_domain.Chain(wish, work.absolute(), _say)
    chain.check()
    compilation_cache.enable()
    with folder_lock.hold(work):
        _run(chain, args.out)


def _run(chain, out: Path):
    from hyperstyle_jax.training.own_domain import TITLES

    start, count = time.monotonic(), len(TITLES) + 4
    with _step(1, count, "pictures"):
        chain.prepare()
    with _step(2, count, "measuring the steps"):
        chain.plan()
    for number, (step, title) in enumerate(TITLES.items(), start=3):
        with _step(number, count, title):
            _say(f"about {_time(chain.seconds_left())} of training are left in all")
            chain.train(step)
    with _step(count - 1, count, "directions and bundle"):
        _make_bundle(chain, out)
    with _step(count, count, "report"):
        summary = _report(chain, out)
    _finish(chain, out, summary, time.monotonic() - start)


@contextlib.contextmanager
def _step(number: int, count: int, title: str):
    from hyperstyle_jax.training import own_domain

    _say(f"[{number}/{count} {title}]")
    with own_domain.naming(f"step {number} of {count}, {title}"):
        yield


def _make_bundle(chain, out: Path):
    """Writes the bundle, unless it is that of the same steps."""
    from hyperstyle_jax.evaluation import own_domain
    from hyperstyle_jax.inversion import familiarity
    from hyperstyle_jax.training import exporting
    from hyperstyle_jax.weights import bundle

    steps = chain.steps
    with contextlib.suppress(ValueError):
        info = bundle.load(out).info
        if info.get("chain") == steps and familiarity.KEY in info:  # stored last
            return _say(f"{out} is of these networks")
    name = Path(chain.wish.source).stem
    info = {"chain": steps, "summary": f"A domain made of the pictures {name}."}
    with folder_lock.hold(out, beside=True):
        best = bool(chain.config("hyperstyle").best)
        exporting.export(chain.runs, out, best=best, info=info)
        model = bundle.load(out)
        nets = model.nets
        found = own_domain.find_directions(
            nets["generator"],
            nets.get("feature_extractor"),
            model.info.get("attributes", ()),
        )
        bundle.set_directions(out, found)
        facts = own_domain.familiar(model, _held_out(chain))
        bundle.set_info(out, **{familiarity.KEY: facts})
    _say(f"{len(found)} directions: {', '.join(found)}")


def _report(chain, out: Path) -> dict:
    import json

    from hyperstyle_jax.evaluation import own_domain
    from hyperstyle_jax.weights import bundle

    model, folder = bundle.load(out), chain.work / "report"
    done = folder / "report.json"
    if done.is_file() and json.loads(done.read_text()).get("bundle") == model.id:
        _say(f"{folder} is of this bundle")
        return json.loads(done.read_text())
    return own_domain.report(model, _held_out(chain), folder)


def _held_out(chain):
    """The pictures that no step was trained on."""
    from hyperstyle_jax.training import inputs

    return inputs.record_sources(chain.config("hyperstyle").data)[1]


def _finish(chain, out, summary, seconds):
    for name in ("l2", "lpips", "identity"):
        if name in summary:
            _say(f"{name}: {' → '.join(f'{value:.4f}' for value in summary[name])}")
    steps = ", ".join(f"{step} {count:,}" for step, count in chain.steps.items())
    _say(f"steps: {steps}; {_time(seconds)} this time")
    _say(f"bundle: {out}\nreport: {chain.work / 'report' / 'report.md'}\nTry it:")
    _say(f"  hyperstyle invert PICTURES --model {out} --out inverted")
    _say(f"  hyperstyle edit inverted --edit pc1=-3:3:1.5 --model {out} --out edited")
    _say(f"  hyperstyle generate --model {out} --seeds 0-63 --out samples")


def _absolute(path: str) -> str:
    return path if "://" in path else str(Path(path).absolute())


def _bundle(source: str) -> str:
    """The absolute folder of a bundle, or its name or address as it is."""
    from hyperstyle_jax.weights import bundle

    bundle.find(source)
    return _absolute(source) if Path(source).is_dir() else source


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _say(text: str):
    print(text, flush=True)  # in order with what the training prints
