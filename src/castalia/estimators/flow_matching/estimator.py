"""Conditional flow matching as an estimator: location and width first, then a learned velocity field."""

from __future__ import annotations

from typing import final

import numpy as np
from pydantic import Field
from torch import Tensor

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.estimators.base import Batch, Losses, Objective
from castalia.estimators.condition_encoding import require_condition
from castalia.estimators.flow_matching.continuous import ContinuousBlock
from castalia.estimators.flow_matching.losses import matching_losses
from castalia.estimators.flows.chain import Chain
from castalia.estimators.flows.conditional_affine import ConditionalAffine
from castalia.estimators.flows.flow import NormalizingFlow

__all__ = ["FlowMatching", "FlowMatchingConfig"]


@final
class FlowMatchingConfig(StrictModel):
    """Configuration of ``FlowMatching``.

    Attributes:
        hidden: Widths of the hidden layers of both networks.
        embedding_bins: Bins of a piecewise-linear embedding of the conditions for location and width; 0 for none.
        log_scale_limit: Largest absolute log-width of a target given the condition, relative to its width overall.
        sampling_steps: Runge-Kutta steps to draw a sample, of four network evaluations each.
        density_steps: Runge-Kutta steps to compute a density.
    """

    hidden: tuple[int, ...] = Field(default=(64, 64), min_length=1)
    embedding_bins: int = Field(default=0, ge=0)
    log_scale_limit: float = Field(default=3.0, gt=0)
    sampling_steps: int = Field(default=4, ge=1)
    density_steps: int = Field(default=8, ge=1)


@final
class FlowMatching(NormalizingFlow):
    """Location and width of every target as functions of the condition, then a flow matched to what is left.

    Both parts are trained at once, each by a loss of its own that does not reach the other's parameters: location and
    width by the likelihood of a normal distribution, the velocity field by regression (see ``ContinuousBlock``).

    Args:
        config: Configuration.
        layout: Condition and target variables.

    Raises:
        ConfigError: If a side of the layout is empty.

    References:
        Lipman et al., Flow Matching for Generative Modeling (arXiv:2210.02747).
    """

    Config = FlowMatchingConfig

    def __init__(self, config: FlowMatchingConfig, layout: Layout) -> None:
        require_condition(layout.condition)
        super().__init__(config, layout, config.embedding_bins)
        variables, plain = len(layout.target), len(layout.condition)
        self.chain = Chain(
            [
                ConditionalAffine(variables, self.conditions.width, config.hidden, config.log_scale_limit),
                # Edges of detector regions are in location and width; what is left varies smoothly, and a velocity that
                # sees the conditions themselves, which the encoding begins with, is learned from fewer events.
                ContinuousBlock(variables, plain, config.hidden, config.sampling_steps, config.density_steps),
            ]
        )

    def objectives(self) -> tuple[Objective, ...]:
        """Return the one objective, with the two parts' losses as its terms."""
        return (Objective("flow_matching", tuple(self.chain.parameters()), self._loss),)

    def _loss(self, batch: Batch, rng: np.random.Generator) -> Losses:
        def scaled_losses(scaled: Tensor, condition: Tensor) -> Losses:
            location_and_width, flow = self.chain.blocks
            return matching_losses(location_and_width, flow, scaled, condition, rng)  # type: ignore[arg-type]

        return self._losses(batch, rng, scaled_losses)
