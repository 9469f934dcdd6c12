"""Losses of the intra-event aware GAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "contrastive",
    "energy_score",
    "hinge_fake",
    "hinge_real",
    "intra_event_divergence",
    "orthogonality",
    "uniformity",
]

_FAR = 1e4  # of no probability, but finite


def hinge_real(score: Tensor) -> Tensor:
    """Return the discriminator's loss on true events, ``max(0, 1 - score)``, shape ``(events,)``.

    Args:
        score: Shape ``(events, sensors)``.

    References:
        Lim and Ye, Geometric GAN (arXiv:1705.02894).
    """
    return functional.relu(1.0 - score).mean(dim=1)


def hinge_fake(score: Tensor) -> Tensor:
    """Return the discriminator's loss on generated events, ``max(0, 1 + score)``, shape ``(events,)``."""
    return functional.relu(1.0 + score).mean(dim=1)


def contrastive(embedding: Tensor, proxy: Tensor, temperature: float) -> Tensor:
    """Return the conditional contrastive loss (2C): images of one sensor together, near the sensor's proxy.

    Args:
        embedding: Unit vectors, shape ``(events, sensors, width)``; the class of an image is its sensor.
        proxy: Unit vectors, shape ``(sensors, width)``.
        temperature: What similarities are divided by.

    Returns:
        Shape ``(events,)``.

    References:
        Kang and Park, ContraGAN (arXiv:2006.12681), equation 8.
    """
    events, sensors, _ = embedding.shape
    flat = embedding.flatten(0, 1)
    kind = torch.arange(sensors, device=flat.device).repeat(events)
    to_proxy = (flat * proxy[kind]).sum(dim=1, keepdim=True) / temperature
    own = torch.eye(len(flat), dtype=torch.bool, device=flat.device)
    others = (flat @ flat.T / temperature).masked_fill(own, -torch.inf)
    alike = others.masked_fill(kind[:, None] != kind, -torch.inf)
    near, every = (torch.cat([to_proxy, one], dim=1).logsumexp(dim=1) for one in (alike, others))
    return (every - near).view(events, sensors).mean(dim=1)


def intra_event_divergence(true: Tensor, generated: Tensor, temperature: float) -> Tensor:
    """Return the Kullback-Leibler divergence of how sensors resemble each other in a generated and a true event.

    A sensor's similarities to the others of its event make a distribution by a softmax. That to itself, always one and
    the largest, is left out: it would be most of the distribution and tell nothing.

    Args:
        true: Unit vectors of a true event's sensors, shape ``(events, sensors, width)``.
        generated: The same of generated events.
        temperature: What similarities are divided by; at 1 the distributions are almost even.

    Returns:
        Shape ``(events,)``, mean over the sensors; not negative.

    References:
        arXiv:2303.08046, section 4.
    """
    itself = torch.eye(true.shape[1], dtype=torch.bool, device=true.device)
    similar = [(one @ one.transpose(1, 2) / temperature).masked_fill(itself, -_FAR) for one in (true, generated)]
    wanted, found = (one.log_softmax(dim=2) for one in similar)
    return (wanted.exp() * (wanted - found)).sum(dim=2).mean(dim=1)


def uniformity(embedding: Tensor) -> Tensor:
    """Return how unevenly the sensors of an event lie on the sphere: log of the mean of ``exp(-2 distance**2)``.

    Args:
        embedding: Unit vectors, shape ``(events, sensors, width)``, of at least two sensors.

    Returns:
        Shape ``(events,)``; 0 where all are equal, else negative.

    References:
        Wang and Isola, Understanding contrastive representation learning (arXiv:2005.10242), equation 2.
    """
    sensors = embedding.shape[1]
    squared = 2.0 - 2.0 * embedding @ embedding.transpose(1, 2)
    pairs = torch.triu_indices(sensors, sensors, offset=1, device=embedding.device)
    return (-2.0 * squared[:, pairs[0], pairs[1]]).logsumexp(dim=1) - torch.tensor(float(pairs.shape[1])).log()


def orthogonality(network: nn.Module) -> Tensor:
    """Return how far the rows of a network's weights are from orthogonal: the sum of their squared products.

    Only convolutions and linear layers count; lengths of rows are free.

    References:
        Brock, Donahue and Simonyan, Large scale GAN training (arXiv:1809.11096), equation 3.
    """
    layers = [layer.weight.flatten(1) for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    # The shorter side: rows that outnumber their features cannot be orthogonal.
    products = [one @ one.T if one.shape[0] <= one.shape[1] else one.T @ one for one in layers]
    total: Tensor = torch.stack([(one - one.diagonal().diag()).square().sum() for one in products]).sum()
    return total


def energy_score(first: Tensor, second: Tensor, truth: Tensor) -> Tensor:
    """Return the energy score of two draws: lowest on average for draws from the truth's own distribution.

    Args:
        first: Summary of one drawn event, shape ``(events, numbers)``.
        second: The same of another draw given the same condition.
        truth: The same of the true event.

    Returns:
        Shape ``(events,)``.

    References:
        Gneiting and Raftery, Strictly proper scoring rules (2007), section 4.3.
    """
    near = 0.5 * ((first - truth).norm(dim=1) + (second - truth).norm(dim=1))
    score: Tensor = near - 0.5 * (first - second).norm(dim=1)
    return score
