"""A process of your own: a heavy W' boson that decays to a top and a bottom quark, with its mass as a parameter."""

from __future__ import annotations

import sys
from pathlib import Path

from castalia.processes.hard import HardProcess, Parameter
from castalia.production.collider import ColliderRequest, generate_collider

HEAVY_W = HardProcess(
    name="heavy-w",
    code=101,  # the number in the column `process`; those below 100 are Castalia's
    description="W' boson decaying to a top and a bottom quark, at 13 TeV",
    settings=(  # Pythia's own words: see its manual
        "NewGaugeBoson:ffbar2Wprime = on",
        "34:onMode = off",
        "34:onIfMatch = 6 5",
        "24:onMode = off",
        "24:onIfAny = 11 13",
        "Beams:idA = 2212",
        "Beams:idB = 2212",
        "Beams:eCM = 13000.",
    ),
    parameters=(Parameter("m_Wprime", default=1000.0, low=400.0, high=4000.0, lines=("34:m0 = {}",)),),
)

if __name__ == "__main__":  # workers are processes of their own, which import this file
    request = ColliderRequest(
        HEAVY_W, events=int(sys.argv[2]), output=Path(sys.argv[1]), parameters={"m_Wprime": (800.0, 1200.0)}, workers=2
    )
    generate_collider(request)
