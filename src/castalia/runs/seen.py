"""Which events a run has learned from: recognised by their values, in whatever file they come back."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from castalia.data.atomic import atomic_path
from castalia.errors import ModelError

__all__ = ["save_seen", "unseen"]

log = logging.getLogger(__name__)

NAME = "seen_events.safetensors"
MOST_REPEATED = 0.01  # of the training events; with more, equal values do not mean the same event
_CHANCE = 2.0  # times the number of chance coincidences that is expected: fewer are no sign of a copy


def save_seen(folder: Path, keys: NDArray[np.uint64]) -> None:
    """Keep the content keys of the events that a model has learned from or was selected with.

    Args:
        folder: The model's folder.
        keys: Content keys of training and validation events, shape ``(events,)``.
    """
    with atomic_path(folder / NAME) as path:
        path.write_bytes(save({"keys": np.sort(keys)}))


def unseen(folder: Path, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which events the model has not learned from, even where they come in another file, format or order.

    Where many training events have the same values anyway, as counts have, nothing is left out.

    Args:
        folder: The model's folder.
        keys: Content keys of the events, shape ``(events,)``.

    Returns:
        True where an event is new, shape ``(events,)``.

    Raises:
        ModelError: If the kept keys are damaged.
    """
    path = folder / NAME
    if not path.exists():  # a model that was saved without its events
        return np.ones(len(keys), dtype=np.bool_)
    try:
        known = load(path.read_bytes())["keys"]
    except (SafetensorError, KeyError, OSError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); restore it from a copy or train anew.") from error
    repeated = 1.0 - len(np.unique(known)) / max(len(known), 1)
    place = np.minimum(np.searchsorted(known, keys), max(len(known) - 1, 0))
    found = known[place] == keys if len(known) else np.zeros(len(keys), dtype=np.bool_)
    if repeated > MOST_REPEATED:
        if found.any():
            log.warning("%d events look like training events, but too many look alike to tell copies", found.sum())
        return np.ones(len(keys), dtype=np.bool_)
    # As many pairs as are alike by chance within the training events: a new event has twice that chance to meet one.
    if found.sum() <= _CHANCE * 2.0 * repeated * len(keys):
        return np.ones(len(keys), dtype=np.bool_)
    if found.any():
        log.warning("%d of %d events were learned from, in whatever file, and are left out", found.sum(), len(keys))
    return ~found
