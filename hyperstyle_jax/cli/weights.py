"""`hyperstyle info`, `verify` and `parity` describe weights and check them."""

import sys
from pathlib import Path

NEEDED = ("encoder", "hypernet", "generator")


def add_commands(commands):
    """Adds `hyperstyle info`, `verify` and `parity`."""
    parser = commands.add_parser(
        "info",
        help="say what a bundle or a file of weights is",
        description="Prints the networks of a bundle or of an official file, their "
        "sizes, and what is missing to invert photos with it.",
    )
    parser.add_argument("path", metavar="BUNDLE_OR_FILE")
    parser.add_argument("--tensors", action="store_true", help="list all tensors")
    parser.set_defaults(run=info)

    parser = commands.add_parser(
        "verify",
        help="check every file of a bundle",
        description="Checks the sha256, size, shapes and numbers of every file that "
        "bundle.json lists, one line each. Exits with 1 if one is damaged. The sha256 "
        "of bundle.json at the end stands for the whole bundle: publish it beside the "
        "bundle, and give it as #sha256=… after an address.",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--sha256", help="what bundle.json is expected to have")
    parser.set_defaults(run=verify)

    parser = commands.add_parser(
        "parity",
        help="compare with fixtures of the official PyTorch code",
        description="Runs every fixture of a folder: official state dict, conversion, "
        "our network, comparison. Exits with 1 if one fails.",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="names of fixtures"
    )
    parser.set_defaults(run=parity)


def info(args):
    """Prints what a bundle or an official file holds."""
    if Path(args.path).is_file():
        lines = _file_lines(args.path, args.tensors)
    else:
        lines = _bundle_lines(args.path, args.tensors)
    for line in lines:
        print(line)


def _bundle_lines(path, tensors):
    from hyperstyle_jax.weights import bundle, calibrations, manifests

    folder = bundle.find(path)
    manifest = manifests.read(folder)
    yield f"{path}: a bundle"
    for role, entry in manifest["networks"].items():
        name, fields = entry["module"]["class"], _fields(entry["module"])
        yield f"  {role}: {name}, {entry['parameters']:,} parameters ({fields})"
        if tensors:
            for key, shape in bundle.tensor_shapes(folder, role).items():
                yield f"    {key} {shape}"
    directions = manifest["directions"] or {"names": []}
    yield f"  directions: {', '.join(directions['names']) or 'none'}"
    for name, value in directions.get("calibrations", {}).items():
        yield f"    {name}: {calibrations.from_json(value).summary()}"
    for key, value in manifest["info"].items():
        yield f"  {key}: {str(value):.200}"
    yield _missing(manifest["networks"])


def _file_lines(path, tensors):
    from hyperstyle_jax import trees
    from hyperstyle_jax.convert import assembling, conversion, kinds, reading
    from hyperstyle_jax.weights import specs

    value = reading.read(path)
    try:
        source = kinds.recognize(value)
    except ValueError as error:
        yield f"{path}: {error}"
        yield from _content(value, tensors)
        return
    file = assembling.File(Path(path).stem, value, source)
    yield f"{path}: {conversion.describe(file)}"
    assembled = assembling.assemble([file], log=lambda line: print(f"  {line}"))
    for role, net in assembled.nets.items():
        module, count = net.module, trees.count(net.params)
        fields = _fields(specs.spec(module))
        yield f"  {role}: {type(module).__name__}, {count:,} parameters ({fields})"
    for name, array in source.arrays.items():
        yield f"  {name} {array.shape}"
    yield from _content(value, tensors)
    yield _missing(assembled.nets)


def verify(args):
    """Prints one line per file; returns 1 if one is damaged."""
    from hyperstyle_jax.weights import bundle, manifests, model_card, verification

    folder = bundle.find(args.bundle, args.sha256)
    names, damaged = {"bundle.json", model_card.CARD}, 0
    for file in verification.verify(folder):
        state, text = ("DAMAGED", file.fault) if file.fault else ("ok", file.content)
        print(f"{state:8}{file.name}: {' '.join(text.split())}", flush=True)
        names.add(file.name)
        damaged += bool(file.fault)
    for other in sorted({f.name for f in folder.iterdir()} - names):
        print(f"{'unknown':8}{other}: bundle.json does not list it; it is not used")
    manifest = manifests.read(folder)
    print(f"bundle {manifests.identity(manifest)}, sha256 {manifests.checksum(folder)}")
    if damaged:
        print(f"{damaged} files are damaged: copy the bundle again", file=sys.stderr)
    return int(damaged > 0)


def _fields(spec) -> str:
    """The fields that are numbers or short, e.g. resolution=1024, w_dim=512."""
    shown = {k: v for k, v in spec.items() if k != "class" and v is not None}
    shown["layers"] = f"{len(shown['layers'])} layers" if "layers" in shown else None
    return ", ".join(f"{k}={str(v):.40}" for k, v in shown.items() if v is not None)


def _content(value, tensors, indent="  "):
    """The containers of a file; tensors one by one only if they are asked for."""
    import numpy as np

    if not isinstance(value, dict):
        return
    arrays = {k: v for k, v in value.items() if isinstance(v, np.ndarray)}
    if arrays:
        count = sum(int(a.size) for a in arrays.values())
        yield f"{indent}{len(arrays)} tensors, {count:,} numbers (aliases counted)"
    for key, entry in value.items():
        if isinstance(entry, dict):
            yield f"{indent}{key!s:.60}:"
            yield from _content(entry, tensors, indent + "  ")
        elif isinstance(entry, np.ndarray):
            if tensors:
                yield f"{indent}{key} {entry.dtype} {entry.shape}"
        else:
            yield f"{indent}{key!s:.60}: {str(entry):.60}"


def _missing(roles) -> str:
    missing = [role for role in NEEDED if role not in roles]
    if not missing:
        return "  complete: photos can be inverted with it"
    return f"  missing to invert photos: {', '.join(missing)}"


def parity(args):
    """Prints a table of comparisons; returns 1 if a fixture failed."""
    from hyperstyle_jax import parity as checks
    from hyperstyle_jax.system import compilation_cache

    compilation_cache.enable()
    rows = []

    def kept():
        for row in checks.run(args.folder, checks.find(args.folder, args.only)):
            rows.append(row)
            yield row

    for line in checks.table(kept()):
        print(line, flush=True)
    failed = sorted({row.fixture for row in rows if not row.passed})
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))
