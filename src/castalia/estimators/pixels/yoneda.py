"""A set VAE of pixel events whose sensors are known by their relations, after the idea of YonedaVAE."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.estimators.base import Batch, Estimator, Events, Losses, Objective, Sampler
from castalia.estimators.pixels.candidate_score import CandidateScore
from castalia.estimators.pixels.candidates import Candidates, in_order_of_score, proposed, until_reached
from castalia.estimators.pixels.cluster_library import ClusterLibrary, found_clusters
from castalia.estimators.pixels.count_model import CountModel, Law, negative_binomial_log_prob
from castalia.estimators.pixels.event_latents import Posterior, Prior, Teacher
from castalia.estimators.pixels.hits import Hits, SensorArray, hits_in_pieces, hits_of, joined, padded
from castalia.nn.mlp import MLP
from castalia.rng import Stream

__all__ = ["YonedaVAE", "YonedaVAEConfig"]

_EMBEDDED = 8  # features of a sensor of which no position is known
_MOMENTUM = 0.02
_SEEN = 2.0  # standard deviations
_LARGEST_FACTOR = 2.0


@final
class YonedaVAEConfig(StrictModel):
    """Configuration of ``YonedaVAE``.

    Attributes:
        positions: What is known of where each sensor is, one row a sensor; empty to learn it.
        law: How the rate depends on the conditions.
        relations: Number of relations between sensors; 0 for none: sensors are then independent given the conditions.
        event_latent: Latent variables of an event; none without relations.
        sensor_latent: Latent variables of a sensor.
        width: Features of a sensor inside.
        entries: Clusters kept of each sensor.
        oversample: Pixels proposed over those wanted.
        encoded_hits: Hits of an event that the encoder sees, drawn anew in every step.
        scored_sensors: Sensors of an event whose clusters are told from proposed ones in a step.
        score_weight: Of the loss of telling clusters apart, against the others.
        decay: Of the averaged teacher, per step.
    """

    positions: tuple[tuple[float, ...], ...] = ()
    law: Law = "additive"
    relations: int = Field(default=4, ge=0)
    event_latent: int = Field(default=4, ge=1)
    sensor_latent: int = Field(default=4, ge=1)
    width: int = Field(default=32, ge=1)
    entries: int = Field(default=8192, ge=1)
    oversample: float = Field(default=3.0, ge=1.2)
    encoded_hits: int = Field(default=8192, ge=1)
    scored_sensors: int = Field(default=6, ge=1)
    score_weight: float = Field(default=40.0, ge=0)
    decay: float = Field(default=0.98, gt=0, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.relations and self.width % self.relations:
            raise ValueError(f"width ({self.width}) is no multiple of relations ({self.relations}); make it one")
        return self


@final
class YonedaVAE(Estimator, Sampler):
    """Hits of each sensor as a set, an event as the relations of its sets.

    An encoder of the hits and relations between all sensors give latent variables of the event and of each sensor. They
    multiply the rates of ``CountModel``, and weigh clusters proposed from a library (``CandidateScore``). The prior of
    the latent variables given the conditions learns from an averaged encoder; the encoder is held to the prior. All
    networks see the conditions as the sources' shares of each sensor's rate, and none beyond those of training events.
    The latent factors have mean one under the prior, so that mean numbers remain those of the regression. What chooses
    the best epoch is the bound on the likelihood of the numbers, and the score.

    This is ours, after the published idea; the authors' code was not available. Without relations and with
    ``law="log_affine"`` it is a conditional SetVAE.

    Args:
        config: Configuration.
        layout: Conditions, which may be none, and the array of sensors.

    Raises:
        ConfigError: If the target is no array of sensors, or there are not as many positions as sensors.

    References:
        H. Hashemi's thesis on ultra-high-granularity detector simulation, the YonedaVAE; Kim et al., SetVAE
        (arXiv:2103.15619).
    """

    Config = YonedaVAEConfig

    level: Tensor
    positions: Tensor

    def __init__(self, config: YonedaVAEConfig, layout: Layout) -> None:
        super().__init__()
        self.config, self.layout, array = config, layout, SensorArray.of(layout)
        self.array = array
        self.counts = CountModel(layout, config.law, common_mode=config.relations > 0)
        self.library = ClusterLibrary(array, config.entries)
        if config.positions:
            self.register_buffer("positions", array.position_table(config.positions), persistent=False)
        else:
            self.positions = nn.Parameter(0.5 * torch.randn(array.sensors, _EMBEDDED))
        event, sensor, width = config.event_latent if config.relations else 0, config.sensor_latent, config.width
        shares = self.counts.shares_known
        context = self.positions.shape[1] + shares
        self.posterior = Posterior(array, context + 2, width, config.relations, event, sensor)
        self.teacher = Teacher(self.posterior, config.decay)
        self.prior = Prior(context, width, event, sensor)
        self.factor = MLP(event + sensor + context, 1, (width,), 0.3, activation="silu")
        self.score = CandidateScore(array, self.positions.shape[1], event + sensor, shares, width)
        self.register_buffer("level", torch.ones(array.sensors))

    def prepare(self, stream: Iterable[Batch]) -> None:
        """Fit the rates and keep clusters; see ``Trainable.prepare``.

        Raises:
            DataError: If there are fewer than two events or no hits.
        """
        rng, conditions = Stream(0, "cluster library").at(), list[Tensor]()
        for piece, hits in hits_in_pieces(stream):
            conditions.append(piece.condition.flat)
            self.counts.update(piece.condition.flat, hits.counts(self.array.sensors), piece.weight)
            self.library.update(hits, rng)
        self.counts.finish()
        self.library.finish()
        self.score.scale_to(torch.from_numpy(self.counts.shares(torch.cat(conditions))).float())

    def objectives(self) -> tuple[Objective, ...]:
        """Return the one objective of all networks; the teacher has no gradient."""
        return (Objective("yoneda", tuple(p for p in self.parameters() if p.requires_grad), self._loss),)

    def _loss(self, batch: Batch, rng: np.random.Generator) -> Losses:
        hits, condition = hits_of(batch.target), batch.condition.flat
        context, shares = self._context(condition)
        counts = hits.counts(self.array.sensors)
        mean = torch.from_numpy(self.counts.mean(condition)).to(context)
        few, seen = self._encoded(hits, rng), torch.cat([context, self._surprise(counts, mean)], dim=2)
        if self.training:
            self.teacher.follow(self.posterior)
        of_event, of_sensor = self.posterior(few, seen)
        event = of_event.draw(rng)
        sensor = of_sensor.draw(rng)
        prior_event, prior_sensor = self.prior.event(context), self.prior.sensor(event, context)
        divergence = of_event.divergence(prior_event.detached()) + of_sensor.divergence(prior_sensor.detached())
        lesson = self._lesson(few, seen, context, rng)
        factor = self._factor(event, sensor, context) / self._level(context, rng)
        excess = self.counts.excess.to(context)
        count = -negative_binomial_log_prob(counts.to(context), (mean * factor).clamp(min=1e-6), excess).sum(1)
        score = self._telling_apart(hits, self._seen(event, sensor), shares, rng)
        terms = {"counts": count, "divergence": divergence, "prior": lesson, "score": score}
        total = count + divergence + self.config.score_weight * score
        # The lesson is as large as the divergence, and of no use to whoever chooses the best epoch.
        return Losses(total + lesson if self.training else total, terms)

    def _lesson(self, hits: Hits, seen: Tensor, context: Tensor, rng: np.random.Generator) -> Tensor:
        """Return by how much the prior misses what the averaged encoder says."""
        event, sensor = self.teacher(hits, seen)
        of_sensor = self.prior.sensor(event.draw(rng), context)
        missed: Tensor = event.divergence(self.prior.event(context)) + sensor.divergence(of_sensor)
        return missed

    def _level(self, context: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the mean factor of each sensor under the prior, followed in training steps."""
        if self.training:
            with torch.no_grad():
                self.level.lerp_(self._factor(*self._drawn(context, rng), context).mean(0), _MOMENTUM)
        return self.level

    def _telling_apart(self, hits: Hits, latent: Tensor, shares: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the mean loss of telling true clusters from as many proposed ones, in some sensors of each event."""
        size = (hits.events, self.array.sensors)
        some = np.argsort(rng.random(size), axis=1) < self.config.scored_sensors
        chosen = torch.from_numpy(some)[hits.event, hits.sensor]
        found = found_clusters(hits.map(lambda values: values[chosen]), self.array)
        of_sensor = found.place % self.array.sensors
        number = self.library.number.numpy()[of_sensor]
        place = torch.from_numpy(found.place[number > 0])
        true = torch.from_numpy(found.shape[number > 0])
        of_sensor, number = of_sensor[number > 0], number[number > 0]
        entry = of_sensor * self.library.entries + (rng.random(len(number)) * number).astype(np.int64)
        false = self.library.shape[torch.from_numpy(entry)]
        given = (self.positions.repeat(hits.events, 1)[place], latent.flatten(0, 1)[place], shares.flatten(0, 1)[place])
        loss = functional.softplus(-self.score(true.to(latent), *given))
        loss = loss + functional.softplus(self.score(false.to(latent), *given))
        row = place // self.array.sensors
        sums: Tensor = loss.new_zeros(hits.events).index_add(0, row, loss)
        return sums / torch.bincount(row, minlength=hits.events).clamp(min=1)

    @torch.no_grad()
    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        """Draw events; see ``Sampler.sample``.

        Raises:
            ModelError: If the model was never prepared.
        """
        given = condition.flat.repeat_interleave(draws, dim=0)
        context, shares = self._context(given)
        latent = self._drawn(context, rng)
        factor = (self._factor(*latent, context) / self.level).double().numpy()
        counts = self.counts.draw(given, rng, factor)
        return self._events(counts, self._seen(*latent), shares, rng)

    @torch.no_grad()
    def sample_given(self, condition: Events, counts: NDArray[np.int64], rng: np.random.Generator) -> Events:
        """Draw one event for each row of given numbers of hits.

        Args:
            condition: Of the events.
            counts: Hits by event and sensor, shape ``(events, sensors)``; a sensor that no training event had hits in
                stays empty.
            rng: Random numbers.

        Raises:
            ModelError: If the model was never prepared.
        """
        context, shares = self._context(condition.flat)
        return self._events(counts, self._seen(*self._drawn(context, rng)), shares, rng)

    def _events(self, counts: NDArray[np.int64], latent: Tensor, shares: Tensor, rng: np.random.Generator) -> Events:
        """Propose clusters of each event, and keep those with the best scores; one event at a time."""
        drawn = [self._event(*one, rng) for one in zip(counts, latent, shares, strict=True)]
        return padded(joined(drawn))

    def _event(self, counts: NDArray[np.int64], latent: Tensor, shares: Tensor, rng: np.random.Generator) -> Hits:
        unmerged = self.counts.unmerged(counts.astype(np.float64))
        candidates = proposed(self.library, self.config.oversample * unmerged, rng)
        best = in_order_of_score(candidates, self._scores(candidates, latent, shares), rng)
        return until_reached(self.library, best, counts, unmerged, rng)

    def _scores(self, candidates: Candidates, latent: Tensor, shares: Tensor) -> NDArray[np.float32]:
        sensor = torch.from_numpy(candidates.sensor)
        shape = self.library.shape[torch.from_numpy(candidates.entry)].to(latent)
        scores: Tensor = self.score(shape, self.positions[sensor], latent[sensor], shares[sensor])
        return scores.numpy()

    def _context(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is known of each sensor, ``(events, sensors, context)``, and the sources' shares, scaled."""
        positions = self.positions.expand(len(condition), -1, -1)
        shares = torch.from_numpy(self.counts.shares(condition)).to(positions)
        scaled = (shares - self.score.mean) / self.score.spread
        # Networks see no share beyond those of training events; only the line of the score, and the rates, go on.
        return torch.cat([positions, scaled.clamp(-_SEEN, _SEEN)], dim=2), scaled

    def _seen(self, event: Tensor, sensor: Tensor) -> Tensor:
        """Return the latent variables that the score is given of each sensor."""
        return torch.cat([event[:, None].expand(-1, self.array.sensors, -1), sensor], dim=2)

    def _surprise(self, counts: Tensor, mean: Tensor) -> Tensor:
        """Return by how much the numbers of hits differ from their means, two ways, shape ``(events, sensors, 2)``."""
        width = (mean * (1.0 + self.counts.excess.to(mean))).sqrt().clamp(min=1.0)
        ratio = torch.log((counts + 1.0) / (mean + 1.0))
        return torch.stack([((counts - mean) / width).clamp(-20.0, 20.0), 10.0 * ratio.clamp(-1.0, 1.0)], dim=2)

    def _encoded(self, hits: Hits, rng: np.random.Generator) -> Hits:
        """Return a random part of the hits, about as many as the encoder is to see."""
        part = self.config.encoded_hits * hits.events / max(len(hits), 1)
        chosen = torch.from_numpy(rng.random(len(hits), dtype=np.float32) < part)
        return hits.map(lambda values: values[chosen])

    def _drawn(self, context: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw the latent variables of events and sensors given the conditions."""
        event = self.prior.event(context).draw(rng)
        return event, self.prior.sensor(event, context).draw(rng)

    def _factor(self, event: Tensor, sensor: Tensor, context: Tensor) -> Tensor:
        """Return the factor on each sensor's rate, shape ``(events, sensors)``."""
        seen = torch.cat([event[:, None].expand(-1, self.array.sensors, -1), sensor, context], dim=2)
        return torch.exp(self.factor(seen)[..., 0].clamp(-_LARGEST_FACTOR, _LARGEST_FACTOR))
