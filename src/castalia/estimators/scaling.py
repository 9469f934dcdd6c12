"""From physical units to the numbers a network likes, and back, with the Jacobian.

Both scalings are modules whose statistics are buffers: a saved model needs nothing else to speak physical units.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor, nn

from castalia.data.layout import Variable
from castalia.errors import ConfigError, DataError, ModelError
from castalia.estimators.cells import unit_cells
from castalia.estimators.gaussianise import Gaussianisation
from castalia.estimators.moments import Moments
from castalia.estimators.supports import Support, support_of

__all__ = ["ConditionScaling", "TargetScaling"]

_MARGIN = 1.05  # a measured scale stands this far outside the largest value seen


def _check_finite(values: Tensor, variables: Sequence[Variable], side: str) -> None:
    bad = ~torch.isfinite(values)
    if bool(bad.any()):
        row, column = (int(i) for i in bad.nonzero()[0])
        raise DataError(
            f"The {side} '{variables[column].name}' is {float(values[row, column])} in {int(bad[:, column].sum())} "
            f"events of this chunk (first in its row {row}); mend or drop those events."
        )


@final
class ConditionScaling(nn.Module):
    """Logarithm where declared, then zero mean and unit variance; an angle becomes its cosine and sine.

    Args:
        variables: Condition variables; may be none.

    Attributes:
        width: Number of scaled features: one of each variable, then one more of each angle.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, variables: Sequence[Variable]) -> None:
        super().__init__()
        self.variables = tuple(variables)
        self.logarithmic = [i for i, v in enumerate(self.variables) if v.transform == "log"]
        self.angular = [i for i, v in enumerate(self.variables) if v.transform == "angle"]
        self.width = len(self.variables) + len(self.angular)
        self.register_buffer("mean", torch.zeros(len(self.variables)))
        self.register_buffer("deviation", torch.ones(len(self.variables)))
        self._moments = Moments(len(self.variables))

    def update(self, values: Tensor, weight: Tensor) -> None:
        """Take events into the statistics.

        Args:
            values: Physical conditions, shape ``(events, C)``.
            weight: Shape ``(events,)``.

        Raises:
            DataError: If a value is not finite, or not positive where a logarithm is declared.
        """
        _check_finite(values, self.variables, "condition")
        self._moments.update(self._logarithms(values.double()), weight)

    def finish(self) -> None:
        """Store the statistics as buffers and begin anew.

        Raises:
            DataError: If a variable that is no angle is constant, or there were no events.
        """
        mean, deviation = self._moments.result(self.variables, "condition", self.angular)
        mean[self.angular], deviation[self.angular] = 0.0, 1.0
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        self._moments = Moments(len(self.variables))

    def forward(self, values: Tensor) -> Tensor:
        """Scale physical conditions of shape ``(events, C)`` to features of shape ``(events, width)``.

        Raises:
            DataError: If the shape is wrong, or a value is not positive where a logarithm is declared.
        """
        if values.ndim != 2 or values.shape[1] != len(self.variables):
            raise DataError(
                f"The condition has shape {tuple(values.shape)}; this model needs {len(self.variables)} columns: "
                f"{', '.join(v.name for v in self.variables)}."
            )
        scaled = (self._logarithms(values.to(self.mean.dtype)) - self.mean) / self.deviation
        if not self.angular:
            return scaled
        angles = scaled[:, self.angular]
        scaled[:, self.angular] = angles.cos()
        return torch.cat([scaled, angles.sin()], dim=1)

    def _logarithms(self, values: Tensor) -> Tensor:
        if not self.logarithmic:
            return values
        chosen = values[:, self.logarithmic]
        if bool((chosen <= 0).any()):
            row, column = (int(i) for i in (chosen <= 0).nonzero()[0])
            raise DataError(
                f"The condition '{self.variables[self.logarithmic[column]].name}' is {float(chosen[row, column]):g} "
                f'in row {row} of this chunk, but transform = "log" needs positive values; '
                "drop such events or declare no transform."
            )
        values = values.clone()
        values[:, self.logarithmic] = chosen.log()
        return values


