"""What a training tells whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Progress", "seconds_left"]


@dataclass(frozen=True)
class Progress:
    """State of a training.

    Attributes:
        epoch: Epoch being run, from 1, over all phases.
        epochs: Epochs if no phase stops early.
        step: Steps done.
        steps: Steps if no phase stops early.
        losses: Mean training losses of this epoch so far, by objective and term.
        learning_rate: Rate of the last step.
        seconds_left: Estimated time until the last step, or ``None`` before the first.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    losses: Mapping[str, float]
    learning_rate: float
    seconds_left: float | None


def seconds_left(seconds: float, done: int, left: int) -> float | None:
    """Estimate the time for ``left`` more steps from the ``seconds`` that ``done`` steps took, validation included."""
    return seconds / done * left if done > 0 else None
