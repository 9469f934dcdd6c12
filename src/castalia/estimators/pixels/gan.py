"""The intra-event aware GAN: images of all sensors of an event, made together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.errors import ModelError
from castalia.estimators.base import Batch, Estimator, Events, Losses, Objective, Sampler
from castalia.estimators.pixels.augmentation import translated
from castalia.estimators.pixels.canvas import Canvas
from castalia.estimators.pixels.cell_images import CellImages
from castalia.estimators.pixels.conditions import Conditions
from castalia.estimators.pixels.discriminator import ImageDiscriminator, Judged
from castalia.estimators.pixels.gan_losses import (
    contrastive,
    energy_score,
    hinge_fake,
    hinge_real,
    intra_event_divergence,
    orthogonality,
    uniformity,
)
from castalia.estimators.pixels.generator import ImageGenerator, ImageShape
from castalia.estimators.pixels.hits import SensorArray, hits_of, joined, padded
from castalia.estimators.pixels.images import PixelImages
from castalia.estimators.pixels.relational_reasoning import RelationalReasoning, SensorTokens
from castalia.rng import Stream

__all__ = ["IntraEventAwareGAN", "IntraEventAwareGANConfig"]

_MEASURED_EVENTS = 100
_BETAS = (0.0, 0.999)
_CALIBRATION_RATE = 4.0  # scores are of order one, weights smaller
_REGIONS = (2, 4)


@final
class IntraEventAwareGANConfig(StrictModel):
    """Configuration of ``IntraEventAwareGAN``.

    Attributes:
        positions: What is known of where each sensor is: one row of numbers for each, or none.
        cell: Pixels of a cell along either side; 1 for images of pixels.
        patch: Cells that the networks make and see at once, along either side.
        features: Channels of the generator from its coarsest grid to its finest.
        discriminator_features: The same of the discriminator; by default the generator's.
        width: Features of the vector that stands for a sensor of an event.
        event_noise: Random numbers that the sensors of an event share; 0 for none.
        sensor_noise: Random numbers of each sensor: the degrees of freedom of the event.
        generator_relations: Whether sensors are told of each other when they are made.
        discriminator_relations: Whether they are judged together.
        generator_heads: Heads of the generator's relational reasoning.
        discriminator_heads: Heads of the discriminator's.
        contrastive: Weight of the conditional contrastive loss of both networks.
        contrastive_temperature: What its similarities are divided by.
        intra_event: Weight of the generator's intra-event aware loss.
        intra_event_temperature: What its similarities are divided by.
        uniformity: Weight of the discriminator's uniformity loss.
        orthogonality: Weight of the generator's orthogonal regularisation.
        translation: Largest shift of an augmented image, in cells.
        library: Hits of training cells that the upsampler keeps; of no use for images of pixels.
    """

    positions: tuple[tuple[float, ...], ...] = ()
    cell: int = Field(default=8, ge=1)
    patch: int = Field(default=4, ge=1)
    features: tuple[int, ...] = Field(default=(48, 32), min_length=1)
    discriminator_features: tuple[int, ...] | None = Field(default=None, min_length=1)
    width: int = Field(default=64, ge=4)
    event_noise: int = Field(default=4, ge=0)
    sensor_noise: int = Field(default=4, ge=0)
    generator_relations: bool = True
    discriminator_relations: bool = True
    generator_heads: int = Field(default=2, ge=1)
    discriminator_heads: int = Field(default=4, ge=1)
    contrastive: float = Field(default=1.0, ge=0)
    contrastive_temperature: float = Field(default=0.5, gt=0)
    intra_event: float = Field(default=1.0, ge=0)
    intra_event_temperature: float = Field(default=0.1, gt=0)
    uniformity: float = Field(default=0.1, ge=0)
    orthogonality: float = Field(default=1e-4, ge=0)
    translation: int = Field(default=1, ge=0)
    library: int = Field(default=2**19, ge=1)


@final
class IntraEventAwareGAN(Estimator, Sampler):
    """Two networks that alternate: one makes the images of an event's sensors, one tells them from true ones.

    Both let the sensors of an event attend to each other, and the generator is told how sensors of a true event
    resemble each other in the discriminator's eyes. Images of cells are normal scores (see ``CellImages``); after the
    networks, a second phase sets for every sensor from which score on a cell has how many hits.

    The best epoch is that of the lowest energy score of mean images on validation events: the losses of two networks
    that compete do not say how good they are. It is what ``generator`` returns in evaluation, where ``discriminator``
    returns zero.

    Args:
        config: Configuration.
        layout: Conditions, and the target of an array of sensors.

    Raises:
        ConfigError: If the target is no array of sensors, or positions are not one row for each.

    References:
        Hashemi et al., Ultra-high-granularity detector simulation with intra-event aware generative adversarial
        network and self-supervised relational reasoning (arXiv:2303.08046).
    """

    Config = IntraEventAwareGANConfig
    centre: Tensor
    spread: Tensor
    prepared: Tensor

    def __init__(self, config: IntraEventAwareGANConfig, layout: Layout) -> None:
        super().__init__()
        self.config, self.layout = config, layout
        array = SensorArray.of(layout)
        positions = array.position_table(config.positions)
        canvas = Canvas.over(array, config.cell, config.patch * 2 ** (len(config.features) - 1))
        self.coding = PixelImages(canvas) if config.cell == 1 else CellImages(canvas, config.library)
        self.conditions = Conditions(layout.condition)
        shape = ImageShape(self.coding.channels, canvas.rows, canvas.columns, config.patch, config.features)
        given, width, noise = len(layout.condition), config.width, config.sensor_noise
        self.generator = ImageGenerator(
            SensorTokens(positions, given, noise, width),
            RelationalReasoning(width, config.generator_heads, int(config.generator_relations)),
            shape,
            config.event_noise,
            noise,
            self.coding.texture,
        )
        self.discriminator = ImageDiscriminator(
            SensorTokens(positions, given, 0, width),
            RelationalReasoning(width, config.discriminator_heads, int(config.discriminator_relations)),
            replace(shape, features=config.discriminator_features or config.features),
        )
        self.register_buffer("centre", torch.zeros(shape.channels))
        self.register_buffer("spread", torch.ones(shape.channels))
        self.register_buffer("prepared", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def prepare(self, stream: Iterable[Batch]) -> None:
        """Measure the conditions, what images need, and how much the means of true images vary; see ``Trainable``."""
        batches = list(stream)
        self.conditions.fit(batches)
        self.coding.fit(batches)
        rng = Stream(0, "ranks of equal charges").at()
        first = next(iter(batches)).map(lambda values: values[:_MEASURED_EVENTS])
        images = [self.coding.encode(hits_of(event.target), rng).mean(dim=(3, 4)) for event in first.chunks(1)]
        means = torch.cat(images)
        self.centre.copy_(means.mean(dim=(0, 1)))
        self.spread.copy_(means.flatten(0, 1).std(dim=0).nan_to_num(1.0).clamp(min=1e-6))
        self.prepared.fill_(True)

    def objectives(self) -> tuple[Objective, ...]:
        """Return those of the two networks, and of cells that of the cuts."""
        return tuple(self._objectives())

    def _objectives(self) -> Iterator[Objective]:
        yield Objective("discriminator", tuple(self.discriminator.parameters()), self._discriminator_loss, betas=_BETAS)
        yield Objective("generator", tuple(self.generator.parameters()), self._generator_loss, betas=_BETAS)
        if isinstance(self.coding, CellImages):
            loss = partial(self._calibration_loss, self.coding)
            yield Objective("calibration", (self.coding.cuts,), loss, phase=1, rates=(_CALIBRATION_RATE,))

    @torch.no_grad()
    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        """Draw events one after the other, see ``Sampler``.

        Raises:
            ModelError: If the model has not been prepared.
        """
        if not bool(self.prepared):
            raise ModelError("The model has not been prepared; call prepare(batches) or load a trained one.")
        training = self.training
        self.eval()
        given = self.conditions(condition.flat).repeat_interleave(draws, dim=0)
        drawn = [self.coding.decode(self._made(one[None], rng)) for one in given]
        self.train(training)
        return padded(joined(drawn, self.centre.device))

    def _made(self, condition: Tensor, rng: np.random.Generator) -> Tensor:
        noise = self.generator.draw_noise(len(condition), rng, condition.device)
        images: Tensor = self.generator(condition, noise, self.spread)
        return images

    def _judged(self, images: Tensor, condition: Tensor, rng: np.random.Generator) -> Judged:
        seen = translated(images, self.config.translation, rng)
        judged: Judged = self.discriminator(seen, condition, self.centre, self.spread)
        return judged

    def _discriminator_loss(self, batch: Batch, rng: np.random.Generator) -> Losses:
        if not self.training:
            return Losses(torch.zeros(len(batch), device=self.centre.device))
        config, condition = self.config, self.conditions(batch.condition.flat)
        with torch.no_grad():
            made = self.coding.shown(self._made(condition, rng))
        true = self._judged(self.coding.encode(hits_of(batch.target), rng), condition, rng)
        false = self._judged(made, condition, rng)
        terms = {"true": hinge_real(true.score), "generated": hinge_fake(false.score)}
        if config.contrastive:
            near = contrastive(true.embedding, true.proxy, config.contrastive_temperature)
            terms["contrastive"] = config.contrastive * near
        if config.uniformity:
            terms["uniformity"] = config.uniformity * uniformity(true.embedding)
        return _sum(terms)

    def _generator_loss(self, batch: Batch, rng: np.random.Generator) -> Losses:
        if not self.training:
            return Losses(torch.cat([self._score(one, rng) for one in batch.chunks(1)]))
        config, condition = self.config, self.conditions(batch.condition.flat)
        false = self._judged(self.coding.shown(self._made(condition, rng)), condition, rng)
        terms = {"score": -false.score.mean(dim=1)}
        if config.contrastive:
            near = contrastive(false.embedding, false.proxy, config.contrastive_temperature)
            terms["contrastive"] = config.contrastive * near
        if config.intra_event:
            with torch.no_grad():
                true = self._judged(self.coding.encode(hits_of(batch.target), rng), condition, rng).embedding
            divergence = intra_event_divergence(true, false.embedding, config.intra_event_temperature)
            terms["intra_event"] = config.intra_event * divergence
        if config.orthogonality:
            terms["orthogonality"] = config.orthogonality * orthogonality(self.generator).expand(len(batch))
        return _sum(terms)

    def _calibration_loss(self, coding: CellImages, batch: Batch, rng: np.random.Generator) -> Losses:
        with torch.no_grad():
            condition = self.conditions(batch.condition.flat)
        losses = []
        for one in condition:
            with torch.no_grad():
                made = self._made(one[None], rng)
            losses.append(coding.calibration_loss(made))
        return Losses(torch.cat(losses))

    def _score(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        condition = self.conditions(batch.condition.flat)
        drawn = [self.coding.shown(self._made(condition, rng)) for _ in range(2)]
        true = self.coding.encode(hits_of(batch.target), rng)
        return energy_score(*(self._summary(images) for images in (*drawn, true)))

    def _summary(self, images: Tensor) -> Tensor:
        """Return means of regions of every sensor, in units of the spread of whole images."""
        regions = torch.nn.functional.adaptive_avg_pool2d(images.flatten(0, 1), _REGIONS)
        units = (regions - self.centre[:, None, None]) / self.spread[:, None, None]
        return units.reshape(len(images), -1)


def _sum(terms: dict[str, Tensor]) -> Losses:
    return Losses(torch.stack(list(terms.values())).sum(dim=0), terms)
