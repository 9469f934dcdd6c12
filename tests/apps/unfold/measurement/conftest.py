"""Makes the toys of unfold and the known problems available; see known_problems.py."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
