"""What a diffusion's network predicts — the noise, the data, or their velocity — and the weights of its error."""

from __future__ import annotations

from enum import Enum
from typing import final

import torch
from torch import Tensor

from castalia.estimators.diffusion.schedule import signal_and_noise

__all__ = ["Prediction"]


@final
class Prediction(Enum):
    """What is predicted from ``z = alpha x + sigma noise``; any two of the quantities below give all others.

    References:
        Salimans and Ho, Progressive distillation for fast sampling of diffusion models (arXiv:2202.00512), appendix D;
        Kingma et al., Variational diffusion models (arXiv:2107.00630), section 4.
    """

    NOISE = "noise"
    DATA = "data"
    VELOCITY = "velocity"

    def wanted(self, data: Tensor, noise: Tensor, gamma: Tensor) -> Tensor:
        """Return the right answer.

        Args:
            data: ``x``, shape ``(events, D)``.
            noise: Shape ``(events, D)``.
            gamma: Minus the log signal-to-noise ratio, one number or shape ``(events, 1)``.
        """
        match self:
            case Prediction.NOISE:
                return noise
            case Prediction.DATA:
                return data
            case Prediction.VELOCITY:
                alpha, sigma = signal_and_noise(gamma)
                return alpha * noise - sigma * data

    def data(self, output: Tensor, z: Tensor, gamma: Tensor) -> Tensor:
        """Return the data that an answer means, shape ``(events, D)``.

        Args:
            output: The network's answer, shape ``(events, D)``.
            z: What it was asked about, shape ``(events, D)``.
            gamma: As in ``wanted``.
        """
        alpha, sigma = signal_and_noise(gamma)
        match self:
            case Prediction.NOISE:
                return (z - sigma * output) / alpha
            case Prediction.DATA:
                return output
            case Prediction.VELOCITY:
                return alpha * z - sigma * output

    def noise(self, output: Tensor, z: Tensor, gamma: Tensor) -> Tensor:
        """Return the noise that an answer means; arguments as for ``data``."""
        alpha, sigma = signal_and_noise(gamma)
        match self:
            case Prediction.NOISE:
                return output
            case Prediction.DATA:
                return (z - alpha * output) / sigma
            case Prediction.VELOCITY:
                return sigma * z + alpha * output

    def likelihood_weight(self, gamma: Tensor, slope: Tensor) -> Tensor:
        """Return the factor that makes the squared error of the answer a term of the bound on the likelihood.

        Half the slope of ``gamma`` in time for the noise (Eq. 17 of the reference, in continuous time); an error of the
        data or the velocity is one of the noise ``alpha / sigma`` or ``alpha`` times as large.

        Args:
            gamma: Any shape.
            slope: Its derivative in time, same shape.
        """
        match self:
            case Prediction.NOISE:
                return 0.5 * slope
            case Prediction.DATA:
                return 0.5 * slope * torch.exp(-gamma)
            case Prediction.VELOCITY:
                return 0.5 * slope * torch.sigmoid(-gamma)
