"""Losses of targets within the model's support; events outside train nothing and are counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from castalia.estimators.base import Losses
from castalia.estimators.scaling import TargetScaling

__all__ = ["supported_losses"]


def supported_losses(
    targets: TargetScaling,
    values: Tensor,
    rng: np.random.Generator,
    scaled_losses: Callable[[Tensor, Tensor], Losses],
) -> Losses:
    """Return the losses of targets in physical units from those of scaled ones.

    Integer targets are dequantised. A target outside the support is no event of the model: its losses are zero, and the
    term ``outside_support`` counts it, where the support has an end.

    Args:
        targets: Scaling of the targets.
        values: Physical targets, shape ``(events, T)``.
        rng: Randomness of the dequantisation.
        scaled_losses: Losses of scaled targets, shape ``(events, T)``, and the log of the scaling's Jacobian
            determinant, shape ``(events,)``.

    Raises:
        ModelError: If the scaling has not been prepared.
        DataError: If the targets have a wrong shape.
    """
    targets.require_prepared()
    values = targets.check_shape(values)
    if targets.integers:
        noise = rng.random((len(values), len(targets.integers)), dtype=np.float32)
        values = targets.dequantise(values, torch.from_numpy(noise))
    inside = targets.inside(values)
    losses = scaled_losses(*targets(torch.where(inside[:, None], values, targets.neutral())))
    if not targets.bounded:
        return losses
    total, terms = losses.total, losses.terms
    kept = {name: torch.where(inside, values, torch.zeros_like(values)) for name, values in terms.items()}
    return Losses(torch.where(inside, total, torch.zeros_like(total)), {**kept, "outside_support": (~inside).to(total)})
