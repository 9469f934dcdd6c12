"""Parametric smearing, what an analyst does today: a fitted resolution per variable, in bins, without correlations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from castalia.data.layout import Layout, Variable
from castalia.data.strict import StrictModel
from castalia.errors import ConfigError
from castalia.estimators import crystal_ball
from castalia.estimators.base import Batch, Density, Estimator, Events, Objective, Sampler
from castalia.estimators.condition_encoding import require_condition
from castalia.estimators.moments import weighted_quantiles
from castalia.estimators.scaling import ConditionScaling, TargetScaling
from castalia.rng import Stream

__all__ = ["ParametricSmearing", "ParametricSmearingConfig", "smearing_axes"]

_AXES = 3
_EVENTS_PER_CELL = 200  # bins are made wider until a cell holds this many on average
_FEWEST = 30  # a cell with fewer takes the fit of all events
_ROUNDS = 3
_STEPS = 4


@final
class ParametricSmearingConfig(StrictModel):
    """Configuration of ``ParametricSmearing``.

    Attributes:
        shape: ``"crystal_ball"`` has power-law tails on both sides, shared by all bins of a variable; ``"gaussian"``
            has none.
        bins: Quantile bins per condition variable; fewer are used where a cell would hold under 200 events.
    """

    shape: Literal["crystal_ball", "gaussian"] = "crystal_ball"
    bins: int = Field(default=8, ge=1, le=32)


@final
class ParametricSmearing(Estimator, Sampler, Density):
    """Independent fits per target variable in quantile bins of the conditions of its own object.

    A target of object ``k`` is binned in up to three conditions: those of object ``k`` first, then those of the event;
    a target of no object in the first three conditions. Per cell the location and width of the core are fitted, per
    target the tails of the pulls, alternately, by maximum likelihood. Different targets are drawn independently.
    Where a target has bounds or a logarithm, the fit is made to the unbounded variable; integers are dequantised.

    ``prepare`` is all the training there is. It holds the training sample in memory.

    Args:
        config: Configuration.
        layout: Condition and target variables.

    Raises:
        ConfigError: If a side of the layout is empty.
    """

    Config = ParametricSmearingConfig

    edges: Tensor
    location: Tensor
    width: Tensor
    tails: Tensor

    def __init__(self, config: ParametricSmearingConfig, layout: Layout) -> None:
        super().__init__()
        if not isinstance(config, self.Config):
            raise ConfigError(f"{type(self).__name__} takes a {self.Config.__name__}, not a {type(config).__name__}.")
        require_condition(layout.condition)
        self.config, self.layout = config, layout
        self.conditions = ConditionScaling(layout.condition)
        self.targets = TargetScaling(layout.target)
        self.axes = [smearing_axes(variable, layout.condition) for variable in layout.target]
        targets, cells = len(layout.target), config.bins**_AXES
        # Unused edges stay at infinity, so the shapes depend on the configuration alone and any saved state fits.
        self.register_buffer("edges", torch.full((targets, _AXES, config.bins - 1), torch.inf))
        self.register_buffer("location", torch.zeros(targets, cells))
        self.register_buffer("width", torch.ones(targets, cells))
        self.register_buffer("tails", torch.tensor(crystal_ball.GAUSSIAN).repeat(targets, 1))

    def prepare(self, stream: Iterable[Batch]) -> None:
        """Fit all cells; see ``Trainable.prepare``. Events count with the size of their weight.

        Raises:
            DataError: If a value is not finite or outside what its variable declares, or a variable is constant.
        """
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for batch in stream:
            target = self.targets.check_shape(batch.target.flat)
            self.conditions.update(batch.condition.flat, batch.weight)
            self.targets.update(target, batch.weight)
            parts.append((batch.condition.flat, target, batch.weight))
        self.conditions.finish()
        self.targets.finish()
        condition, target, weight = (torch.cat(part) for part in zip(*parts, strict=True))
        noise = Stream(0, "smearing dequantisation").at().random((len(target), len(self.targets.integers)))
        scaled, _ = self.targets(self.targets.dequantise(target, torch.from_numpy(noise)))
        scaled, weight = scaled.double().cpu(), weight.double().cpu().abs()
        given = self.conditions(condition)
        for i, axes in enumerate(self.axes):
            self._place_edges(i, given[:, axes].double().cpu(), weight)
            self._fit(i, scaled[:, i], self._cell(given, i).cpu(), weight)

    def objectives(self) -> tuple[Objective, ...]:
        """Return none: the fits of ``prepare`` are all."""
        return ()

    @torch.no_grad()
    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        """Draw targets by the inverse of the cumulative distribution; see ``Sampler.sample``.

        Raises:
            ModelError: If the model was never prepared.
            DataError: If the condition does not fit the layout.
        """
        self.targets.require_prepared()
        given = self.conditions(condition.flat)
        uniform = torch.from_numpy(rng.random((len(given) * draws, len(self.axes)))).to(given.device)
        columns = []
        for i in range(len(self.axes)):
            cell = self._cell(given, i).repeat_interleave(draws)
            pull = crystal_ball.quantile(uniform[:, i], self.tails[i].double()).to(given.dtype)
            columns.append(self.location[i, cell] + self.width[i, cell] * pull)
        return Events(self.targets.to_sample(self.targets.inverse(torch.stack(columns, dim=1))))

    def log_prob(self, batch: Batch) -> Tensor:
        """Return the log-density per event, the sum over the targets; see ``Density.log_prob``.

        Raises:
            ModelError: If the model was never prepared.
            DataError: If the batch does not fit the layout.
        """
        self.targets.require_prepared()
        given = self.conditions(batch.condition.flat)
        cells = [self._cell(given, i) for i in range(len(self.axes))]
        location = torch.stack([self.location[i, cell] for i, cell in enumerate(cells)], dim=1)
        width = torch.stack([self.width[i, cell] for i, cell in enumerate(cells)], dim=1)

        def scaled_log_prob(scaled: Tensor) -> Tensor:
            pulls = ((scaled - location) / width).unbind(1)
            densities = [crystal_ball.log_density(pull, self.tails[i]) for i, pull in enumerate(pulls)]
            return torch.stack(densities, dim=1).sum(1) - width.log().sum(1)

        return self.targets.log_prob(self.targets.check_shape(batch.target.flat), scaled_log_prob)

    def support(self) -> tuple[Tensor, Tensor]:
        """Return lower and upper ends of the targets' support, each of shape ``(T,)``; infinite where unbounded."""
        return self.targets.support()

    def _place_edges(self, target: int, given: Tensor, weight: Tensor) -> None:
        """Place the edges of one target's axes at equal shares of the weight."""
        dimensions = given.shape[1]
        bins = max(1, min(self.config.bins, int((len(given) / _EVENTS_PER_CELL) ** (1 / dimensions))))
        self.edges[target] = torch.inf
        for axis in range(dimensions):
            levels = torch.arange(1, bins) / bins
            self.edges[target, axis, : bins - 1] = weighted_quantiles(given[:, axis], weight, levels).to(self.edges)

    def _cell(self, given: Tensor, target: int) -> Tensor:
        """Return the cell number of each event for one target, shape ``(events,)``."""
        cell = torch.zeros(len(given), dtype=torch.long, device=given.device)
        for axis, column in enumerate(self.axes[target]):
            found = torch.searchsorted(self.edges[target, axis], given[:, column].contiguous(), right=True)
            cell = cell * self.config.bins + found.clamp(max=self.config.bins - 1)
        return cell

    def _fit(self, target: int, values: Tensor, cell: Tensor, weight: Tensor) -> None:
        """Fit location and width per cell and the tails of all."""
        cells = self.location.shape[1]
        if self.config.shape == "gaussian":
            location, width = _clipped_core(values, cell, weight, cells, clip=np.inf)
            tails = torch.tensor(crystal_ball.GAUSSIAN, dtype=torch.float64)
        else:
            location, width = _clipped_core(values, cell, weight, cells, clip=3.0)
            tails = torch.tensor([1.5, 5.0, 1.5, 5.0], dtype=torch.float64)
            for _ in range(_ROUNDS):
                tails = crystal_ball.fit_tails((values - location[cell]) / width[cell], weight, tails)
                location, width = _fit_core(values, cell, weight, (location, width), tails)
        self.location[target].copy_(location)
        self.width[target].copy_(width)
        self.tails[target].copy_(tails)


