"""Conditional normalizing flows as estimators: scaling, a chain of blocks, and a standard normal base."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Literal, Self, final

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.errors import ConfigError
from castalia.estimators.base import Batch, Density, Estimator, Events, Losses, Objective, Sampler
from castalia.estimators.condition_encoding import ConditionEncoding
from castalia.estimators.flows.autoregressive import AutoregressiveBlock
from castalia.estimators.flows.chain import Block, Chain
from castalia.estimators.flows.conditional_affine import ConditionalAffine
from castalia.estimators.flows.coupling import CouplingBlock
from castalia.estimators.flows.incremental import IncrementalSampler
from castalia.estimators.flows.permutation import Permutation, half_swap, mixed, reverse
from castalia.estimators.flows.sigmoids import SigmoidMap
from castalia.estimators.flows.triangular import TriangularLinear
from castalia.estimators.flows.univariate import AffineMap, ChainedMap, SplineMap, UnivariateMap
from castalia.estimators.scaling import TargetScaling
from castalia.estimators.supported_losses import supported_losses
from castalia.nn.activation import Activation

__all__ = [
    "CouplingSplineConfig",
    "CouplingSplineFlow",
    "FlowConfig",
    "LikelihoodFlow",
    "MaskedAutoregressiveConfig",
    "MaskedAutoregressiveFlow",
    "NormalizingFlow",
]


class FlowConfig(StrictModel):
    """What every flow can be told.

    Attributes:
        blocks: Number of blocks in the chain.
        hidden: Widths of the hidden layers of each block's network.
        activation: Function between the layers; ``"silu"`` makes the density smooth in the condition where that is not
            embedded.
        embedding_bins: Bins of a piecewise-linear embedding of the conditions; 0 for none.
        conditional_affine: Take location and width as functions of the condition out first, in a block of their own;
            nothing where there is no condition.
        affine_hidden: Widths of the hidden layers of that block, ``hidden`` if not given. With none, location and
            log-width are sums of one function per condition, as those of detectors nearly are where the conditions are
            embedded; what does not add up is left to the other blocks.
        linear: Then take out linear correlations between the targets, the same under every condition.
        dither: Width of the normal noise added to the targets in training, in widths that the condition gives them. It
            keeps the likelihood finite where one target follows from another, and costs its square of a correlation.
            Needs ``conditional_affine``.
        log_scale_limit: Largest absolute log-scale of one affine map.
        truncate: Confine unbounded targets to a fixed range by a final tanh, and train on events within it only.
        permutation: How the order of the targets changes between blocks.
        bins: Bins of a spline, or number of sigmoids.
        bound: Half width of a spline's interval, in standard deviations of the target.
    """

    blocks: int = Field(default=2, ge=1)
    hidden: tuple[int, ...] = Field(default=(64, 64), min_length=1)
    activation: Activation = "relu"
    embedding_bins: int = Field(default=0, ge=0)
    conditional_affine: bool = True
    affine_hidden: tuple[int, ...] | None = None
    linear: bool = False
    dither: float = Field(default=0.0, ge=0, lt=1)
    log_scale_limit: float = Field(default=3.0, gt=0)
    truncate: bool = False
    permutation: Literal["half_swap", "reverse", "mixed"] = "reverse"
    bins: int = Field(default=8, ge=2)
    bound: float = Field(default=5.0, gt=0)

    @model_validator(mode="after")
    def _widths_known(self) -> Self:
        if self.dither and not self.conditional_affine:
            raise ValueError("dither needs the widths of conditional_affine; leave one of the two settings out")
        return self


@final
class MaskedAutoregressiveConfig(FlowConfig):
    """Configuration of ``MaskedAutoregressiveFlow``.

    Attributes:
        univariate: The map of each target: affine as in the paper, a rational-quadratic spline, or an affine map and
            then a spline or as many sigmoids, which are smooth to every order.
    """

    univariate: Literal["affine", "spline", "affine_spline", "affine_sigmoids"] = "affine"


@final
class CouplingSplineConfig(FlowConfig):
    """Configuration of ``CouplingSplineFlow``."""


class NormalizingFlow(Estimator, Sampler, Density):
    """A standard normal distribution carried to the targets by a chain of blocks; a subclass says how it is trained.

    Args:
        config: Configuration, an instance of the class's ``Config``.
        layout: Condition and target variables; without any condition the distribution of all events is learned.
        embedding_bins: Bins of a piecewise-linear embedding of the conditions; 0 for none.
        truncate: Confine unbounded targets to a fixed range.

    Raises:
        ConfigError: If the layout has no target, or the configuration is another model's.

    References:
        Generative Machine Learning for Detector Response Modeling with a Conditional Normalizing Flow, section 2.
    """

    Config: type[StrictModel]
    chain: Chain

    def __init__(self, config: StrictModel, layout: Layout, embedding_bins: int, truncate: bool = False) -> None:
        super().__init__()
        if not isinstance(config, self.Config):
            raise ConfigError(f"{type(self).__name__} takes a {self.Config.__name__}, not a {type(config).__name__}.")
        self.config, self.layout = config, layout
        self.conditions = ConditionEncoding(layout.condition, embedding_bins)
        self.targets = TargetScaling(layout.target, truncate)

    def prepare(self, stream: Iterable[Batch]) -> None:
        """Measure the scalings; see ``Trainable.prepare``.

        Raises:
            DataError: If a value is not finite or outside what its variable declares, or a variable is constant.
        """
        for batch in stream:
            self.conditions.update(batch.condition.flat, batch.weight, batch.target.flat)
            self.targets.update(self.targets.check_shape(batch.target.flat), batch.weight)
        self.conditions.finish()
        self.targets.finish()

    @torch.no_grad()
    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        """Draw targets; see ``Sampler.sample``. The noise is drawn in float32, whatever the model's precision.

        Raises:
            ModelError: If the model was never prepared.
            DataError: If the condition does not fit the layout.
        """
        self.targets.require_prepared()
        scaled = self.conditions.scaling(condition.flat).repeat_interleave(draws, dim=0)
        return Events(IncrementalSampler(self.chain, self.conditions, self.targets).sample(scaled, rng))

    def log_prob(self, batch: Batch) -> Tensor:
        """Return the log-density per event; see ``Density.log_prob``.

        An integer target contributes the probability of its value. A truncated flow is normalised within its support.

        Raises:
            ModelError: If the model was never prepared.
            DataError: If the batch does not fit the layout.
        """
        self.targets.require_prepared()
        condition = self.conditions(batch.condition.flat)
        target = self.targets.check_shape(batch.target.flat)
        return self.targets.log_prob(target, lambda scaled: self._scaled_log_prob(scaled, condition))

    def support(self) -> tuple[Tensor, Tensor]:
        """Return lower and upper ends of the targets' support, each of shape ``(T,)``; infinite where unbounded."""
        return self.targets.support()

    def _scaled_log_prob(self, scaled: Tensor, condition: Tensor) -> Tensor:
        base, log_determinant = self.chain(scaled, condition)
        constant = 0.5 * math.log(2 * math.pi) * base.shape[1]
        result: Tensor = log_determinant - 0.5 * base.square().sum(1) - constant
        return result

    def _losses(
        self, batch: Batch, rng: np.random.Generator, scaled_losses: Callable[[Tensor, Tensor], Losses]
    ) -> Losses:
        """Return the losses of a batch in physical units from those of scaled targets and encoded conditions."""
        condition = self.conditions(batch.condition.flat)

        def physical(scaled: Tensor, log_jacobian: Tensor) -> Losses:
            losses = scaled_losses(scaled, condition)
            return Losses(losses.total - log_jacobian, losses.terms)

        return supported_losses(self.targets, batch.target.flat, rng, physical)


