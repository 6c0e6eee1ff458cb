"""`python -m hyperstyle_jax` is `hyperstyle`."""

import sys

from hyperstyle_jax.cli.main import main
from hyperstyle_jax.system import console, huge_pages


def program() -> int:
    """The console script."""
    huge_pages.restart()
    console.prepare()
    return console.finish(main())


if __name__ == "__main__":
    sys.exit(program())
