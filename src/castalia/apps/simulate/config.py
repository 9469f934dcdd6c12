"""The TOML file of ``castalia simulate``: its sections, and how a file on disk becomes a resolved configuration."""

from __future__ import annotations

from pathlib import Path

from pydantic import field_validator

from castalia.data.feature_config import (
    ConditionVariable,
    DataConfig,
    EfficiencyConfig,
    ObjectsConfig,
    TargetVariable,
)
from castalia.data.features import Features
from castalia.data.strict import StrictModel
from castalia.estimators.condition_encoding import require_condition
from castalia.runs.configuration import ModelConfig, absolute_files, parse_toml
from castalia.training.config import TrainingConfig

__all__ = ["SimulateConfig", "parse_config"]

# Columns that `sample` adds to the user's.
WRITTEN = frozenset({"efficiency", "out_of_support", "event_index", "replica", "member"})


class SimulateConfig(StrictModel):
    """A whole configuration file.

    Attributes:
        data: Input files, tree, identifiers and weight.
        objects: The collection, where the columns are lists; ``None`` where every column is per event.
        condition: Variables that are given, by name.
        target: Variables to be learned, by name.
        efficiency: Which events were reconstructed; ``None`` where all are taken as such.
        model: Which estimator.
        training: How it is trained.
    """

    data: DataConfig
    objects: ObjectsConfig | None = None
    condition: dict[str, ConditionVariable]
    target: dict[str, TargetVariable]
    efficiency: EfficiencyConfig | None = None
    model: ModelConfig = ModelConfig()
    training: TrainingConfig

    @field_validator("efficiency")
    @classmethod
    def _free(cls, value: EfficiencyConfig | None) -> EfficiencyConfig | None:
        if value is not None and value.column in WRITTEN:
            raise ValueError(f"column '{value.column}' is one that sampling writes itself; give it another name")
        return value

    def features(self) -> Features:
        """Return how the tables of these files become arrays and back.

        Raises:
            ConfigError: If nothing is given, or the sections contradict each other.
        """
        require_condition(self.condition)
        return Features(self.data, self.objects, self.condition, self.target, self.efficiency)


def parse_config(text: str, path: Path, folder: Path, seed: int | None = None) -> SimulateConfig:
    """Build a configuration from TOML text.

    Args:
        text: The TOML text.
        path: File to name in errors.
        folder: What relative file names are relative to.
        seed: Takes the place of the file's training seed where given.

    Raises:
        ConfigError: If the text is no TOML, or has an unknown key or a wrong value.
    """
    config = parse_toml(SimulateConfig, text, path, documentation="docs/simulate.md", seed=seed)
    return config.model_copy(update={"data": absolute_files(config.data, folder)})
