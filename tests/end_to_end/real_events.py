"""Real collision events, where they lie beside the repository."""

from pathlib import Path

import pytest

__all__ = ["real_events"]


def real_events(name: str) -> Path:
    """Return a file of them; the test is skipped where it is not there."""
    places = (folder / "shared" / "data" / "cms-open-data" / name for folder in Path(__file__).parents)
    found = next((place for place in places if place.exists()), None)
    if found is None:
        pytest.skip(f"{name} is not beside the repository")
    return found
