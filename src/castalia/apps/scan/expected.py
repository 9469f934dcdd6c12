"""What a fit expects: events of signal and background at the fitted parameters, and how many of each."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.scan.fit import FitModel, FitResult
from castalia.errors import ModelError
from castalia.rng import Stream

__all__ = ["ExpectedPart", "expected_parts", "generated_events"]

Array = NDArray[np.float64]

_FEWEST, _MOST = 20_000, 200_000  # events generated of each part
_OVERSAMPLING = 5.0  # over the expected number, so that the model's statistical error is half of the observed one


@runtime_checkable
class _SignalSampler(Protocol):
    @abstractmethod
    def sample(self, theta: Array, events: int, rng: np.random.Generator) -> Array:
        """Return events at one parameter point, shape ``(events, observables)``."""


@runtime_checkable
class _BackgroundSampler(Protocol):
    @abstractmethod
    def sample(self, events: int, rng: np.random.Generator) -> Array:
        """Return events, shape ``(events, observables)``."""


@final
@dataclass(frozen=True)
class ExpectedPart:
    """One component of the fitted model.

    Attributes:
        label: ``"Signal"`` or ``"Background"``.
        events: Events drawn from its density, shape ``(generated, observables)``.
        expected: How many are expected among the observed, in units of the sum of their weights.
    """

    label: str
    events: Array
    expected: float


def expected_parts(model: FitModel, result: FitResult, seed: int) -> tuple[ExpectedPart, ...]:
    """Draw what the fitted model expects.

    Args:
        model: The model that was fitted.
        result: Its fit.
        seed: Seed of the draws.

    Returns:
        The signal and, where there is one, the background before it: parts are stacked in this order.

    Raises:
        ModelError: If a density cannot be sampled.
    """
    total = float(result.likelihood.weights.sum())
    signal, background = _numbers(model, result, total)
    rng = Stream(seed, "expected events").at()
    theta = result.fitted.phi[: len(model.parameters)]
    if not isinstance(model.signal, _SignalSampler):
        raise ModelError(f"the signal's density {type(model.signal).__name__} cannot be sampled; train one that can.")
    parts = [ExpectedPart("Signal", model.signal.sample(theta, generated_events(signal), rng), signal)]
    if model.background is not None:
        if not isinstance(model.background, _BackgroundSampler):
            raise ModelError(
                f"the background's {type(model.background).__name__} cannot be sampled; train one that can."
            )
        drawn = model.background.sample(generated_events(background), rng)
        parts.insert(0, ExpectedPart("Background", drawn, background))
    return tuple(parts)


def generated_events(expected: float) -> int:
    """Return how many events are drawn to stand for ``expected`` ones."""
    return int(np.clip(_OVERSAMPLING * expected, _FEWEST, _MOST))


def _numbers(model: FitModel, result: FitResult, total: float) -> tuple[float, float]:
    """Return the expected numbers of signal and background events at the minimum."""
    phi = dict(zip((p.kind for p in result.likelihood.parameters), result.fitted.phi, strict=True))
    if model.expected_signal is None:
        fraction = phi.get("signal_fraction", 1.0)
        return float(fraction * total), float((1.0 - fraction) * total)
    theta = torch.as_tensor(result.fitted.phi[None, : len(model.parameters)])
    with torch.no_grad():
        signal = float(model.expected_signal(theta)[0])
    return float(signal * phi.get("signal_strength", 1.0)), float(phi.get("background_yield", 0.0))
