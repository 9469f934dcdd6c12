"""Constants that more than one process or plot needs."""

from __future__ import annotations

from typing import Final

__all__ = ["BEAM_ENERGY", "HIGGS_MASS", "TOP_MASS", "W_MASS"]

HIGGS_MASS: Final = 125.0
"""Mass of the Higgs boson as generated, in GeV (the value of the detector-response paper's sample)."""

BEAM_ENERGY: Final = 6500.0
"""Energy of one LHC beam in Run 2, in GeV: 13 TeV in the centre of mass."""

W_MASS: Final = 80.4
"""Mass of the W boson, in GeV, rounded (PDG 2024: 80.3692 +- 0.0133)."""

TOP_MASS: Final = 172.5
"""Mass of the top quark, in GeV, as experiments generate it (PDG 2024, direct measurements: 172.57 +- 0.29)."""
