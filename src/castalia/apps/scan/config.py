"""The TOML file of ``castalia scan``: its sections, and how a file on disk becomes a resolved configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from castalia.data.feature_config import ConditionVariable, DataConfig, EfficiencyConfig, TargetVariable
from castalia.data.features import Features
from castalia.data.strict import StrictModel
from castalia.errors import ConfigError
from castalia.runs.configuration import FILE_LISTS, ModelConfig, absolute_files, parse_toml
from castalia.training.config import TrainingConfig

__all__ = [
    "CROSS_SECTION",
    "SECTIONS",
    "BackgroundConfig",
    "ParameterVariable",
    "ScanConfig",
    "YieldConfig",
    "parse_config",
]

CROSS_SECTION = "cross_section"
"""Name of the cross section where it is read as a variable."""

SECTIONS = ("[parameters]", "[observables]")
"""The sections of a scan's condition and target, as errors name them."""

Positive = Annotated[float, Field(gt=0)]


class ParameterVariable(StrictModel):
    """A parameter of ``[parameters]``.

    Attributes:
        column: The column that holds its true value, one per event.
        unit: Its unit.
        constraint: Mean and standard deviation of a Gaussian constraint from another measurement; ``None`` where the
            events alone decide.
    """

    column: str
    unit: str = ""
    constraint: tuple[float, Positive] | None = None


class BackgroundConfig(StrictModel):
    """Section ``[background]``: events whose density does not depend on the parameters.

    Their tree, identifiers, weight and selection have the names that ``[data]`` declares.

    Attributes:
        files: Names or glob patterns, relative to the folder of the configuration.
        validation_files: Files for validation, instead of a tenth of ``files``.
        test_files: Files for the test, instead of a tenth of ``files``.
        options: Options of its estimator, over those of ``[model]``: a fit evaluates this density once, so that a large
            network costs only training, and most of the observed events are background.
        average: Networks, trained on the same events from seeds of their own, whose densities are averaged: what each
            makes of the fluctuations of its training cancels in part.
    """

    files: tuple[str, ...] = Field(min_length=1)
    validation_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    options: dict[str, Any] = {}
    average: int = Field(default=1, ge=1, le=20)


class YieldConfig(StrictModel):
    """Section ``[yield]``: how many events are expected, which makes the likelihood of a fit an extended one.

    Attributes:
        luminosity: Integrated luminosity of the observed events in 1/fb.
        cross_section: Of the signal before selection in pb, or the column that holds it for each event.
        background_events: Number of background events expected after selection; ``None`` without ``[background]``.
        background_error: Standard deviation of its Gaussian constraint; ``None`` where it is free.
    """

    luminosity: Positive
    cross_section: Positive | str
    background_events: Positive | None = None
    background_error: Positive | None = None


class ScanConfig(StrictModel):
    """A whole configuration file.

    Attributes:
        data: Signal files, tree, identifiers, weight and selection.
        parameters: The theory's parameters and nuisances, by name.
        observables: What is observed of each event, by name.
        background: Background files; ``None`` where there is no background.
        expected: The section ``[yield]``; ``None`` where the number of events tells nothing.
        model: Which estimator.
        training: How it is trained.
    """

    data: DataConfig
    parameters: dict[str, ParameterVariable] = Field(min_length=1)
    observables: dict[str, TargetVariable] = Field(min_length=1)
    background: BackgroundConfig | None = None
    expected: YieldConfig | None = Field(default=None, alias="yield")
    model: ModelConfig
    training: TrainingConfig

    @field_validator("expected")
    @classmethod
    def _whole(cls, value: YieldConfig | None) -> YieldConfig | None:
        if value is not None and value.background_error is not None and value.background_events is None:
            raise ValueError("background_error is the error of background_events; give that as well")
        return value

    @property
    def needs_efficiency(self) -> bool:
        """Whether the probability of selection is wanted: for an expected number of events that were selected."""
        return self.expected is not None and self.data.selection is not None

    def features(self) -> Features:
        """Return how selected signal events become parameters (condition) and observables (target).

        Raises:
            ConfigError: If the declarations contradict each other.
        """
        return Features(self.data, None, self._condition(), self.observables, sections=SECTIONS)

    def training_features(self) -> Features:
        """Return the same for training, where events that are not selected count for the efficiency if it is wanted."""
        if not self.needs_efficiency or self.data.selection is None:
            return self.features()
        everything = self.data.model_copy(update={"selection": None})
        flag = EfficiencyConfig(column=self.data.selection)
        return Features(everything, None, self._condition(), self.observables, flag, SECTIONS)

    def background_features(self) -> Features | None:
        """Return how background files become observables; ``None`` without ``[background]``."""
        if self.background is None:
            return None
        files = {name: getattr(self.background, name) for name in FILE_LISTS}
        data = self.data.model_copy(update=files)
        return Features(data, None, {}, self.observables, sections=SECTIONS)

    def cross_section_features(self) -> Features | None:
        """Return how signal files become parameters and cross sections; ``None`` where no column holds these."""
        if self.expected is None or not isinstance(self.expected.cross_section, str):
            return None
        everything = self.data.model_copy(update={"selection": None})
        cross_section = TargetVariable(column=self.expected.cross_section, unit="pb")
        return Features(everything, None, self._condition(), {CROSS_SECTION: cross_section}, sections=SECTIONS)

    def _condition(self) -> dict[str, ConditionVariable]:
        return {name: ConditionVariable(column=p.column, unit=p.unit) for name, p in self.parameters.items()}


def parse_config(text: str, path: Path, folder: Path, seed: int | None = None) -> ScanConfig:
    """Build a configuration from TOML text.

    Args:
        text: The TOML text.
        path: File to name in errors.
        folder: What relative file names are relative to.
        seed: Takes the place of the file's training seed where given.

    Raises:
        ConfigError: If the text is no TOML, has an unknown key or a wrong value, or its sections do not go together.
    """
    config = parse_toml(ScanConfig, text, path, documentation="docs/scan.md", seed=seed, preset="scan")
    expects = config.expected is not None and config.expected.background_events is not None
    if config.expected is not None and expects != (config.background is not None):
        missing, given = ("[background]", "background_events") if expects else ("background_events", "[background]")
        raise ConfigError(f"{path}: [yield] needs {missing}, because there is {given}; give both or none.")
    background = None if config.background is None else absolute_files(config.background, folder)
    return config.model_copy(update={"data": absolute_files(config.data, folder), "background": background})
