"""Makes the densities that the tests of scan share available; see analytic_densities.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