def smearing_axes(target: Variable, condition: tuple[Variable, ...]) -> list[int]:
    """Return which conditions (at most three) a target's resolution is binned in: its object's, then the event's."""
    event = [i for i, v in enumerate(condition) if v.object_index is None]
    own = [i for i, v in enumerate(condition) if v.object_index is not None and v.object_index == target.object_index]
    if target.object_index is None or not own + event:
        return list(range(len(condition)))[:_AXES]
    return (own + event)[:_AXES]


def _clipped_core(values: Tensor, cell: Tensor, weight: Tensor, cells: int, clip: float) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation per cell of what lies within ``clip`` deviations, found in three rounds."""
    keep = torch.ones_like(weight)
    location, width = torch.zeros(cells, dtype=torch.float64), torch.ones(cells, dtype=torch.float64)
    for _ in range(1 if np.isinf(clip) else 3):
        share = weight * keep
        count = torch.bincount(cell, keep, minlength=cells)
        total = torch.bincount(cell, share, minlength=cells)
        overall = (share * values).sum() / share.sum()
        spread = ((share * (values - overall) ** 2).sum() / share.sum()).sqrt()
        safe = torch.where(total > 0, total, torch.ones_like(total))
        mean = torch.bincount(cell, share * values, minlength=cells) / safe
        variance = torch.bincount(cell, share * (values - mean[cell]) ** 2, minlength=cells) / safe
        enough = (count >= _FEWEST) & (variance > 0)
        location = torch.where(enough, mean, overall)
        width = torch.where(enough, variance.sqrt(), spread)
        keep = ((values - location[cell]).abs() <= clip * width[cell]).double()
    return location, width


def _fit_core(
    values: Tensor, cell: Tensor, weight: Tensor, start: tuple[Tensor, Tensor], tails: Tensor
) -> tuple[Tensor, Tensor]:
    """Maximise the likelihood of every cell's location and width at a fixed tail shape, by Fisher scoring."""
    location, width = start
    cells = len(location)
    inverse = torch.linalg.inv(crystal_ball.information(tails))
    total = torch.bincount(cell, weight, minlength=cells)
    enough = (torch.bincount(cell, minlength=cells) >= _FEWEST) & (total > 0)
    safe = torch.where(enough, total, torch.ones_like(total))
    for _ in range(_STEPS):
        pull = (values - location[cell]) / width[cell]
        score = crystal_ball.slope(pull, tails)
        gradient = torch.stack(
            [torch.bincount(cell, -weight * score, minlength=cells), -total - _sum(cell, weight * pull * score, cells)]
        )
        step = (inverse @ (gradient / safe) * enough).clamp(-0.5, 0.5)
        location, width = location + width * step[0], width * step[1].exp()
    return location, width


def _sum(cell: Tensor, values: Tensor, cells: int) -> Tensor:
    return torch.bincount(cell, values, minlength=cells)
