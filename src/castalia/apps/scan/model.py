"""A trained scan, opened from its run folder with all that a fit needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor

from castalia.apps.scan.config import ScanConfig, parse_config
from castalia.apps.scan.cross_section import CrossSection
from castalia.apps.scan.density import BackgroundDensity, Efficiency, SignalDensity
from castalia.apps.scan.likelihood import Parameter
from castalia.apps.scan.points import load_points
from castalia.data.features import Features
from castalia.data.layout import Variable
from castalia.errors import ModelError
from castalia.estimators.efficiency import EfficiencyModel
from castalia.estimators.storage import load_model, model_hash
from castalia.runs.efficiency import EFFICIENCY
from castalia.runs.folder import RunFolder
from castalia.runs.members import load_member, member_name

__all__ = ["BACKGROUND", "SIGNAL", "ScanModel", "background_names", "open_model"]

SIGNAL, BACKGROUND = "signal", "background"
"""Names of the densities among the models of a run."""

_PB_PER_FB = 1000.0  # a cross section of 1 pb gives a thousand events per 1/fb


@final
@dataclass(frozen=True)
class ScanModel:
    """The densities of a scan and what belongs to them.

    Attributes:
        folder: The run folder.
        config: The configuration it was trained with.
        features: How selected events become parameters (condition) and observables (target).
        parameters: The theta of the signal, each with the range it was trained in.
        signal: p(x | theta); also samples.
        members: The densities of the other members of an ensemble; empty where there are none.
        background: p_b(x); also samples. ``None`` where there is no background.
        efficiency: Probability of selection at theta; ``None`` where every event counts as selected.
        cross_section: In pb at theta; ``None`` without ``[yield]``.
        support: Training points, shape ``(points, P)``.
        sha256: Hash of the signal model.
        identity: Hash of all that a likelihood is made of: every model, and the parameters, constraints, cross section
            and yields of the configuration.
    """

    folder: RunFolder
    config: ScanConfig
    features: Features
    parameters: tuple[Parameter, ...]
    signal: SignalDensity
    members: tuple[SignalDensity, ...]
    background: BackgroundDensity | None
    efficiency: Efficiency | None
    cross_section: CrossSection | None
    support: NDArray[np.float64]
    sha256: str
    identity: str

    @property
    def observables(self) -> tuple[Variable, ...]:
        """What is observed of each event, in the order of the columns of ``x``."""
        return self.features.layout.target

    @property
    def expected_signal(self) -> Callable[[Tensor], Tensor] | None:
        """Expected signal events after selection at theta, shape ``(points,)``; ``None`` without ``[yield]``.

        That is luminosity times cross section times efficiency, differentiable in theta.
        """
        expected, cross_section, efficiency = self.config.expected, self.cross_section, self.efficiency
        if expected is None or cross_section is None:
            return None
        factor = expected.luminosity * _PB_PER_FB

        def events(theta: Tensor) -> Tensor:
            produced = factor * cross_section(theta)
            return produced if efficiency is None else produced * efficiency(theta)

        return events

    @property
    def background_yield(self) -> tuple[float, float | None] | None:
        """Expected background events after selection and the error of their constraint; ``None`` if not configured."""
        expected = self.config.expected
        if expected is None or expected.background_events is None:
            return None
        return expected.background_events, expected.background_error


def open_model(path: Path) -> ScanModel:
    """Open a finished run folder.

    Raises:
        ModelError: If the folder is no run of ``scan``, is not finished, or one of its models is damaged.
    """
    folder = RunFolder.open(path)
    if folder.record.application != "scan":
        raise ModelError(f"{path}: is a run of {folder.record.application!r}; give one written by `scan train`.")
    if folder.record.status != "finished":
        raise ModelError(f"{path}: is not trained to the end; finish it with `castalia scan train … --resume`.")
    config = parse_config(folder.config_text(), path / "config.toml", path)
    features, models = config.features(), folder.models
    signal = load_model(models / SIGNAL)
    ranges, cross_section = signal.extra.get("parameter_ranges"), signal.extra.get("cross_section")
    if signal.layout != features.layout or not isinstance(ranges, dict) or set(ranges) != set(config.parameters):
        raise ModelError(f"{path}: the model's variables are not those of its config.toml; the run folder was changed.")
    return ScanModel(
        folder=folder,
        config=config,
        features=features,
        parameters=tuple(
            Parameter(name, low=ranges[name][0], high=ranges[name][1], unit=p.unit, constraint=p.constraint)
            for name, p in config.parameters.items()
        ),
        signal=SignalDensity(signal.estimator),
        members=tuple(SignalDensity(load_member(models, member, SIGNAL)) for member in range(1, config.model.members)),
        background=_background(models, config),
        efficiency=_efficiency(models / EFFICIENCY) if config.needs_efficiency else None,
        cross_section=None if cross_section is None else CrossSection.from_json(cross_section),
        support=load_points(models / SIGNAL),
        sha256=model_hash(models / SIGNAL),
        identity=_identity(models, config, ranges, cross_section),
    )


def background_names(config: ScanConfig) -> list[str]:
    """Return the folders of the background's networks; none where there is no background."""
    number = 0 if config.background is None else config.background.average
    return [BACKGROUND, *(f"{BACKGROUND}-{network:02d}" for network in range(1, number))][:number]


def _background(models: Path, config: ScanConfig) -> BackgroundDensity | None:
    names = background_names(config)
    return BackgroundDensity(*(load_model(models / name).estimator for name in names)) if names else None


def _identity(models: Path, config: ScanConfig, ranges: JsonValue, cross_section: JsonValue) -> str:
    names = [member_name(member, SIGNAL) for member in range(config.model.members)]
    names += background_names(config)
    names += [EFFICIENCY] if config.needs_efficiency else []
    sections = config.model_dump(mode="json", include={"parameters", "expected"})
    whole = [{name: model_hash(models / name) for name in names}, sections, ranges, cross_section]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _efficiency(folder: Path) -> Efficiency:
    model = load_model(folder).estimator
    if not isinstance(model, EfficiencyModel):
        raise ModelError(f"{folder}: is a {type(model).__name__} and no efficiency; train the run again.")
    return Efficiency(model)
