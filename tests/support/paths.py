"""Where the repository and the fixtures are."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
GOLDENS = SHARED / "goldens"
SUPPORT = ROOT / "tests" / "support"
