"""Learning-rate schedules, as functions of the step alone so that a resumed training follows the same curve."""

from __future__ import annotations

import math

from castalia.training.config import TrainingConfig

__all__ = ["WARM_UP_FRACTION", "WARM_UP_START", "learning_rate"]

WARM_UP_FRACTION = 0.3
"""Part of a ``one_cycle`` training during which the rate rises."""

WARM_UP_START = 0.04
"""First rate of ``one_cycle``, as a fraction of the highest."""


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Return the learning rate of one step.

    With ``t = step / (steps - 1)``, first rate ``a`` and last rate ``b``: ``constant`` is ``a``; ``power`` is
    ``b + (a - b) (1 - t)**power``; ``cosine`` is half a cosine wave from ``a`` to ``b``; ``one_cycle`` rises from
    0.04 ``a`` to ``a`` during the first 30 % and then falls to ``b``, each along half a cosine wave.

    Args:
        config: Rates, schedule and exponent.
        step: Step of the phase, in ``[0, steps)``.
        steps: Steps of the phase.

    References:
        Smith and Topin, Super-convergence: very fast training of neural networks using large learning rates (2017).
    """
    first, last = config.learning_rate, config.final_learning_rate
    t = step / (steps - 1) if steps > 1 else 0.0
    if config.schedule == "power":
        return float(last + (first - last) * (1.0 - t) ** config.power)
    if config.schedule == "cosine":
        return _half_cosine(first, last, t)
    if config.schedule == "one_cycle":
        if t < WARM_UP_FRACTION:
            return _half_cosine(WARM_UP_START * first, first, t / WARM_UP_FRACTION)
        return _half_cosine(first, last, (t - WARM_UP_FRACTION) / (1.0 - WARM_UP_FRACTION))
    return first


def _half_cosine(start: float, end: float, t: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * t))
