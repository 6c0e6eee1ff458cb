"""`python -m hyperstyle_jax` is `hyperstyle`."""

import sys

from hyperstyle_jax import huge_pages
from hyperstyle_jax.cli.main import main


def program() -> int:
    """The console script."""
    huge_pages.restart()
    return main()


if __name__ == "__main__":
    sys.exit(program())
