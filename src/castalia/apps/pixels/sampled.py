"""Hits that `castalia pixels sample` wrote, for events that are judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from castalia.apps.pixels.events import read_events
from castalia.data.features import Features
from castalia.detectors.pxd.digitiser import PixelHits
from castalia.errors import DataError

__all__ = ["read_sampled"]

_EQUAL = 1e-6  # of conditions, relative


def read_sampled(path: Path, features: Features, condition: NDArray[np.float64]) -> PixelHits:
    """Read one sampled event for each of the conditions.

    The file has the conditions under the names of the configuration, and no weight or selection, whatever the files
    have that it was made from. Of a run's own files only some events are judged, and a bad row may have been left out
    of either file: an event is the next one of the file that was drawn for the same conditions.

    Args:
        path: A file of ``castalia pixels sample``, with its events in the order of those that are judged.
        features: How the files of the run become conditions.
        condition: Conditions of the judged events, shape ``(events, conditions)``.

    Raises:
        DataError: If the file cannot be used, or has no event for one of the conditions.
    """
    written = {"weight": None, "selection": None, "layout": None, "tree": None}
    found = read_events([path], replace(features, data=features.data.model_copy(update=written)))
    chosen, place = np.zeros(len(found), dtype=np.bool_), 0
    for one in condition:
        equal = np.isclose(found.condition[place:], one, rtol=_EQUAL, atol=0.0).all(axis=1)
        if not equal.any():
            raise DataError(
                f"{path}: has not one event with the same conditions for each event of the files, in their order; make "
                "it from the same files by `castalia pixels sample`."
            )
        place += int(equal.argmax()) + 1
        chosen[place - 1] = True
    return found.take(chosen).hits
