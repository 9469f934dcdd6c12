"""The processes that ``generate`` knows, and every setting that decides what their events are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from castalia.errors import ConfigError

__all__ = ["PROCESSES", "Process", "find_process"]


@dataclass(frozen=True)
class Process:
    """One process of the catalogue.

    Attributes:
        name: What the command line calls it.
        description: One line for people.
        sampler: ``"pythia"`` or ``"toy"``: who makes the events.
        settings: What decides the events besides the seed: Pythia's setting lines, or the toy's distributions. They
            are provenance too, so that a change of theirs changes the hash of a unit of work.
    """

    name: str
    description: str
    sampler: str
    settings: tuple[str, ...]


_HIGGS_TO_PHOTONS: Final = (
    "Beams:idA = 2212",
    "Beams:idB = 2212",
    "Beams:eCM = 13000.",
    # NNPDF2.3 LO: at leading order it gives ttH a diphoton pt, below 400 GeV, of mean 118.0 +- 0.6 and deviation 76.1
    # GeV, where the paper's NLO sample has 119.0 and 76.4; the CTEQ6L1 that the paper names gives 116.5 and 74.2.
    "PDF:pSet = 13",
    "25:m0 = 125.",
    "25:onMode = off",
    "25:onIfMatch = 22 22",
    # The showers of the initial state recoil against the Higgs boson and shape its pt; those of the final state do
    # not, take half of the time, and would turn 3 % of the photons into fermion pairs.
    "PartonLevel:FSR = off",
    "PartonLevel:MPI = off",
    "HadronLevel:all = off",
    # A Higgs boson of 4 MeV width cannot be seen behind a resolution of 2 GeV; on-shell phase space is faster.
    "PhaseSpace:useBreitWigners = off",
)

PROCESSES: Final[tuple[Process, ...]] = (
    Process(
        "ttH",
        "Higgs boson with a top-quark pair, decaying to two photons, at 13 TeV by Pythia 8",
        "pythia",
        ("HiggsSM:gg2Httbar = on", "HiggsSM:qqbar2Httbar = on", *_HIGGS_TO_PHOTONS),
    ),
    Process(
        "ggH",
        "Higgs boson from gluon fusion, decaying to two photons, at 13 TeV by Pythia 8",
        "pythia",
        ("HiggsSM:gg2H = on", *_HIGGS_TO_PHOTONS),
    ),
    Process(
        "toy",
        "Higgs boson with a made-up spectrum, decaying to two photons; needs no Pythia",
        "toy",
        ("mass = 125 GeV", "pt ~ Gamma(2.3, 52 GeV)", "rapidity ~ N(0, 1)", "isotropic decay", "uniform phi"),
    ),
)
"""Every known process, the default first."""


def find_process(name: str) -> Process:
    """Return the process of that name.

    Raises:
        ConfigError: If there is none; the message lists those there are.
    """
    for process in PROCESSES:
        if process.name == name:
            return process
    known = ", ".join(process.name for process in PROCESSES)
    raise ConfigError(f"There is no process {name!r}; choose one of {known}.")
