"""Name the files over 1 MB among those given, and exit 1 if there is one: data is generated or fetched."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["LIMIT", "main"]

LIMIT = 1_000_000


def main(arguments: Sequence[str]) -> int:
    """Return 1 if one of the files named is larger than ``LIMIT`` bytes, and say which."""
    large = [name for name in arguments if Path(name).is_file() and Path(name).stat().st_size > LIMIT]
    for name in large:
        sys.stderr.write(f"{name}: {Path(name).stat().st_size} bytes; a repository file has at most {LIMIT}.\n")
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
