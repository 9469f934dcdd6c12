"""The TOML file of pixels: what it tells a model of the sensors, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from pixel_toys import CONDITION, MODEL, TRAINING

from castalia.apps.pixels.config import ARRAY, POSITIONS, PRESET, parse_config
from castalia.detectors.pxd.geometry import VXD_IDS
from castalia.errors import ConfigError
from castalia.estimators.pixels.hits import SensorArray

DATA = '[data]\nfiles = ["a.parquet"]\n'
TEXT = f"{DATA}{CONDITION}{MODEL}{TRAINING}"


def parsed(text=TEXT):
    return parse_config(text, Path("pixels.toml"), Path("/folder"))


def test_a_configuration_declares_conditions_and_the_detector():
    config = parsed()
    assert config.data.files == ("/folder/a.parquet",)
    assert [variable.name for variable in config.layout.condition] == ["luminosity", "pressure"]
    assert SensorArray.of(config.layout) == ARRAY == SensorArray(40, 250, 768, 256)
    assert config.features().columns == ("run", "luminosityBlock", "event", "luminosity", "pressure")
    bare = parsed(f"{DATA}{CONDITION}")
    assert bare.model.preset == PRESET
    assert bare.training.batch_size < 100  # of 70,000 hits each


def test_a_model_is_told_where_sensors_are():
    name, options = parsed().estimator()
    assert name == "toy-pixels"
    positions = np.array(options["positions"])
    assert positions.shape == (40, 5)
    np.testing.assert_array_equal(positions[:, 0] == 1.0, VXD_IDS >> 13 == 1)
    np.testing.assert_array_equal(positions[:, 0] + positions[:, 1], np.ones(40))
    np.testing.assert_allclose(positions[:, 2] ** 2 + positions[:, 3] ** 2, 1.0)
    assert len({tuple(np.round(one, 6)) for one in POSITIONS}) == 40  # no two sensors are at one place
    # Whoever knows better where they are says so.
    other = f"{DATA}{CONDITION}{MODEL}options = {{ positions = [] }}\n{TRAINING}"
    assert parsed(other).estimator()[1]["positions"] == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (DATA, "condition"),
        (f"{DATA}[condition]\n", "declare at least one variable"),
        (f"{TEXT}unknown = 1\n", "unknown"),
        (TEXT.replace('"toy-pixels"', '"toy-pixels"\nmembers = 3'), "a background has one model"),
        (f"{TEXT}positive_reweighting = true\n", "knows no hits"),
        (TEXT.replace('column = "pressure"', 'column = "out_of_support"'), "sampling writes itself"),
        (TEXT.replace('column = "pressure"', 'column = "pxd_u"'), "sampling writes itself"),
        (TEXT.replace("[condition]", 'identifiers = ["charge"]\n[condition]'), "sampling writes itself"),
        (TEXT.replace("toy-pixels", "coupling_spline_flow"), "is no model of pixel hits"),
        (TEXT.replace("toy-pixels", "nobody"), "There is no estimator 'nobody'"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, what):
    with pytest.raises(ConfigError, match=what):
        parsed(text).estimator() if "[model]" in text else parsed(text).features()
