"""The TOML file of ``castalia unfold measure``: which run, which files, which observables in which bins."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field, ValidationError, field_validator

from castalia.apps.unfold.density_ratio import RatioConfig
from castalia.data.strict import StrictModel, config_error
from castalia.runs.configuration import toml_of

__all__ = [
    "BackgroundConfig",
    "MeasurementConfig",
    "Method",
    "ObservableConfig",
    "VariationConfig",
    "parse_measurement",
]

Method: TypeAlias = Literal["posterior", "omnifold", "iterative_bayes"]
_STEPS, _SMALLEST_BATCH = 1_000, 128
_TAKEN = ("unfolded_", "replica_")  # beginnings of columns of weights and replicas

Files: TypeAlias = Annotated[tuple[str, ...], Field(min_length=1)]


class BackgroundConfig(StrictModel):
    """Section ``[background.NAME]``: simulated events that are in the data and not in the simulation.

    Attributes:
        files: Names or glob patterns; no truth is needed.
        scale: Factor on their weights, so that they sum up to what is expected in the data.
    """

    files: Files
    scale: float = Field(default=1.0, gt=0.0)


class VariationConfig(StrictModel):
    """Section ``[variations.NAME]``: another simulation of the same process, one standard deviation away.

    Attributes:
        simulation: Names or glob patterns of its files, with truth.
    """

    simulation: Files


class ObservableConfig(StrictModel):
    """Section ``[observables.NAME]``: a quantity whose spectrum is measured.

    Attributes:
        quantity: Particle and quantity, such as ``"ttbar_mass"``.
        bins: Bin edges at truth level, in GeV, radians or pure numbers.
        detector: Its counterpart at detector level: a measured variable (``"met_pt"``), a number of objects
            (``"jet_count"``) or one of the first objects (``"jet_1_pt"``). By default the median of the trained
            posterior, which sees all that was measured.
    """

    quantity: str
    bins: tuple[float, ...] = Field(min_length=2)
    detector: str | None = None

    @field_validator("bins")
    @classmethod
    def _increasing(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        for low, high in itertools.pairwise(value):
            if low >= high:
                raise ValueError(f"the bins overlap ({high:g} follows {low:g}); give edges that increase")
        return value


class MeasurementConfig(StrictModel):
    """A whole configuration file.

    Attributes:
        run: Run folder of a trained posterior, which says what columns mean.
        methods: Methods to unfold by.
        simulation: Files of simulated events with truth, none of which was learned from, those that fail the selection
            included: they tell the acceptance.
        data: Files of data. Where they hold a truth, it is shown beside the result.
        background: Expected background by name.
        variations: Varied simulations by name.
        observables: Observables by name.
        passes: Most passes of a method over the data; the first that no longer moves the result is quoted.
        replicas: Bootstrap replicas, as many of the data as of the simulation.
        draws: Posterior draws for each event of data.
        epochs: Epochs of each classifier.
    """

    run: str
    methods: tuple[Method, ...] = Field(default=("posterior", "omnifold", "iterative_bayes"), min_length=1)
    simulation: Files
    data: Files
    background: dict[str, BackgroundConfig] = {}
    variations: dict[str, VariationConfig] = {}
    observables: dict[str, ObservableConfig] = Field(min_length=1)
    passes: int = Field(default=8, ge=1)
    replicas: int = Field(default=20, ge=2)
    draws: int = Field(default=30, ge=2)
    epochs: int = Field(default=10, ge=1)

    @field_validator("background")
    @classmethod
    def _no_other_sample(cls, value: dict[str, BackgroundConfig]) -> dict[str, BackgroundConfig]:
        taken = sorted({"data", "simulation"} & set(value))
        if taken:
            raise ValueError(f"a background cannot be called '{taken[0]}', which is another sample")
        return value

    @field_validator("observables")
    @classmethod
    def _names(cls, value: dict[str, ObservableConfig]) -> dict[str, ObservableConfig]:
        for name in value:
            if not (name.isascii() and name.isidentifier()):
                raise ValueError(f"'{name}' becomes a column and part of a file name; write letters, then digits and _")
            if name.startswith(_TAKEN):
                raise ValueError(f"'{name}' begins like the columns of weights and replicas; call it otherwise")
        return value

    @field_validator("variations")
    @classmethod
    def _no_source(cls, value: dict[str, VariationConfig]) -> dict[str, VariationConfig]:
        taken = sorted({"data", "simulation", "classifier", "ensemble"} & set(value))
        if taken:
            raise ValueError(f"a variation cannot be called '{taken[0]}', which is a source of statistical errors")
        return value

    def classifiers(self, events: int) -> RatioConfig:
        """Return how the classifiers of all methods are trained.

        Args:
            events: Simulated events at both levels: few of them are taken in smaller batches, so that there are enough
                steps all the same.
        """
        training = RatioConfig().training
        batch = int(np.clip(2 * events * self.epochs // _STEPS, _SMALLEST_BATCH, training.batch_size))
        return RatioConfig(training=training.model_copy(update={"epochs": self.epochs, "batch_size": batch}))


def parse_measurement(text: str, path: Path, folder: Path, _seed: int | None = None) -> MeasurementConfig:
    """Build a configuration from TOML text.

    Args:
        text: The TOML text.
        path: File to name in errors.
        folder: What the name of the run is relative to.

    Raises:
        ConfigError: If the text is no TOML, or has an unknown key or a wrong value.
    """
    try:
        config = MeasurementConfig.model_validate(toml_of(text, path, "docs/unfold.md"))
    except ValidationError as error:
        raise config_error(error, path) from None
    return config.model_copy(update={"run": str(folder / config.run)})
