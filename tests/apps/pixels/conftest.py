"""Makes the toy model of pixel hits available to the tests, and a run that was trained with it."""

import sys

import pytest
from castalia_console import PLUGINS, here
from pixel_toys import config, events, write


@pytest.fixture(autouse=True, scope="session")
def toy_estimators():
    """Offer the estimator of castalia_pixels.py as an installed package does, to worker processes too."""
    sys.path.insert(0, str(PLUGINS))
    yield
    sys.path.remove(str(PLUGINS))


@pytest.fixture(scope="session")
def desk(tmp_path_factory):
    """A folder with training events, fresh ones, and a run."""
    path = tmp_path_factory.mktemp("pixels")
    write(path / "training.parquet", events(200))
    write(path / "fresh.parquet", events(150, seed=2))
    config(path / "pixels.toml", path / "training.parquet")
    here("pixels", "train", path / "pixels.toml", "-o", path / "run").good()
    return path