@final
class TargetScaling(nn.Module):
    """An invertible map of the targets from their support to the whole real line, one variable at a time.

    First an unbounding map by what is declared of the variable (see ``supports``), then zero mean and unit variance.
    With ``truncate`` an unbounded variable lives in ``(-scale, scale)`` instead and is mapped by ``atanh(x / scale)``
    and nothing more, as in the paper; ``scale`` is ``Variable.scale`` or 1.05 times the largest value seen.
    An integer variable is taken as the lower edge of a cell of width one (see ``cells``).

    Args:
        variables: Target variables, at least one.
        truncate: Confine unbounded variables to a fixed range, as the paper does.
        gaussianise: Then give each of them that has no steps or peaks a standard normal distribution (see
            ``gaussianise``).

    Raises:
        ConfigError: If there are no variables, a bound or scale makes no sense, or the fixed range and the normal
            distribution are both asked for.

    References:
        Generative Machine Learning for Detector Response Modeling with a Conditional Normalizing Flow, section 4.
    """

    mean: Tensor
    deviation: Tensor
    low: Tensor
    high: Tensor
    prepared: Tensor
    cell_offsets: Tensor
    cell_weights: Tensor

    def __init__(self, variables: Sequence[Variable], truncate: bool = False, gaussianise: bool = False) -> None:
        super().__init__()
        if not variables:
            raise ConfigError("The model has no target; declare at least one variable under [target].")
        if truncate and gaussianise:
            raise ConfigError("Targets are confined to a fixed range or made normal, not both; choose one.")
        self.variables = tuple(variables)
        supports = [support_of(v, truncate) for v in self.variables]
        self.columns = {kind: [i for i, s in enumerate(supports) if s.kind is kind] for kind in Support}
        self.columns = {kind: columns for kind, columns in self.columns.items() if columns}
        self.bounded = list(self.columns) != [Support.LINE]
        self.truncated = [i for i, s in enumerate(supports) if s.truncated]
        self.measured = [i for i in self.truncated if self.variables[i].scale is None]
        self.integers = [i for i, v in enumerate(self.variables) if v.integer]
        size = len(self.variables)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        self._declared_low = torch.tensor([s.low for s in supports], dtype=torch.float64)
        self._declared_high = torch.tensor([s.high for s in supports], dtype=torch.float64)
        self.register_buffer("low", self._declared_low.to(torch.get_default_dtype()))
        self.register_buffer("high", self._declared_high.to(torch.get_default_dtype()))
        self.register_buffer("prepared", torch.zeros((), dtype=torch.bool))
        offsets, weights = unit_cells(size, self.integers)
        self.register_buffer("cell_offsets", offsets, persistent=False)
        self.register_buffer("cell_weights", weights, persistent=False)
        kept = [i for i, v in enumerate(self.variables) if v.integer or v.peaks]
        self.marginals = Gaussianisation(size, kept) if gaussianise else None
        self._moments = Moments(size)
        self._largest = torch.zeros(size, dtype=torch.float64)

    def update(self, values: Tensor, weight: Tensor) -> None:
        """Take events into the statistics; events outside a truncated range are left out, as in training.

        Args:
            values: Physical targets, shape ``(events, T)``.
            weight: Shape ``(events,)``.

        Raises:
            DataError: If a value is not finite, not whole where integers are declared, or outside declared bounds.
        """
        _check_finite(values, self.variables, "target")
        values = values.double()
        self._check_declared(values)
        self._largest = torch.maximum(self._largest, values.abs().amax(0).cpu())
        centred = self.dequantise(values, torch.full((len(self.integers),), 0.5))
        outside = (centred <= self.low) | (centred >= self.high)
        outside[:, self.measured] = False
        keep = ~outside.any(1)
        unbounded = self._unbound(centred[keep])[0]
        unbounded[:, self.truncated] = centred[keep][:, self.truncated]  # only to see whether they vary
        self._moments.update(unbounded, weight[keep])
        if self.marginals is not None:
            self.marginals.update(unbounded, weight[keep])

    def finish(self) -> None:
        """Store the statistics as buffers and begin anew.

        Raises:
            DataError: If a variable is constant or there were no events within the support.
        """
        mean, deviation = self._moments.result(self.variables, "target")
        for i in self.truncated:
            mean[i], deviation[i] = 0.0, 2.0  # half the logit of (x/scale + 1)/2 is atanh(x/scale), and no more
        low, high = self._declared_low.clone(), self._declared_high.clone()
        for i in self.measured:
            scale = _MARGIN * float(self._largest[i])
            high[i] = math.ceil(scale) if self.variables[i].integer else scale
            low[i] = -high[i]
        self.low.copy_(low)
        self.high.copy_(high)
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        if self.marginals is not None:
            self.marginals.finish(mean, deviation)
        self.prepared.fill_(True)
        self._moments = Moments(len(self.variables))
        self._largest = torch.zeros_like(self._largest)

    def require_prepared(self) -> None:
        """Check that statistics were measured or loaded.

        Raises:
            ModelError: If neither happened.
        """
        if not bool(self.prepared):
            raise ModelError("The model has not been prepared; call prepare(batches) or load a trained one.")

    def support(self) -> tuple[Tensor, Tensor]:
        """Return the lower and upper ends of the open support in physical units, each of shape ``(T,)``.

        Infinite where unbounded. Of an integer variable the ends are those of its cells: value ``k`` is inside when
        ``low <= k`` and ``k + 1 <= high``.
        """
        return self.low.clone(), self.high.clone()

    def inside(self, values: Tensor) -> Tensor:
        """True for events whose every target is within the support, shape ``(events,)``; NaN counts as inside.

        A NaN is no event outside the support but a fault, which must reach the loss and stop the training.
        """
        return ~((values <= self.low) | (values >= self.high)).any(1)

    def check_shape(self, values: Tensor) -> Tensor:
        """Return ``values`` in the module's precision.

        Raises:
            DataError: If the shape is not ``(events, T)``.
        """
        if values.ndim != 2 or values.shape[1] != len(self.variables):
            raise DataError(
                f"The target has shape {tuple(values.shape)}; this model needs {len(self.variables)} columns: "
                f"{', '.join(v.name for v in self.variables)}."
            )
        return values.to(self.mean.dtype)

    def dequantise(self, values: Tensor, noise: Tensor) -> Tensor:
        """Add ``noise`` in ``[0, 1)`` to the integer variables, shape ``(events, integers)`` or ``(integers,)``."""
        if not self.integers:
            return values
        values = values.clone()
        values[:, self.integers] += noise.to(values)
        return values

    def neutral(self) -> Tensor:
        """Return a point well inside the support, shape ``(T,)``, to stand in for events that must not count."""
        low, high = torch.isfinite(self.low), torch.isfinite(self.high)
        both = torch.where(low & high, (self.low + self.high) / 2, torch.zeros_like(self.low))
        return torch.where(low & ~high, self.low + 1, torch.where(high & ~low, self.high - 1, both))

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Scale targets inside the support, integer ones already dequantised.

        Args:
            values: Physical targets, shape ``(events, T)``.

        Returns:
            Scaled targets of the same shape, and the log of the Jacobian determinant, shape ``(events,)``.
        """
        unbounded, log_slope = self._unbound(values)
        log_jacobian = log_slope - self.deviation.log().sum()
        scaled = (unbounded - self.mean) / self.deviation
        if self.marginals is None:
            return scaled, log_jacobian
        scaled, log_slope = self.marginals(scaled)
        return scaled, log_jacobian + log_slope

    def inverse(self, scaled: Tensor) -> Tensor:
        """Return physical targets for scaled ones, both of shape ``(events, T)``, strictly inside the support."""
        if self.marginals is not None:
            scaled = self.marginals.inverse(scaled)
        return self._from_unit(scaled)

    def _from_unit(self, scaled: Tensor) -> Tensor:
        values = torch.addcmul(self.mean, scaled, self.deviation)
        for kind, columns in self.columns.items():
            if kind is not Support.LINE:
                values[:, columns] = kind.inverse(values[:, columns], self.low[columns], self.high[columns])
        return values

    def near_inverse(self) -> Callable[[Tensor], Tensor]:
        """Return what does as ``inverse`` to some hundredths of each variable's width, in a fraction of its time."""
        if self.marginals is None:
            return self._from_unit
        near = self.marginals.near_inverse()
        return lambda scaled: self._from_unit(near(scaled))

    def log_prob(self, values: Tensor, scaled_log_prob: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the log-density in physical units; of integer variables it is the log-probability of their value.

        Args:
            values: Physical targets, shape ``(events, T)``; integer ones are whole numbers.
            scaled_log_prob: Log-density of scaled targets of the same events, ``(events, T)`` to ``(events,)``.

        Returns:
            Shape ``(events,)``; minus infinity outside the support.
        """
        possible = self.inside(self.dequantise(values, torch.full((len(self.integers),), 0.5)))
        for i in self.integers:
            possible &= ~(values[:, i] != values[:, i].round()) | values[:, i].isnan()
        safe = torch.where(possible[:, None], values, self.neutral().floor() if self.integers else self.neutral())
        terms = []
        for offset, log_weight in zip(self.cell_offsets, self.cell_weights, strict=True):
            scaled, log_jacobian = self(safe + offset if self.integers else safe)
            terms.append(scaled_log_prob(scaled) + log_jacobian + log_weight)
        total = torch.logsumexp(torch.stack(terms), dim=0) if len(terms) > 1 else terms[0]
        return torch.where(possible, total, torch.full_like(total, -torch.inf))

    def to_sample(self, values: Tensor) -> Tensor:
        """Turn dequantised integers back into whole numbers: the lower edge of the cell they lie in."""
        if not self.integers:
            return values
        values = values.clone()
        values[:, self.integers] = values[:, self.integers].floor()
        return values

    def _unbound(self, values: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.low.to(values.dtype), self.high.to(values.dtype)
        log_slope = values.new_zeros(len(values))
        if not self.bounded:
            return values, log_slope
        pieces = list(values.unbind(1))
        for kind, columns in self.columns.items():
            for i in columns:
                pieces[i], slope = kind.forward(pieces[i], low[i], high[i])
                log_slope = log_slope + slope
        return torch.stack(pieces, dim=1), log_slope

    def _check_declared(self, values: Tensor) -> None:
        for i, variable in enumerate(self.variables):
            column = values[:, i]
            if variable.integer and bool((bad := column != column.round()).any()):
                fault, cure = "is not a whole number", "declare integer = false"
            elif i not in self.truncated and bool(
                (bad := (column + 0.5 * variable.integer <= self.low[i]) | (column >= self.high[i])).any()
            ):
                fault = f"is outside ({float(self.low[i]):g}, {float(self.high[i]):g})"
                cure = "mend its bounds or transform"
            else:
                continue
            row = int(bad.nonzero()[0])
            raise DataError(
                f"The target '{variable.name}' {fault} in {int(bad.sum())} events of this chunk (first in its row "
                f"{row}: {float(column[row]):g}); {cure}, or drop those events."
            )
