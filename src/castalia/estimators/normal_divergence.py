"""How far a normal distribution is from the standard one."""

from __future__ import annotations

from torch import Tensor

__all__ = ["normal_divergence"]


def normal_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the divergence of normal distributions from standard ones in nats, summed over the columns.

    Args:
        mean: Shape ``(events, D)``.
        log_variance: One number or shape ``(events, D)``.

    References:
        Kingma and Welling, Auto-encoding variational Bayes (arXiv:1312.6114), appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
