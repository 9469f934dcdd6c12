"""Normalizing flows given an encoded event: invertible networks of coupling blocks, and flow matching."""

from __future__ import annotations

import math
from typing import Literal, final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from castalia.data.layout import Layout
from castalia.estimators.base import Batch, Density, Losses, Objective
from castalia.estimators.event_estimator import EventEstimator, EventEstimatorConfig
from castalia.estimators.flow_matching.continuous import ContinuousBlock
from castalia.estimators.flow_matching.losses import matching_losses
from castalia.estimators.flow_matching.paths import Path
from castalia.estimators.flown_momenta import FlownMomenta
from castalia.estimators.flows.chain import Block, Chain
from castalia.estimators.flows.conditional_affine import ConditionalAffine
from castalia.estimators.flows.coupling import CouplingBlock
from castalia.estimators.flows.permutation import Permutation, mixed
from castalia.estimators.flows.univariate import AffineMap, ChainedMap, SplineMap, UnivariateMap
from castalia.estimators.momentum_features import MomentumFeatures

__all__ = ["CINN", "CINNConfig", "EventFlow", "EventFlowMatching", "EventFlowMatchingConfig"]


class EventFlow(EventEstimator, Density):
    """A standard normal distribution carried to the targets by a chain of blocks that see the event's vector.

    Attributes:
        chain: From the scaled targets to the base distribution.
    """

    chain: Chain

    def draw(self, vectors: Tensor, rng: np.random.Generator) -> Tensor:
        """Carry noise to scaled targets; see ``EventEstimator.draw``."""
        noise = rng.standard_normal((len(vectors), len(self.variables)), dtype=np.float32)
        return self.chain.inverse(torch.from_numpy(noise).to(vectors), vectors)

    def log_prob(self, batch: Batch) -> Tensor:
        """Return the log-density per event; see ``Density.log_prob``.

        Raises:
            ModelError: If the model was never prepared.
            DataError: If the batch does not fit the layout.
        """
        self.targets.require_prepared()
        vectors, log_prob = self.given(batch)
        of_values = self.targets.log_prob(self.values(batch), lambda scaled: self._scaled_log_prob(scaled, vectors))
        return of_values if log_prob is None else of_values + log_prob

    def support(self) -> tuple[Tensor, Tensor]:
        """Return lower and upper ends of the targets' support, each of shape ``(T,)``; infinite where unbounded."""
        low, high = self.targets.support()
        anywhere = torch.full((1, len(self.layout.places)), torch.inf)
        return self.in_order(low[None], -anywhere)[0], self.in_order(high[None], anywhere)[0]

    def _scaled_log_prob(self, scaled: Tensor, vectors: Tensor) -> Tensor:
        base, log_determinant = self.chain(scaled, vectors)
        constant = 0.5 * math.log(2 * math.pi) * base.shape[1]
        result: Tensor = log_determinant - 0.5 * base.square().sum(1) - constant
        return result


@final
class CINNConfig(EventEstimatorConfig):
    """Configuration of ``CINN``.

    Attributes:
        blocks: Number of coupling blocks.
        hidden: Widths of the hidden layers of each block's network.
        univariate: The map of each target: affine, or affine and then a rational-quadratic spline.
        log_scale_limit: Largest absolute log-scale of one affine map.
        bins: Bins of a spline.
        bound: Half width of a spline's interval, in standard deviations of the target.
    """

    blocks: int = Field(default=8, ge=1)
    hidden: tuple[int, ...] = Field(default=(64, 64), min_length=1)
    univariate: Literal["affine", "affine_spline"] = "affine"
    log_scale_limit: float = Field(default=3.0, gt=0)
    bins: int = Field(default=8, ge=2)
    bound: float = Field(default=5.0, gt=0)


