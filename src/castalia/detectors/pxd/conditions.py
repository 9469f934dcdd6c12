"""What the machine does while events are taken: the knobs of the background, each 1 at the reference."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from castalia.errors import ConfigError

__all__ = ["KNOBS", "BeamConditions", "check_knob"]


@final
@dataclass(frozen=True)
class BeamConditions:
    """The state of the machine, event by event; every array has the shape ``(events,)``.

    Attributes:
        luminosity: Over that of the reference; two-photon pairs are proportional to it.
        current_her: Electron current over that of the reference.
        current_ler: Positron current over that of the reference.
        pressure: Of the rest gas, over that of the reference; beam gas is proportional to current times pressure.
        synchrotron: Synchrotron photons an electron over that of the reference.
        common_mode: Standard deviation of a factor, common to an event, by which everything varies; 0 to 1.
    """

    luminosity: NDArray[np.float64]
    current_her: NDArray[np.float64]
    current_ler: NDArray[np.float64]
    pressure: NDArray[np.float64]
    synchrotron: NDArray[np.float64]
    common_mode: NDArray[np.float64]


# The design's few per cent, of which the clusters leave room for three in a variance of 12 pixels a sensor.
KNOBS: Final = {one.name: 0.03 if one.name == "common_mode" else 1.0 for one in fields(BeamConditions)}
"""Every knob and what it is at the reference."""

_LARGEST: Final = {name: 1.0 if name == "common_mode" else 10.0 for name in KNOBS}


def check_knob(name: str, value: float) -> None:
    """Refuse what no machine does.

    Raises:
        ConfigError: If there is no such knob, or the value is not in its range.
    """
    if name not in KNOBS:
        raise ConfigError(f"There is no knob {name!r} of the pixel background; choose from {', '.join(KNOBS)}.")
    if not 0.0 <= value <= _LARGEST[name]:
        raise ConfigError(f"{name} = {value:g} is not possible; give a value from 0 to {_LARGEST[name]:g}.")
