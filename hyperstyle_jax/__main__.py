"""`python -m hyperstyle_jax` is `hyperstyle`."""

import sys

from hyperstyle_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