@final
class CINN(EventFlow):
    """Conditional invertible neural network: coupling blocks with fixed shuffles between them, trained by likelihood.

    Args:
        config: Configuration.
        layout: Condition and target variables.

    Raises:
        ConfigError: If a side of the layout is empty.

    References:
        Ardizzone et al., Guided image generation with conditional invertible neural networks (arXiv:1907.02392);
        Bellagente et al., Invertible networks or partons to detector and back again (arXiv:2006.06685); Durkan et al.,
        Neural spline flows (arXiv:1906.04032).
    """

    Config = CINNConfig

    def __init__(self, config: CINNConfig, layout: Layout) -> None:
        super().__init__(config, layout)
        variables = len(self.variables)
        univariate: UnivariateMap = AffineMap(config.log_scale_limit)
        if config.univariate == "affine_spline":
            univariate = ChainedMap(univariate, SplineMap(config.bins, config.bound))
        blocks: list[Block] = []
        for number in range(config.blocks):
            if number and variables > 1:
                blocks.append(Permutation(mixed(variables, number)))
            blocks.append(CouplingBlock(variables, self.width, config.hidden, univariate, "silu"))
        self.chain = Chain(blocks)

    def objectives(self) -> tuple[Objective, ...]:
        """Return the one objective, the negative log-density per event in physical units."""
        return (Objective("negative_log_likelihood", tuple(self.parameters()), self._loss),)

    def _loss(self, batch: Batch, rng: np.random.Generator) -> Losses:
        def losses(scaled: Tensor, log_jacobian: Tensor, vectors: Tensor) -> Losses:
            return Losses(-self._scaled_log_prob(scaled, vectors) - log_jacobian)

        return self.event_losses(batch, rng, losses)


@final
class EventFlowMatchingConfig(EventEstimatorConfig):
    """Configuration of ``EventFlowMatching``.

    Attributes:
        hidden: Widths of the hidden layers of the velocity's network.
        affine_hidden: Widths of the hidden layers of the network of location and width.
        log_scale_limit: Largest absolute log-width of a target given the event, relative to its width overall.
        path: The path between noise and targets.
        paths: Paths of each event in a step of the training.
        evaluations: Network evaluations for one sample, four in each Runge-Kutta step.
        density_steps: Runge-Kutta steps to compute a density.
    """

    hidden: tuple[int, ...] = Field(default=(256, 256, 256), min_length=1)
    affine_hidden: tuple[int, ...] = (64,)
    log_scale_limit: float = Field(default=5.0, gt=0)
    path: Literal["trigonometric", "straight"] = "trigonometric"
    paths: int = Field(default=8, ge=1)
    evaluations: int = Field(default=20, ge=4, multiple_of=4)
    density_steps: int = Field(default=8, ge=1)


@final
class EventFlowMatching(EventFlow):
    """Location and width of every target as functions of the event, then a flow matched to what is left.

    A target that the detector measures well has a narrow distribution given the event. Once location and width are
    taken out, what is left is about as wide as the noise it starts from, and few steps solve the equation.

    Where the layout has decays, the velocity's network sees at every place the momenta that it stands for, beside the
    measured ones: a jet that knows its quark's direction to a few hundredths is a narrow and curved region of masses
    and angles, which a network of these alone would blur.

    Args:
        config: Configuration.
        layout: Condition and target variables.

    Raises:
        ConfigError: If a side of the layout is empty.

    References:
        Lipman et al., Flow matching for generative modeling (arXiv:2210.02747).
    """

    Config = EventFlowMatchingConfig

    def __init__(self, config: EventFlowMatchingConfig, layout: Layout) -> None:
        super().__init__(config, layout)
        self.paths = config.paths
        variables, width = len(self.variables), self.width
        affine = ConditionalAffine(variables, width, config.affine_hidden, config.log_scale_limit, "silu")
        features = None
        if layout.decays is not None:
            features = FlownMomenta(MomentumFeatures(layout, self.choice), self.targets, affine, self.choice)
        flow = ContinuousBlock(
            variables,
            width,
            config.hidden,
            config.evaluations // 4,
            config.density_steps,
            Path(config.path),
            features,
        )
        self.chain = Chain([affine, flow])

    def objectives(self) -> tuple[Objective, ...]:
        """Return the one objective, with the two parts' losses as its terms."""
        return (Objective("flow_matching", tuple(self.parameters()), self._loss),)

    def _loss(self, batch: Batch, rng: np.random.Generator) -> Losses:
        def losses(scaled: Tensor, _: Tensor, vectors: Tensor) -> Losses:
            location_and_width, flow = self.chain.blocks
            return matching_losses(location_and_width, flow, scaled, vectors, rng, self.paths)  # type: ignore[arg-type]

        return self.event_losses(batch, rng, losses)
