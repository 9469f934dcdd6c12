"""Makes the exported models available; see exported_models.py and castalia_console.py in tests/end_to_end."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "end_to_end"))
sys.path.insert(0, str(Path(__file__).parent))

from castalia_console import one_thread, run, toy  # noqa: F401 - fixtures
from exported_models import exported  # noqa: F401 - fixture
