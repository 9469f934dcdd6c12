"""The TOML file of ``castalia pixels``: its sections, and what a model is told of the detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from pydantic import field_validator, model_validator

from castalia.data.feature_config import ConditionVariable, DataConfig
from castalia.data.features import Features
from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.detectors.pxd.columns import BASF2_COLUMNS, HIT_COLUMNS
from castalia.detectors.pxd.geometry import SENSOR_LAYER, SENSOR_NUMBER, SENSOR_PHI, SENSORS, U_CELLS, V_CELLS
from castalia.errors import ConfigError
from castalia.estimators.condition_encoding import require_condition
from castalia.estimators.pixels.hits import SensorArray
from castalia.estimators.registry import estimator_class
from castalia.runs.configuration import ModelConfig, absolute_files, parse_toml
from castalia.training.config import TrainingConfig

__all__ = ["ARRAY", "FLAG", "HIT_NAMES", "POSITIONS", "PRESET", "PixelsConfig", "parse_config"]

PRESET: Final = "yoneda"
"""Preset of a configuration that names none."""

FLAG: Final = "out_of_support"
"""Column that flags sampled events whose conditions lie outside the training range."""

ARRAY: Final = SensorArray(SENSORS, U_CELLS, V_CELLS, charges=256)
"""The pixel detector: 40 sensors of 250 × 768 pixels with charges up to 255 ADU."""

POSITIONS: Final = tuple(
    (float(layer == 1), float(layer == 2), float(np.cos(phi)), float(np.sin(phi)), 1.0 if number == 1 else -1.0)
    for layer, phi, number in zip(SENSOR_LAYER, SENSOR_PHI, SENSOR_NUMBER, strict=True)
)
"""Of every sensor: whether it is of layer 1, of layer 2, cosine and sine of its azimuth, and 1 forward, -1 backward."""

HIT_NAMES: Final = tuple(spec.name for spec in (*HIT_COLUMNS, *BASF2_COLUMNS))
"""Columns of hits that files may have, ours and those in basf2's terms."""


class PixelsConfig(StrictModel):
    """A whole configuration file.

    Attributes:
        data: Files, tree, identifiers, weight and selection; the columns of the hits are found by their names.
        condition: Variables of whole events that are given, by name.
        model: Which estimator.
        training: How it is trained.
    """

    data: DataConfig
    condition: dict[str, ConditionVariable]
    model: ModelConfig = ModelConfig(preset=PRESET)
    training: TrainingConfig

    @field_validator("model")
    @classmethod
    def _alone(cls, value: ModelConfig) -> ModelConfig:
        if value.members != 1:
            raise ValueError(f"members = {value.members}: a background has one model; leave members out")
        return value

    @field_validator("training")
    @classmethod
    def _weights_stay(cls, value: TrainingConfig) -> TrainingConfig:
        if value.positive_reweighting:
            raise ValueError("positive_reweighting knows no hits; give positive weights, or none")
        return value

    @model_validator(mode="after")
    def _free(self) -> Self:
        passed = (*(variable.column for variable in self.condition.values()), *self.data.identifiers)
        taken = next((name for name in passed if name in (FLAG, *HIT_NAMES)), None)
        if taken is not None:
            raise ValueError(f"column '{taken}' is one that sampling writes itself; give it another name")
        return self

    def features(self) -> Features:
        """Return how the conditions of events become arrays; hits are read beside them.

        Raises:
            ConfigError: If nothing is given, or the sections contradict each other.
        """
        require_condition(self.condition)
        return Features(self.data, None, self.condition, {}, sections=("[condition]", None))

    @property
    def layout(self) -> Layout:
        """The variables of the model: its target is the features of a hit."""
        return Layout(self.features().layout.condition, ARRAY.variables)

    def estimator(self) -> tuple[str, dict[str, Any]]:
        """Return the name and the options of the estimator, where the sensors are among them.

        Raises:
            ConfigError: If the preset or estimator is not known, or is no model of pixel hits.
        """
        name, options = self.model.resolve()
        known: Any = estimator_class(name)
        if "positions" not in known.Config.model_fields:
            raise ConfigError(f"The estimator '{name}' is no model of pixel hits; take the preset '{PRESET}'.")
        return name, {"positions": POSITIONS, **options}


def parse_config(text: str, path: Path, folder: Path, seed: int | None = None) -> PixelsConfig:
    """Build a configuration from TOML text.

    Args:
        text: The TOML text.
        path: File to name in errors.
        folder: What relative file names are relative to.
        seed: Takes the place of the file's training seed where given.

    Raises:
        ConfigError: If the text is no TOML, or has an unknown key or a wrong value.
    """
    config = parse_toml(PixelsConfig, text, path, documentation="docs/pixels.md", seed=seed, preset=PRESET)
    return config.model_copy(update={"data": absolute_files(config.data, folder)})