class LikelihoodFlow(NormalizingFlow):
    """A normalizing flow trained by its likelihood; a final subclass says what one block is.

    Args:
        config: Configuration.
        layout: Condition and target variables.
    """

    Config: type[FlowConfig]

    def __init__(self, config: FlowConfig, layout: Layout) -> None:
        super().__init__(config, layout, config.embedding_bins, config.truncate)
        self.chain = Chain(self._blocks(config, layout))
        self._dither = config.dither

    @abstractmethod
    def block(self, config: FlowConfig, variables: int, condition: int) -> Block:
        """Build one block for ``variables`` targets and ``condition`` encoded condition features."""

    def objectives(self) -> tuple[Objective, ...]:
        """Return the one objective, the negative log-density per event in physical units."""
        return (Objective("negative_log_likelihood", tuple(self.parameters()), self._loss),)

    def _blocks(self, config: FlowConfig, layout: Layout) -> list[Block]:
        variables, condition = len(layout.target), self.conditions.width
        blocks: list[Block] = []
        if config.conditional_affine and condition:
            hidden = config.hidden if config.affine_hidden is None else config.affine_hidden
            blocks.append(ConditionalAffine(variables, condition, hidden, config.log_scale_limit, config.activation))
        if config.linear and variables > 1:
            blocks.append(TriangularLinear(variables))
        for number in range(config.blocks):
            if number and variables > 1:
                blocks.append(Permutation(_order(config.permutation, layout, number)))
            blocks.append(self.block(config, variables, condition))
        return blocks

    def _loss(self, batch: Batch, rng: np.random.Generator) -> Losses:
        def losses(scaled: Tensor, condition: Tensor) -> Losses:
            if torch.is_grad_enabled():  # what validation sees are the events themselves
                scaled = self._dithered(scaled, condition, rng)
            return Losses(-self._scaled_log_prob(scaled, condition))

        return self._losses(batch, rng, losses)

    @torch.no_grad()
    def _dithered(self, scaled: Tensor, condition: Tensor, rng: np.random.Generator) -> Tensor:
        """Add noise to targets, as wide as ``dither`` times the width that the first block gives them."""
        first: Block = self.chain.blocks[0]  # type: ignore[assignment]
        if not (self._dither and isinstance(first, ConditionalAffine)):
            return scaled
        noise = torch.from_numpy(rng.standard_normal(tuple(scaled.shape), dtype=np.float32)).to(scaled)
        return torch.addcmul(scaled, noise, first.widths(condition), value=self._dither)


