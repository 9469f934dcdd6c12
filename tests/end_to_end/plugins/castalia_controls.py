"""Models with a known fault, registered as a user would register an estimator: the judge must find each fault."""

from __future__ import annotations

import numpy as np
import torch

from castalia.data.strict import StrictModel
from castalia.detectors.photon_response import PhotonResponse
from castalia.estimators.base import Density, Estimator, Events, Sampler


class Config(StrictModel):
    """The response to imitate and the fault to plant."""

    scenario: str = "baseline"
    rho: float = 0.0
    width: float = 1.0
    blind: bool = False


class AnalyticControl(Estimator, Sampler, Density):
    """The analytic photon response itself, with widths scaled, correlation changed or conditions shuffled."""

    Config = Config

    def __init__(self, config: Config, layout) -> None:
        super().__init__()
        self.config = config
        self.response = PhotonResponse(scenario=config.scenario, rho=config.rho)
        # An estimator without any tensor cannot be told from an empty file.
        self.register_buffer("one", torch.ones(1))

    def prepare(self, stream) -> None:
        for _ in stream:
            continue

    def objectives(self):
        return ()

    def sample(self, condition, draws, rng):
        given = condition.flat.double().repeat_interleave(draws, dim=0).numpy()
        if self.config.blind:
            given = given[rng.permutation(len(given))]
        return Events(torch.from_numpy(self.config.width * self.response.sample(given, rng)))

    def log_prob(self, batch):
        target = batch.target.flat.double().numpy() / self.config.width
        value = self.response.log_density(batch.condition.flat.double().numpy(), target)
        return torch.from_numpy(value - target.shape[1] * np.log(self.config.width))
