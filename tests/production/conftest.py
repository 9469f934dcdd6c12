"""Makes the tasks of these tests importable in spawned workers, which inherit the path but not pytest's modules."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