@final
class MaskedAutoregressiveFlow(LikelihoodFlow):
    """Masked autoregressive flow, the paper's model; the map of each target is affine or a spline.

    References:
        Papamakarios, Pavlakou and Murray, Masked Autoregressive Flow for Density Estimation (arXiv:1705.07057).
    """

    Config = MaskedAutoregressiveConfig

    def block(self, config: FlowConfig, variables: int, condition: int) -> Block:
        """Build one masked autoregressive block."""
        affine, spline = AffineMap(config.log_scale_limit), SplineMap(config.bins, config.bound)
        maps: dict[str, UnivariateMap] = {
            "affine": affine,
            "spline": spline,
            "affine_spline": ChainedMap(affine, spline),
            "affine_sigmoids": ChainedMap(affine, SigmoidMap(config.bins)),
        }
        chosen = config.univariate if isinstance(config, MaskedAutoregressiveConfig) else "affine"
        return AutoregressiveBlock(variables, condition, config.hidden, maps[chosen], config.activation)


@final
class CouplingSplineFlow(LikelihoodFlow):
    """Coupling flow with rational-quadratic splines, as fast to sample as to score.

    References:
        Durkan et al., Neural Spline Flows (arXiv:1906.04032).
    """

    Config = CouplingSplineConfig

    def block(self, config: FlowConfig, variables: int, condition: int) -> Block:
        """Build one coupling block."""
        return CouplingBlock(
            variables, condition, config.hidden, SplineMap(config.bins, config.bound), config.activation
        )


def _order(name: Literal["half_swap", "reverse", "mixed"], layout: Layout, number: int) -> list[int]:
    match name:
        case "half_swap":
            return half_swap(len(layout.target), layout.objects)
        case "reverse":
            return reverse(len(layout.target))
        case "mixed":
            return mixed(len(layout.target), number)
