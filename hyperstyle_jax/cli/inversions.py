"""`hyperstyle inversions` lists, checks and compares inversions on disk."""

import sys
from collections import Counter
from pathlib import Path


def add_commands(commands):
    """Adds the parser of `hyperstyle inversions`."""
    parser = commands.add_parser(
        "inversions",
        help="list, check and compare inversions",
        description="Reads all .npz files of `hyperstyle invert` in a folder: whether "
        "they are whole, finite and made with the bundle. With --against also how far "
        "those of another folder are from them, by their names. Exits with 1 if one is "
        "damaged or of another model.",
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="DIR_OR_FILE", help=".npz or folders"
    )
    parser.add_argument("--model", default="demo", help="bundle (default: demo)")
    parser.add_argument(
        "--against", nargs="+", type=Path, metavar="DIR_OR_FILE", help="to compare with"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE.json", help="the same as JSON"
    )
    parser.set_defaults(run=run)


def run(args):
    """Lists and compares; returns 1 if an inversion cannot be used."""
    from hyperstyle_jax.cli.edit import find
    from hyperstyle_jax.inversion import comparing
    from hyperstyle_jax.system import atomic_files, compilation_cache
    from hyperstyle_jax.weights import bundle

    compilation_cache.enable()
    model = bundle.load(args.model)
    groups = [find(args.inputs)] + ([find(args.against)] if args.against else [])
    checked = [{file: comparing.check(model, file) for file in g} for g in groups]
    rows = [_row(file, c) for group in checked for file, c in group.items()]
    for row in rows:
        iterations = "" if row["num_iters"] is None else f"T = {row['num_iters']}"
        text = f"{row['state']:12}{iterations:8}{row['file']}"
        print(f"{text}: {row['why']}" if row["why"] else text)
    result = {"bundle": model.id, "inversions": rows}
    if args.against:
        result["differences"] = _compare(model, *checked)
    states = Counter(row["state"] for row in rows)
    listed = ", ".join(f"{states[state]} {state}" for state in sorted(states))
    print(f"{len(rows)} inversions: {listed} ({args.model} is bundle {model.id})")
    if args.out:
        print(f"written: {atomic_files.write_json(args.out, result)}")
    return int(states[comparing.GOOD] < len(rows))


def _row(file, checked) -> dict:
    stored = checked.stored
    return {
        "file": str(file),
        "state": checked.state,
        "num_iters": stored.num_iters if stored else None,
        "bundle": stored.bundle if stored else None,
        "why": " ".join(checked.why.split()),
    }


def _compare(model, ours, theirs) -> list[dict]:
    """Prints and returns the differences of inversions of one name."""
    from hyperstyle_jax.inversion import comparing

    named = [
        {f.stem: c.stored for f, c in group.items() if c.state == comparing.GOOD}
        for group in (ours, theirs)
    ]
    shared, rows = sorted(named[0].keys() & named[1].keys()), []
    measures = [_measures(group) for group in (ours, theirs)]
    print(f"\n{'':24}latent    weights   image L2  closeness of each to its photo")
    for name in shared:
        values = comparing.difference(model, named[0][name], named[1][name])
        pair = [of.get(name, {}) for of in measures]
        row = {"name": name, **values._asdict(), "measures": pair}
        rows.append(row)
        known = [m for m in pair[0] if m in pair[1]]
        closeness = ", ".join(f"{m} {pair[0][m]:.4f}, {pair[1][m]:.4f}" for m in known)
        numbers = "".join(f"{value:<10.4f}" for value in values)
        print(f"{name[:23]:24}{numbers}{closeness}")
    for group, other in ((0, 1), (1, 0)):
        if alone := sorted(named[group].keys() - named[other].keys()):
            print(
                f"not in both: {', '.join(alone[:5])}"
                + (f" and {len(alone) - 5} more" if len(alone) > 5 else ""),
                file=sys.stderr,
            )
    print()
    return rows


def _measures(group) -> dict[str, dict[str, float]]:
    """What `metrics.jsonl` beside the files says of each after its last iteration."""
    from hyperstyle_jax.cli import inverted
    from hyperstyle_jax.inversion.measuring import MEASURES

    rows = [
        row for folder in {f.parent for f in group} for row in inverted.read(folder)
    ]
    return {
        row["name"]: {m: row[m][-1] for m in MEASURES if row.get(m)} for row in rows
    }
