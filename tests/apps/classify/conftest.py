"""Makes the toy events and the toy estimators available to the tests of classify; see class_toys.py."""

import sys
from pathlib import Path

import pytest
from castalia_console import PLUGINS

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="session")
def toy_estimators():
    """Offer the estimators of castalia_classifiers.py as an installed package does, to worker processes too."""
    sys.path.insert(0, str(PLUGINS))
    yield
    sys.path.remove(str(PLUGINS))
