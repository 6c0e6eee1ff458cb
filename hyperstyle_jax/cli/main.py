"""The `hyperstyle` command: picks a subcommand, turns errors into one line each."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

# Each has add_commands(subparsers) and imports heavy things inside its functions.
_GROUPS = (
    "invert", "edit", "generate", "faces", "bundles", "evaluate", "demo", "weights",
    "speed", "prepare", "pre_extract",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0, or 1 when anything failed. Wrong usage exits with 2.
    """
    args = build_parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except KeyboardInterrupt:
        print("interrupted; finished files are kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stdout = None  # the reader has gone: nothing is left to flush to
        return 0
    except Exception as error:
        if os.environ.get("HYPERSTYLE_DEBUG") or not _is_expected(error):
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """All commands."""
    parser = argparse.ArgumentParser(
        prog="hyperstyle",
        description="Photos into a generator's latent space and weights, and edits.",
        epilog="hyperstyle COMMAND --help shows a command's options.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for group in _GROUPS:
        importlib.import_module(f"hyperstyle_jax.cli.{group}").add_commands(commands)
    return parser


def one_line(error: Exception) -> str:
    """An error's text without line breaks; of a system error also the file."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = ": ".join(filter(None, [str(error.filename or ""), error.strerror]))
    return " ".join(text.split()) or type(error).__name__


def _is_expected(error: Exception) -> bool:
    """What input or machine can cause; anything else is our bug and is shown whole."""
    out_of_memory = "RESOURCE_EXHAUSTED" in str(error)
    return isinstance(error, (ValueError, OSError, MemoryError)) or out_of_memory
