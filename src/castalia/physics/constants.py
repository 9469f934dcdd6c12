"""Constants that more than one process or plot needs."""

from __future__ import annotations

from typing import Final

__all__ = ["BEAM_ENERGY", "HIGGS_MASS"]

HIGGS_MASS: Final = 125.0
"""Mass of the Higgs boson as generated, in GeV (the value of the detector-response paper's sample)."""

BEAM_ENERGY: Final = 6500.0
"""Energy of one LHC beam in Run 2, in GeV: 13 TeV in the centre of mass."""
