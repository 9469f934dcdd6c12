"""Makes the command line and its fixtures available; see castalia_console.py in tests/end_to_end."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "end_to_end"))

from castalia_console import no_figures, one_thread, run, toy  # noqa: F401 - fixtures
