"""The members of an ensemble: the nominal model once more on bootstrap samples, so that their spread is its error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.errors import ModelError
from castalia.estimators.base import Batch, Estimator
from castalia.estimators.storage import load_model, model_hash
from castalia.rng import Stream
from castalia.runs.folder import RunFolder
from castalia.training.config import TrainingConfig

__all__ = ["bootstrap", "bootstrap_counts", "load_member", "member_hashes", "member_name", "member_training"]

# Probabilities of a Poisson variable of mean one being at most 0, 1, 2, …; beyond 20 they are one to the last bit.
_POISSON = np.cumsum(np.exp(-1.0) / np.cumprod(np.concatenate([[1.0], np.arange(1.0, 21.0)])))


def member_name(member: int, nominal: str) -> str:
    """Return the name of a member's folders; member 0 is the ``nominal`` model, such as ``"response"``."""
    return nominal if member == 0 else f"member-{member:02d}"


def member_training(training: TrainingConfig, member: int) -> TrainingConfig:
    """Return the settings with a seed of the member's own, for initial weights, order and losses' noise."""
    if member == 0:
        return training
    return training.model_copy(update={"seed": Stream(training.seed, "seed of a member", str(member)).integer(2**53)})


def bootstrap_counts(rows: NDArray[np.int64], seed: int, member: int) -> NDArray[np.int64]:
    """Return how often each event counts in a member's training sample: Poisson numbers of mean one.

    Args:
        rows: Row of each event in the files, shape ``(rows,)``; objects of one event have one row and one count.
        seed: Seed of the run.
        member: Number of the member.

    Returns:
        Counts, shape ``(rows,)``; each a function of (seed, member, row) only.

    References:
        Poisson bootstrap: Chamandy et al., Estimating Uncertainty for Massive Data Streams (Google, 2012).
    """
    events = int(rows.max(initial=-1)) + 1
    uniform = Stream(seed, "bootstrap", str(member)).at().random(events)
    return np.searchsorted(_POISSON, uniform, side="right")[rows]


def bootstrap(batch: Batch, seed: int, member: int) -> Batch:
    """Return a member's training sample: every event as often as its Poisson number says.

    Events are repeated rather than weighted, so that a step sees as many of them as in the nominal training and its
    gradient is no noisier.
    """
    counts = torch.from_numpy(bootstrap_counts(batch.index.numpy(), seed, member))
    return batch.take(torch.repeat_interleave(torch.arange(len(batch)), counts))


def load_member(models: Path, member: int, nominal: str) -> Estimator:
    """Load one model of an ensemble from the folder of a run's models; names as in ``member_name``.

    Raises:
        ModelError: If it is missing or damaged.
    """
    return load_model(models / member_name(member, nominal)).estimator


def member_hashes(folder: RunFolder, members: int, nominal: str) -> list[str]:
    """Return the hash of every model of an ensemble, the nominal one first.

    Args:
        folder: The run folder.
        members: Models of the ensemble.
        nominal: Name of the nominal model.

    Raises:
        ModelError: If the run was trained without members, or one of them is not finished or damaged.
    """
    if members == 1:
        raise ModelError(f"{folder.path}: was trained without members; set members = 8 in [model] and train again.")
    names = [member_name(member, nominal) for member in range(members)]
    missing = [name for name in names if not (folder.models / name).is_dir()]
    if missing:
        raise ModelError(
            f"{folder.path}: has no {missing[0]} yet ({len(missing)} of {members} models are missing); finish it with "
            f"`castalia {folder.record.application} train … --resume`."
        )
    return [model_hash(folder.models / name) for name in names]
