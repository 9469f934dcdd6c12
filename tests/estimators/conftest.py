"""Toys that several tests share."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def pixel_toys() -> ModuleType:
    """Events of a small array of pixel sensors."""
    spec = importlib.util.spec_from_file_location("pixel_toys", Path(__file__).parent / "pixels" / "toy_pixels.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
