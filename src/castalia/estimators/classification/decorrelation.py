"""How much a score tells of another variable: the distance correlation, which is zero only for independent ones."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["distance_correlation"]


def distance_correlation(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """Return the squared distance correlation of two variables, between 0 and 1.

    Args:
        first: Shape ``(events,)``.
        second: Same shape.
        weight: Not negative, same shape; an event of weight two counts as the same event twice.

    Returns:
        A number, with a gradient; 0 where one of the two is constant or nothing has a weight.

    References:
        Kasieczka and Shih, DisCo fever: robust networks through distance correlation (arXiv:2001.05310), equations 2.1
        and 2.2.
    """
    tiny = torch.finfo(first.dtype).tiny
    share = weight / weight.sum().clamp(min=tiny)
    one, other = _centred(first, share), _centred(second, share)
    both = share[:, None] * share
    covariance, variances = (both * one * other).sum(), (both * one.square()).sum() * (both * other.square()).sum()
    return covariance / variances.clamp(min=torch.finfo(first.dtype).eps ** 2).sqrt()


def _centred(values: Tensor, share: Tensor) -> Tensor:
    """Return the distances of all pairs less their means over rows and columns."""
    distance = (values[:, None] - values).abs()
    mean = distance @ share
    return distance - mean[:, None] - mean + (mean * share).sum()
