"""The command `hyperstyle` runs a subcommand and turns each error into one line."""

import argparse
import importlib
from collections.abc import Sequence

from hyperstyle_jax.system import program

# Modules of this folder. Each has add_commands(subparsers), and imports what takes
# long inside its functions.
_GROUPS = (
    "invert", "edit", "generate", "faces", "bundles", "directions", "evaluate", "demo",
    "weights", "speed", "prepare", "pre_extract", "align", "paste_back", "edit_photo",
    "fit_direction", "channels", "check_edits",
    "text_direction", "familiarize", "inversions",
    "drag", "combine", "adapt", "report", "domain", "benchmark", "app",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0, or 1 when anything failed; 130 after Ctrl-C, 143 after SIGTERM. Wrong usage
        exits with 2.
    """
    args = build_parser().parse_args(argv)
    return program.run(lambda: args.run(args))


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="hyperstyle",
        description="Photos into a generator's latent space and weights, and edits.",
        epilog="hyperstyle COMMAND --help shows a command's options.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for group in _GROUPS:
        importlib.import_module(f"hyperstyle_jax.cli.{group}").add_commands(commands)
    return parser
