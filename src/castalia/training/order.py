"""The order in which events are seen: a function of (seed, epoch) and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from castalia.rng import Stream

__all__ = ["batch_bounds", "batches_per_epoch", "epoch_order"]


def epoch_order(events: int, seed: int, epoch: int) -> Tensor:
    """Return the permutation of one epoch, integer, shape ``(events,)``.

    Args:
        events: Number of training events.
        seed: Seed of the training.
        epoch: Epoch counted from 0 over all phases.
    """
    return torch.from_numpy(Stream(seed, "training order").at(epoch).permutation(events))


def batches_per_epoch(events: int, batch_size: int) -> int:
    """Return the number of steps that one pass over ``events`` takes."""
    return -(-events // batch_size)


def batch_bounds(events: int, batches: int, batch: int) -> tuple[int, int]:
    """Return the first position of a batch in the epoch's order, and the one after its last.

    All batches have the same size up to one event: a short last batch would give its few events the pull of many.
    """
    return batch * events // batches, (batch + 1) * events // batches
