"""Makes scores with a known ROC curve available to the tests; see binormal.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
