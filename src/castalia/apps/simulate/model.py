"""A trained response model, opened from its run folder with all that is needed to use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from castalia.apps.simulate.config import SimulateConfig, parse_config
from castalia.data.features import Features
from castalia.errors import ModelError
from castalia.estimators.base import Estimator, Sampler
from castalia.estimators.efficiency import EfficiencyModel
from castalia.estimators.storage import load_model, model_hash
from castalia.metrics.support import ConditionRanges, outside
from castalia.runs.folder import RunFolder

__all__ = ["NOMINAL", "ResponseModel", "open_model", "sampler_of"]

NOMINAL = "response"
"""Name of the response among the models of a run."""


@dataclass(frozen=True)
class ResponseModel:
    """A response model and the variables it works in.

    Attributes:
        folder: Its run folder.
        config: The configuration it was trained with.
        features: How tables become its arrays.
        estimator: The trained model.
        rival: The parametric smearing fitted to the same events.
        efficiency: The probability of being reconstructed; ``None`` where the run has no ``[efficiency]``.
        ranges: Lowest and highest training value of each condition.
        scales: Length of each target's Wasserstein distances: the declared scale or the training width.
        sha256: Hash of the saved model.
    """

    folder: RunFolder
    config: SimulateConfig
    features: Features
    estimator: Estimator
    rival: Estimator
    efficiency: EfficiencyModel | None
    ranges: ConditionRanges
    scales: NDArray[np.float64]
    sha256: str

    @property
    def sampler(self) -> Sampler:
        """The model as a sampler.

        Raises:
            ModelError: If the estimator cannot sample.
        """
        return sampler_of(self.estimator, self.folder.path)

    @property
    def rival_sampler(self) -> Sampler:
        """The rival as a sampler."""
        return sampler_of(self.rival, self.folder.path)

    def outside(self, condition: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Flag conditions outside the range of the training events, shape ``(rows,)``."""
        return outside(condition, self.ranges)


def sampler_of(estimator: Estimator, path: Path) -> Sampler:
    """Return the model of the run folder ``path`` as a sampler.

    Raises:
        ModelError: If it cannot sample.
    """
    if not isinstance(estimator, Sampler):
        raise ModelError(f"{path}: its estimator {type(estimator).__name__} cannot sample; train one that can.")
    return estimator


def _efficiency(folder: RunFolder) -> EfficiencyModel:
    if not (folder.models / "efficiency").is_dir():
        raise ModelError(
            f"{folder.path}: has no trained efficiency yet; finish it with `castalia simulate train … --resume`."
        )
    model = load_model(folder.models / "efficiency").estimator
    if not isinstance(model, EfficiencyModel):
        raise ModelError(f"{folder.models / 'efficiency'}: is a {type(model).__name__}; train the run again.")
    return model


def open_model(path: Path) -> ResponseModel:
    """Open a finished run folder.

    Raises:
        ModelError: If the folder is no run of ``simulate``, is not finished, or its model is damaged.
    """
    folder = RunFolder.open(path)
    if folder.record.application != "simulate":
        raise ModelError(f"{path}: is a run of {folder.record.application!r}; give one written by `simulate train`.")
    if not (folder.models / NOMINAL).is_dir():
        raise ModelError(f"{path}: has no trained model yet; finish it with `castalia simulate train … --resume`.")
    config = parse_config(folder.config_text(), path / "config.toml", path)
    features = config.features()
    response, rival = load_model(folder.models / NOMINAL), load_model(folder.models / "rival")
    names = tuple(v.name for v in features.layout.condition)
    ranges = response.extra.get("condition_ranges")
    if response.layout != features.layout or not isinstance(ranges, dict) or set(ranges) != set(names):
        raise ModelError(f"{path}: the model's variables are not those of its config.toml; the run folder was changed.")
    return ResponseModel(
        folder,
        config,
        features,
        response.estimator.eval(),
        rival.estimator.eval(),
        None if config.efficiency is None else _efficiency(folder),
        ConditionRanges(*np.array([ranges[name] for name in names], dtype=np.float64).T),
        np.array(response.extra["target_scales"], dtype=np.float64),
        model_hash(folder.models / NOMINAL),
    )
