"""Latent diffusion and its family: conditional or not, pretrained, without latent variables, without diffusion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Self, final

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from castalia.data.layout import Layout
from castalia.estimators.base import Batch, Losses, Objective
from castalia.estimators.diffusion.process import Diffusion, DiffusionConfig
from castalia.estimators.event_estimator import EventEstimator, EventEstimatorConfig
from castalia.estimators.four_vector_consistency import ConsistencyConfig, FourVectorConsistency
from castalia.estimators.normal_divergence import normal_divergence
from castalia.estimators.supported_losses import supported_losses
from castalia.estimators.vae import AutoencoderConfig, VariationalAutoencoder

__all__ = ["VariationalLatentDiffusion", "VariationalLatentDiffusionConfig"]


@final
class VariationalLatentDiffusionConfig(EventEstimatorConfig):
    """Configuration of ``VariationalLatentDiffusion``.

    Attributes:
        autoencoder: How targets become latent variables; without it they are their own (VDM).
        diffusion: The distribution of the latent variables given the event; without it they are standard normal (CVAE).
        pretrained: Train the autoencoder first, then freeze it and train the diffusion (LDM).
        consistency: Relations between four-vectors that decoded targets should keep, if any.
    """

    autoencoder: AutoencoderConfig | None = None
    diffusion: DiffusionConfig | None = None
    pretrained: bool = False
    consistency: ConsistencyConfig | None = None

    @model_validator(mode="after")
    def _makes_a_model(self) -> Self:
        if self.autoencoder is None and self.diffusion is None:
            raise ValueError("without autoencoder and diffusion there is no model; give one of them or both")
        if self.pretrained and (self.autoencoder is None or self.diffusion is None):
            raise ValueError("pretrained needs both autoencoder and diffusion; give them or leave it out")
        both = self.autoencoder
        if self.pretrained and both is not None and (both.encoder_sees_event or both.decoder_sees_event):
            raise ValueError("a pretrained autoencoder sees no event, because events are encoded after it; let it not")
        return self


@final
class VariationalLatentDiffusion(EventEstimator):
    """Latent variables of the targets by an autoencoder, and their distribution given the event by a diffusion.

    ========  ==================  ==================  =========================
    model     encoder sees event  decoder sees event  latent variables
    ========  ==================  ==================  =========================
    VLD       yes                 no                  diffusion, end to end
    UC-VLD    no                  no                  diffusion, end to end
    C-VLD     yes                 yes                 diffusion, end to end
    LDM       no                  no                  diffusion, pretrained
    VDM       (identity)          (identity)          diffusion of the targets
    CVAE      yes                 yes                 standard normal
    ========  ==================  ==================  =========================

    Args:
        config: Configuration.
        layout: Condition and target variables.

    Raises:
        ConfigError: If a side of the layout is empty, or the consistency names what is no target.

    References:
        Shmakov et al., End-to-end latent variational diffusion models for inverse problems in high energy physics
        (arXiv:2305.10399); Kingma et al., Variational diffusion models (arXiv:2107.00630); Rombach et al.,
        High-resolution image synthesis with latent diffusion models (arXiv:2112.10752).
    """

    Config = VariationalLatentDiffusionConfig

    def __init__(self, config: VariationalLatentDiffusionConfig, layout: Layout) -> None:
        super().__init__(config, layout)
        variables, width = len(self.variables), self.width
        autoencoder = diffusion = None
        if config.autoencoder is not None:
            trained_together = config.diffusion is not None and not config.pretrained
            autoencoder = VariationalAutoencoder(
                variables, width, config.autoencoder, not trained_together, config.diffusion is not None
            )
        self.latent = variables if autoencoder is None else autoencoder.latent
        if config.diffusion is not None:
            diffusion = Diffusion(self.latent, width, config.diffusion)
        self.autoencoder, self.diffusion, self._pretrained = autoencoder, diffusion, config.pretrained
        if config.consistency is not None:
            self.consistency = FourVectorConsistency(replace(layout, target=self.variables), config.consistency)

    def objectives(self) -> tuple[Objective, ...]:
        """Return one objective, or two in as many phases where the autoencoder is trained first."""
        return tuple(self._objectives())

    def _objectives(self) -> Iterator[Objective]:
        autoencoder, diffusion, everything = self.autoencoder, self.diffusion, tuple(self.parameters())
        if autoencoder is None or diffusion is None:
            if autoencoder is not None:
                yield Objective("autoencoder", everything, partial(self._variational_loss, autoencoder))
            elif diffusion is not None:
                yield Objective("diffusion", everything, partial(self._target_loss, diffusion))
        elif self._pretrained:
            later = (*self.event_parameters, *diffusion.parameters())
            first = partial(self._unconditional_loss, autoencoder)
            yield Objective("autoencoder", tuple(autoencoder.parameters()), first)
            yield Objective("diffusion", later, partial(self._frozen_loss, autoencoder, diffusion), phase=1)
        else:
            yield Objective("latent_diffusion", everything, partial(self._end_to_end_loss, autoencoder, diffusion))

    def draw(self, vectors: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw latent variables, decode them, and draw targets; see ``EventEstimator.draw``."""
        size = (len(vectors), self.latent + len(self.variables))
        noise = torch.from_numpy(rng.standard_normal(size, dtype=np.float32)).to(vectors)
        latent, last = noise[:, : self.latent], noise[:, self.latent :]
        if self.diffusion is not None:
            latent = self.diffusion.sample(vectors, latent, rng)
        if self.autoencoder is None:
            return latent
        return self.autoencoder.spread(self.autoencoder.decode(latent, vectors), last)

    def _target_loss(self, diffusion: Diffusion, batch: Batch, rng: np.random.Generator) -> Losses:
        """Return the losses of a diffusion of the targets themselves, to which nothing but its own noise is added."""

        def losses(target: Tensor, _: Tensor, vectors: Tensor) -> Losses:
            parts = diffusion.losses(target, vectors, rng)
            terms = {"diffusion": parts.diffusion, "prior": parts.prior}
            if diffusion.config.loss == "likelihood":
                terms["reconstruction"] = diffusion.entropy().to(target).expand(len(target))
            # What is guessed from little signal is a mean, which need not keep relations that are not linear.
            return self._sum(terms, parts.data, parts.signal)

        return self.event_losses(batch, rng, losses)

    def _variational_loss(self, autoencoder: VariationalAutoencoder, batch: Batch, rng: np.random.Generator) -> Losses:
        """Return the losses of an autoencoder whose latent variables are to be standard normal."""

        def losses(target: Tensor, _: Tensor, vectors: Tensor) -> Losses:
            return self._of_autoencoder(autoencoder, target, vectors, batch, rng)

        return self.event_losses(batch, rng, losses)

    def _unconditional_loss(
        self, autoencoder: VariationalAutoencoder, batch: Batch, rng: np.random.Generator
    ) -> Losses:
        """Return the same of an autoencoder that sees no event, none of which is encoded."""

        def losses(target: Tensor, _: Tensor) -> Losses:
            return self._of_autoencoder(autoencoder, target, target[:, :0], batch, rng)

        return supported_losses(self.targets, self.values(batch), rng, losses)

    def _of_autoencoder(
        self,
        autoencoder: VariationalAutoencoder,
        target: Tensor,
        vectors: Tensor,
        batch: Batch,
        rng: np.random.Generator,
    ) -> Losses:
        mean, log_variance = autoencoder.encode(target, vectors, self._measured(batch))
        decoded = autoencoder.decode(_drawn(mean, log_variance, rng), vectors)
        terms = {"reconstruction": autoencoder.reconstruction_loss(target, decoded)}
        return self._sum({**terms, "prior": autoencoder.beta * normal_divergence(mean, log_variance)}, decoded)

    def _frozen_loss(
        self, autoencoder: VariationalAutoencoder, diffusion: Diffusion, batch: Batch, rng: np.random.Generator
    ) -> Losses:
        """Return the losses of a diffusion in the latent variables of an autoencoder that stays as it is."""

        def losses(target: Tensor, _: Tensor, vectors: Tensor) -> Losses:
            with torch.no_grad():
                latent = _drawn(*autoencoder.encode(target, target[:, :0]), rng)
            parts = diffusion.losses(latent, vectors, rng)
            return self._sum({"diffusion": parts.diffusion, "prior": parts.prior})

        return self.event_losses(batch, rng, losses)

    def _end_to_end_loss(
        self, autoencoder: VariationalAutoencoder, diffusion: Diffusion, batch: Batch, rng: np.random.Generator
    ) -> Losses:
        """Return the losses of an autoencoder and the diffusion of its latent variables, trained together."""

        def losses(target: Tensor, _: Tensor, vectors: Tensor) -> Losses:
            # The event's encoder learns from the diffusion: errors of the reconstruction say nothing of the event.
            seen = vectors.detach()
            latent, _ = autoencoder.encode(target, seen, self._measured(batch))
            decoded = autoencoder.decode(diffusion.first(latent, _normal(latent, rng)), seen)
            parts, beta = diffusion.losses(latent, vectors, rng), autoencoder.beta
            terms = {"reconstruction": autoencoder.reconstruction_loss(target, decoded)}
            terms |= {"diffusion": beta * parts.diffusion, "prior": beta * parts.prior}
            return self._sum(terms, decoded)

        return self.event_losses(batch, rng, losses)

    def _measured(self, batch: Batch) -> Tensor | None:
        """Return the weights by which a training step measures the latent variables; ``None`` elsewhere."""
        return batch.weight if self.training and torch.is_grad_enabled() else None

    def _sum(self, terms: dict[str, Tensor], decoded: Tensor | None = None, trust: Tensor | float = 1.0) -> Losses:
        """Add up the losses, with that of relations between decoded targets where there are any to keep."""
        if self.consistency is not None and decoded is not None:
            terms = {**terms, "consistency": trust * self.consistency(self.targets.inverse(decoded))}
        return Losses(torch.stack(list(terms.values())).sum(0), terms)


def _drawn(mean: Tensor, log_variance: Tensor, rng: np.random.Generator) -> Tensor:
    return mean + (0.5 * log_variance).exp() * _normal(mean, rng)


def _normal(like: Tensor, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(like.shape), dtype=np.float32)).to(like)
