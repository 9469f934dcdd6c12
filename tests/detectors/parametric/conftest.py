import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """Events made by hand, and cards to change."""
    spec = importlib.util.spec_from_file_location("parametric_events", Path(__file__).with_name("parametric_events.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
