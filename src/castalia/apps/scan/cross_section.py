"""The signal's cross section as a function of the parameters: constant, or fitted to simulated points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from castalia.errors import DataError

__all__ = ["CrossSection"]


@final
@dataclass(frozen=True)
class CrossSection:
    """Its logarithm is a polynomial of second order in the parameters.

    Attributes:
        center: Middle of each parameter's range, shape ``(P,)``.
        width: Half of each range, shape ``(P,)``.
        coefficients: Of 1, of the parameters t scaled to [-1, 1], and of the products ``t_i t_j`` with ``i <= j``,
            shape ``(1 + P + P (P + 1) / 2,)``.
        residual: Root mean square of the relative difference to the points it was fitted to; 0 for a constant.
    """

    center: tuple[float, ...]
    width: tuple[float, ...]
    coefficients: tuple[float, ...]
    residual: float = 0.0

    @classmethod
    def constant(cls, value: float, parameters: int) -> Self:
        """Return a cross section of ``value`` pb at every point."""
        terms = np.zeros(_terms(torch.zeros(1, parameters)).shape[1])
        terms[0] = np.log(value)
        return cls((0.0,) * parameters, (1.0,) * parameters, tuple(terms.tolist()))

    @classmethod
    def fit(cls, theta: NDArray[np.float64], value: NDArray[np.float64], names: Sequence[str], column: str) -> Self:
        """Fit the polynomial by least squares.

        Args:
            theta: Parameters of each event, shape ``(events, P)``; none is the same for all.
            value: Cross sections in pb, shape ``(events,)``.
            names: Names of the parameters, for messages.
            column: The column of ``value``, for messages.

        Raises:
            DataError: If a cross section is not positive, or there are too few points for the polynomial.
        """
        if not (value > 0).all():
            row = int(np.argmin(value > 0))
            raise DataError(
                f"column '{column}' is {value[row]:g} in training event {row}; a cross section is positive: "
                "correct it, or drop such points."
            )
        low, high = theta.min(axis=0), theta.max(axis=0)
        center, width = (low + high) / 2, (high - low) / 2
        terms = _terms(torch.from_numpy((theta - center) / width)).numpy()
        coefficients, _, rank, _ = np.linalg.lstsq(terms, np.log(value), rcond=1e-10)
        if rank < terms.shape[1]:
            raise DataError(
                f"column '{column}': the points in {', '.join(names)} fix {rank} of the {terms.shape[1]} coefficients "
                "of a quadratic polynomial; simulate more points, or give one number as cross_section."
            )
        residual = float(np.sqrt(np.mean((np.exp(terms @ coefficients) / value - 1) ** 2)))
        return cls(tuple(center.tolist()), tuple(width.tolist()), tuple(coefficients.tolist()), residual)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Rebuild what ``dataclasses.asdict`` made of it."""
        center, width, coefficients = (tuple(map(float, values[k])) for k in ("center", "width", "coefficients"))
        return cls(center, width, coefficients, float(values["residual"]))

    def __call__(self, theta: Tensor) -> Tensor:
        """Return the cross section in pb, shape ``(points,)``, differentiable in theta, shape ``(points, P)``."""
        scaled = (theta - theta.new_tensor(self.center)) / theta.new_tensor(self.width)
        return torch.exp(_terms(scaled) @ theta.new_tensor(self.coefficients))


def _terms(scaled: Tensor) -> Tensor:
    columns = scaled.unbind(1)
    products = [columns[i] * columns[j] for i, j in combinations_with_replacement(range(len(columns)), 2)]
    return torch.stack([torch.ones_like(columns[0]), *columns, *products], dim=1)
