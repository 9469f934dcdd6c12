"""The TOML file of ``castalia simulate``: sections, presets and how a file on disk becomes a resolved configuration."""

from __future__ import annotations

import glob
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import Field, ValidationError, field_validator

from castalia.data.feature_config import (
    ConditionVariable,
    DataConfig,
    EfficiencyConfig,
    ObjectsConfig,
    TargetVariable,
)
from castalia.data.features import Features
from castalia.data.strict import StrictModel, config_error
from castalia.errors import ConfigError
from castalia.estimators.registry import preset
from castalia.training.config import TrainingConfig

__all__ = ["TRAINING_OTHERWISE", "ModelConfig", "SimulateConfig", "load_config", "parse_config"]

TRAINING_OTHERWISE: dict[str, Any] = {
    "epochs": 15,
    "batch_size": 2048,
    "learning_rate": 2e-3,
    "schedule": "one_cycle",
    "ema": 0.999,
    "clip": 5.0,
}
# How each preset is trained where the file does not say; the paper's values are those of its section 4.
TRAINING_OF_PRESET: dict[str, dict[str, Any]] = {
    "paper": {
        "epochs": 500,
        "batch_size": 512,
        "learning_rate": 1e-3,
        "final_learning_rate": 1e-5,
        "schedule": "power",
        "metric": "mean_wasserstein",
    },
    # A regression on drawn noise has noisier gradients than a likelihood: more and longer steps.
    "flow_matching": {**TRAINING_OTHERWISE, "batch_size": 1024, "learning_rate": 1e-2},
}

# Columns that `sample` adds to the user's.
WRITTEN = frozenset({"efficiency", "out_of_support", "event_index", "replica", "member"})


class ModelConfig(StrictModel):
    """The ``[model]`` section.

    Attributes:
        preset: A known preset, such as ``"compact"``, ``"paper"``, ``"spline"`` or ``"flow_matching"``.
        estimator: Name of a registered estimator, instead of the preset's.
        options: The estimator's own options, over those of the preset.
        members: Models of an ensemble, as of a set of parton densities: member 0 is the nominal model, each further one
            is trained on a bootstrap sample with a seed of its own. 1 for the nominal model alone.
    """

    preset: str = "compact"
    estimator: str | None = None
    options: dict[str, Any] = {}
    members: int = Field(default=1, ge=1, le=99)

    @field_validator("members")
    @classmethod
    def _spread(cls, value: int) -> int:
        if value == 2:
            raise ValueError(
                "members = 2 leaves one beside the nominal model, which has no spread; give 1, or at least 3"
            )
        return value

    def resolve(self) -> tuple[str, dict[str, Any]]:
        """Return the estimator's name and its options.

        Raises:
            ConfigError: If the preset is not known.
        """
        if self.estimator is not None:
            return self.estimator, dict(self.options)
        name, options = preset(self.preset)
        return name, {**options, **self.options}


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
        """Return how the tables of these files become arrays and back."""
        return Features(self.data, self.objects, self.condition, self.target, self.efficiency)

    def to_toml(self) -> str:
        """Write the resolved configuration, every default included."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def load_config(path: Path, seed: int | None = None) -> SimulateConfig:
    """Read a configuration file; relative names in it are relative to its folder.

    Args:
        path: TOML file.
        seed: Takes the place of the file's training seed where given.

    Raises:
        ConfigError: If the file is missing, no TOML, or has an unknown key or a wrong value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; give the TOML file of the training.") from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"{path}: cannot be read as a TOML text file ({error}).") from None
    return parse_config(text, path, path.parent, seed)


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
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML ({error}).") from None
    except RecursionError:  # the parser's own limit; no configuration nests more than a few levels
        raise ConfigError(
            f"{path}: is nested too deeply for a configuration; write it as docs/simulate.md shows."
        ) from None
    model = raw.get("model", {})
    preset_name = model.get("preset", "") if isinstance(model, dict) else ""
    training = raw.get("training", {})
    if isinstance(training, dict):
        raw["training"] = {**TRAINING_OF_PRESET.get(str(preset_name), TRAINING_OTHERWISE), **training}
        if seed is not None:
            raw["training"]["seed"] = seed
    try:
        config = SimulateConfig.model_validate(raw)
    except ValidationError as error:
        raise config_error(error, path) from None
    return config.model_copy(update={"data": _absolute(config.data, folder)})


def _absolute(data: DataConfig, folder: Path) -> DataConfig:
    """Make file names absolute, so that the run folder's copy of the configuration still finds them."""
    base = glob.escape(str(folder.absolute()))
    names = {
        which: tuple(str(Path(base) / pattern) for pattern in getattr(data, which))
        for which in ("files", "validation_files", "test_files")
    }
    return data.model_copy(update=names)
