"""An estimator of one's own: a Gaussian response whose centre and width depend on the condition by a small network."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.estimators.base import Batch, Density, Estimator, Events, Losses, Objective, Sampler
from castalia.estimators.scaling import ConditionScaling, TargetScaling
from castalia.nn.mlp import MLP


class GaussianConfig(StrictModel):
    """Options a user may set under ``[model.options]``."""

    hidden: int = 32


class GaussianResponse(Estimator, Sampler, Density):
    """Independent Gaussians, one per target."""

    Config = GaussianConfig

    def __init__(self, config: GaussianConfig, layout: Layout) -> None:
        super().__init__()
        self.config = config
        self.condition_scaling = ConditionScaling(layout.condition)
        self.target_scaling = TargetScaling(layout.target)
        self.network = MLP(len(layout.condition), 2 * len(layout.target), (config.hidden, config.hidden))

    def prepare(self, stream: Iterable[Batch]) -> None:
        for batch in stream:
            self.condition_scaling.update(batch.condition.flat, batch.weight)
            self.target_scaling.update(batch.target.flat, batch.weight)
        self.condition_scaling.finish()
        self.target_scaling.finish()

    def objectives(self) -> tuple[Objective, ...]:
        return (Objective("likelihood", tuple(self.parameters()), self._loss),)

    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        centre, log_width = self._response(condition.flat.repeat_interleave(draws, dim=0))
        noise = torch.from_numpy(rng.standard_normal(centre.shape)).to(centre)
        return Events(self.target_scaling.inverse(centre + noise * log_width.exp()))

    def log_prob(self, batch: Batch) -> Tensor:
        scaled, log_jacobian = self.target_scaling(batch.target.flat)
        centre, log_width = self._response(batch.condition.flat)
        pull = (scaled - centre) / log_width.exp()
        density: Tensor = -0.5 * pull**2 - log_width - 0.5 * np.log(2 * np.pi)
        return density.sum(dim=1) + log_jacobian

    def _loss(self, batch: Batch, rng: np.random.Generator) -> Losses:
        return Losses(-self.log_prob(batch))

    def _response(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        centre, log_width = self.network(self.condition_scaling(condition)).chunk(2, dim=1)
        return centre, log_width
