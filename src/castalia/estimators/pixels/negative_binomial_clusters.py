"""Negative binomial regression and resampled clusters: the baseline of pixel events, and hard to beat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.estimators.base import Batch, Estimator, Events, Objective, Sampler
from castalia.estimators.pixels.candidates import proposed, until_reached
from castalia.estimators.pixels.cluster_library import ClusterLibrary
from castalia.estimators.pixels.count_model import CountModel, Law
from castalia.estimators.pixels.hits import Hits, SensorArray, hits_in_pieces, joined, padded
from castalia.rng import Stream

__all__ = ["NegativeBinomialClusters", "NegativeBinomialClustersConfig"]

_CANDIDATES = 1.15  # pixels proposed over those wanted


@final
class NegativeBinomialClustersConfig(StrictModel):
    """Configuration of ``NegativeBinomialClusters``.

    Attributes:
        positions: What is known of where each sensor is; not used, and here because every model of pixels has it.
        entries: Clusters kept of each sensor.
        law: How the rate depends on the conditions.
        common_mode: Draw a factor that all sensors of an event share; without it they are independent.
    """

    positions: tuple[tuple[float, ...], ...] = ()
    entries: int = Field(default=8192, ge=1)
    law: Law = "additive"
    common_mode: bool = False


@final
class NegativeBinomialClusters(Estimator, Sampler):
    """A number of hits for each sensor, and clusters of training events near where they were until it is reached.

    ``prepare`` is all the training there is.

    Args:
        config: Configuration.
        layout: Conditions, which may be none, and the array of sensors.

    Raises:
        ConfigError: If the target is no array of sensors.
    """

    Config = NegativeBinomialClustersConfig

    def __init__(self, config: NegativeBinomialClustersConfig, layout: Layout) -> None:
        super().__init__()
        self.config, self.layout = config, layout
        self.counts = CountModel(layout, config.law, config.common_mode)
        self.library = ClusterLibrary(SensorArray.of(layout), config.entries)

    def prepare(self, stream: Iterable[Batch]) -> None:
        """Fit the numbers and keep the clusters; see ``Trainable.prepare``.

        Raises:
            DataError: If there are fewer than two events or no hits.
        """
        rng = Stream(0, "cluster library").at()
        for piece, hits in hits_in_pieces(stream):
            self.counts.update(piece.condition.flat, hits.counts(self.library.array.sensors), piece.weight)
            self.library.update(hits, rng)
        self.counts.finish()
        self.library.finish()

    def objectives(self) -> tuple[Objective, ...]:
        """Return none: the fits of ``prepare`` are all."""
        return ()

    @torch.no_grad()
    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        """Draw events; see ``Sampler.sample``.

        Raises:
            ModelError: If the model was never prepared.
        """
        given = condition.flat.repeat_interleave(draws, dim=0)
        return self.sample_given(Events(given), self.counts.draw(given, rng), rng)

    @torch.no_grad()
    def sample_given(self, condition: Events, counts: NDArray[np.int64], rng: np.random.Generator) -> Events:
        """Draw one event for each row of given numbers of hits.

        Args:
            condition: Of the events; without influence here.
            counts: Hits by event and sensor, shape ``(events, sensors)``; a sensor that no training event had hits in
                stays empty.
            rng: Random numbers.
        """
        return padded(joined([self._event(one, rng) for one in counts]))

    def _event(self, counts: NDArray[np.int64], rng: np.random.Generator) -> Hits:
        unmerged = self.counts.unmerged(counts.astype(np.float64))
        return until_reached(self.library, proposed(self.library, _CANDIDATES * unmerged, rng), counts, unmerged, rng)
