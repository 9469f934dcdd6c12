"""One optimisation step of one objective."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from castalia.errors import ConfigError, ModelError
from castalia.estimators.base import Batch, Losses, Objective
from castalia.training.config import TrainingConfig
from castalia.training.diagnosis import VariableNames, diverged
from castalia.training.muon import Muon

__all__ = ["ObjectiveStep", "StepResult", "weighted_sums"]


_MOMENTUM = 0.9  # of stochastic gradient descent
_LEAST_SIDE = 16  # of a matrix whose singular values Muon evens out


@dataclass(frozen=True)
class StepResult:
    """Losses of one step.

    Attributes:
        sums: Sum of weight times loss over the batch, by objective and ``objective/term``.
        weight: Sum of the batch's weights.
    """

    sums: Mapping[str, float]
    weight: float


def weighted_sums(objective: Objective, losses: Losses, weight: Tensor) -> dict[str, float]:
    """Return sums of weight times loss: the total under the objective's name, terms under ``objective/term``."""
    sums = {objective.name: float((losses.total.detach() * weight).sum())}
    for name, values in losses.terms.items():
        sums[f"{objective.name}/{name}"] = float((values.detach() * weight).sum())
    return sums


@final
class ObjectiveStep:
    """An objective with its optimiser.

    What is minimised is the weighted mean over the batch, ``sum(w loss) / sum(w)``: an event of weight two counts as
    the same event twice, and multiplying all weights by a number changes nothing.

    Args:
        objective: What to minimise and over which parameters.
        config: Optimiser, weight decay and clipping.
        names: Names of the columns, for messages.
        parameter_names: Name of each of the objective's parameters.

    References:
        Loshchilov and Hutter, Decoupled weight decay regularization (2019); Sutskever et al., On the importance of
        initialization and momentum in deep learning (2013); for Muon see there.
    """

    def __init__(self, objective: Objective, config: TrainingConfig, names: VariableNames) -> None:
        if not objective.parameters:
            raise ConfigError(f"objective '{objective.name}' has no parameters; leave it out of objectives().")
        self.objective = objective
        self._clip = config.clip
        self._names = names
        self._optimisers = _optimisers(objective, config)

    def __call__(self, batch: Batch, rate: float, rng: np.random.Generator, place: str) -> StepResult:
        """Compute the loss and change the parameters once.

        Args:
            batch: Events of the step.
            rate: Learning rate.
            rng: Randomness of the loss.
            place: Step and epoch, for messages.

        Raises:
            MachineError: If the loss or its gradient is not finite; the parameters are then unchanged.
        """
        losses = self.objective.loss(batch, rng)
        total = float(batch.weight.sum())
        if total <= 0:  # nothing but events of weight zero: there is no mean to improve
            return StepResult(weighted_sums(self.objective, losses, batch.weight), total)
        mean = (losses.total * batch.weight).sum() / total
        if not math.isfinite(float(mean.detach())):  # also where a loss that is not finite has weight zero
            raise diverged(
                f"loss '{self.objective.name}' is {_word(losses.total, mean)}", place, batch, losses, self._names
            )
        gradients = torch.autograd.grad(mean, self.objective.parameters, allow_unused=True)
        present = [gradient for gradient in gradients if gradient is not None]
        norm = torch.nn.utils.get_total_norm(present)
        if not math.isfinite(float(norm)):
            what = f"the gradient of loss '{self.objective.name}' is {float(norm)}"
            raise diverged(what, place, batch, losses, self._names)
        for parameter, gradient in zip(self.objective.parameters, gradients, strict=True):
            parameter.grad = gradient
        if self._clip is not None:
            torch.nn.utils.clip_grads_with_norm_(self.objective.parameters, self._clip, norm)
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * group["factor"]
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return StepResult(weighted_sums(self.objective, losses, batch.weight), total)

    def state(self) -> dict[str, Tensor]:
        """Return the optimiser's state as tensors named ``objective/parameter number/quantity``."""
        return {
            f"{self.objective.name}/{number}/{name}": value
            for number, parameter in enumerate(self.objective.parameters)
            for optimiser in self._optimisers
            for name, value in optimiser.state.get(parameter, {}).items()
            if value is not None
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned.

        Raises:
            ModelError: If a tensor belongs to no parameter.
        """
        prefix = f"{self.objective.name}/"
        for key, value in tensors.items():
            if not key.startswith(prefix):
                continue
            number, _, name = key.removeprefix(prefix).partition("/")
            if not number.isdigit() or int(number) >= len(self.objective.parameters):
                raise ModelError(
                    f"checkpoint: optimiser state '{key}' belongs to no parameter of this model; train anew."
                )
            parameter = self.objective.parameters[int(number)]
            owner = next(one for one in self._optimisers if any(parameter is own for own in _parameters(one)))
            owner.state[parameter][name] = value.clone().to(parameter.device)


def _optimisers(objective: Objective, config: TrainingConfig) -> list[torch.optim.Optimizer]:
    """Return the optimisers that share the parameters; Muon takes matrices and leaves small ones and the rest."""
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimiser == "sgd":
        return [torch.optim.SGD(_groups(objective), rate, _MOMENTUM, weight_decay=decay)]
    muon = config.optimiser == "muon"
    matrices = _groups(objective, lambda parameter: muon and _is_matrix(parameter))
    others = _groups(objective, lambda parameter: not (muon and _is_matrix(parameter)))
    found: list[torch.optim.Optimizer] = []
    if matrices:
        found.append(Muon(matrices, rate, decay))
    if others:
        found.append(torch.optim.AdamW(others, rate, objective.betas, weight_decay=decay, fused=True))
    return found


def _is_matrix(parameter: nn.Parameter) -> bool:
    return parameter.ndim == 2 and min(parameter.shape) >= _LEAST_SIDE


def _parameters(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def _groups(objective: Objective, wanted: Callable[[nn.Parameter], bool] = lambda _: True) -> list[dict[str, Any]]:
    """Return the wanted parameters by the factor on their learning rate."""
    factors = objective.rates or (1.0,) * len(objective.parameters)
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter, factor in zip(objective.parameters, factors, strict=True):
        if wanted(parameter):
            groups.setdefault(factor, []).append(parameter)
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items()]


def _word(total: Tensor, mean: Tensor) -> str:
    bad = total.detach()[~torch.isfinite(total.detach())]
    return "nan" if bool(torch.isnan(bad).any()) else "infinite" if len(bad) else f"{float(mean.detach())} in sum"
