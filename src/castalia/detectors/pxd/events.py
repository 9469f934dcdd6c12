"""Whole background events of the pixel detector, many at once: sources, tracks, charge, drift, readout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.conditions import BeamConditions
from castalia.detectors.pxd.deposits import ionise, joined, photons
from castalia.detectors.pxd.digitiser import PixelHits, digitise
from castalia.detectors.pxd.drift import share
from castalia.detectors.pxd.helix import crossings
from castalia.detectors.pxd.sources import common_factor, tracks
from castalia.detectors.pxd.tuning import TURNS

__all__ = ["BackgroundEvents", "background_events"]


@final
@dataclass(frozen=True)
class BackgroundEvents:
    """Events with what they were made from.

    Attributes:
        hits: The pixels that were read out.
        common_factor: What all rates of an event were multiplied with, shape ``(events,)``.
    """

    hits: PixelHits
    common_factor: NDArray[np.float64]


def background_events(conditions: BeamConditions, rng: np.random.Generator) -> BackgroundEvents:
    """Simulate one readout of the whole detector for each event: 20 microseconds, all 7.68 million pixels.

    Args:
        conditions: State of the machine, event by event.
        rng: Random numbers.
    """
    factor = common_factor(conditions.common_mode, rng)
    passages = crossings(tracks(conditions, factor, rng), TURNS)
    deposits = joined(ionise(passages, rng), photons(conditions, factor, rng))
    return BackgroundEvents(digitise(share(deposits), len(factor), rng), factor)
