"""Makes the known measurement and its samples available to the tests of unfold; see unfolding_toys.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
