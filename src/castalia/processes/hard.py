"""The collider processes that scans, unfolding and classification need, and every setting that decides their events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from castalia.errors import ConfigError

__all__ = ["COLLIDER_PROCESSES", "TUNES", "HardProcess", "Parameter", "find_hard_process"]


@dataclass(frozen=True)
class Parameter:
    """One number of the theory that a user can set or have drawn.

    Attributes:
        name: What the user calls it; its column is ``theta_`` and this name.
        default: Value where none is given.
        low: Smallest value for which the process makes sense, in the unit of the default (GeV for masses).
        high: Largest such value.
        lines: Pythia's setting lines, with ``{}`` where the value goes.
    """

    name: str
    default: float
    low: float
    high: float
    lines: tuple[str, ...]


@dataclass(frozen=True)
class HardProcess:
    """One collider process of the catalogue.

    Attributes:
        name: What the command line calls it.
        code: The number in the column ``process``; never given to another.
        description: One line for people.
        settings: Pythia's setting lines.
        parameters: What can be set or scanned.
        gaps: ``(upper, lower, gap)``: the parameter ``upper`` must exceed ``lower`` by more than ``gap``.
        one_leptonic_w: Whether of two W bosons exactly one decays to leptons.
    """

    name: str
    code: int
    description: str
    settings: tuple[str, ...]
    parameters: tuple[Parameter, ...] = ()
    gaps: tuple[tuple[str, str, float], ...] = ()
    one_leptonic_w: bool = False


TUNES: Final[dict[str, tuple[str, ...]]] = {"monash": ("Tune:pp = 14",), "a14": ("Tune:pp = 21",)}
"""Shower and hadronisation tunes: Pythia's default (Skands et al., arXiv:1404.5630) and ATLAS's A14 with NNPDF2.3
(ATL-PHYS-PUB-2014-021), the other shower of stress tests."""

_COLLISIONS: Final = (
    "Beams:idA = 2212",
    "Beams:idB = 2212",
    "Beams:eCM = 13000.",
    # NNPDF2.3 LO, which both tunes were made with.
    "PDF:pSet = 13",
    # What flies a centimetre or more reaches the detector: the experiments' definition of a stable particle
    # (ATL-PHYS-PUB-2015-013).
    "ParticleDecays:limitTau0 = on",
    "ParticleDecays:tau0Max = 10.",
)
_W_TO_LIGHT_LEPTONS: Final = ("24:onMode = off", "24:onIfAny = 11 13")
_W_TO_QUARKS_OR_LIGHT_LEPTONS: Final = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5 11 13")
# Below 20 GeV the partons of the matrix element are not told from the shower's and the cross section diverges.
_RECOIL: Final = ("PhaseSpace:pTHatMin = 20.",)

COLLIDER_PROCESSES: Final[tuple[HardProcess, ...]] = (
    HardProcess(
        "ttbar",
        1,
        "top-quark pair with one W boson decaying to e or mu and the other to quarks, at 13 TeV",
        ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", *_W_TO_QUARKS_OR_LIGHT_LEPTONS, *_COLLISIONS),
        one_leptonic_w=True,
    ),
    HardProcess(
        "heavy-higgs",
        2,
        "gg -> H -> H+- W-+, H+- -> W+- h(125), h -> b bbar, one W decaying to e or mu, at 13 TeV",
        (
            "Higgs:useBSM = on",
            "HiggsBSM:gg2H2 = on",
            # Couplings of the Standard Model's size, for the gluons' loop; the width is set by hand below.
            "HiggsH2:coup2u = 1.",
            "HiggsH2:coup2d = 1.",
            # The new channels stand beside the gluons', without which gg -> H would have no cross section.
            "35:addChannel = 1 0.5 100 37 -24",
            "35:addChannel = 1 0.5 100 -37 24",
            "35:onMode = off",
            "35:onIfMatch = 37 24",
            # Its own h W channel closes at 205.4 GeV, the sum of the nominal masses; this one lets the W off its shell.
            "37:addChannel = 1 1. 100 25 24",
            "37:onMode = off",
            "37:onIfMatch = 25 24",
            "25:onMode = off",
            "25:onIfMatch = 5 5",
            # The widths of the model are 44 to 146 GeV, with which a mass would say little.
            "35:doForceWidth = on",
            "35:mWidth = 4.",
            "37:doForceWidth = on",
            "37:mWidth = 2.",
            *_W_TO_QUARKS_OR_LIGHT_LEPTONS,
            *_COLLISIONS,
        ),
        (
            Parameter("m_H", 425.0, 235.0, 2000.0, ("35:m0 = {}",)),
            Parameter("m_Hpm", 325.0, 150.0, 1900.0, ("37:m0 = {}",)),
        ),
        # The W boson beside the charged Higgs boson must fit in.
        gaps=(("m_H", "m_Hpm", 85.0),),
        one_leptonic_w=True,
    ),
    HardProcess(
        "zprime",
        3,
        "Z' boson decaying to a top-quark pair, one W decaying to e or mu, at 13 TeV",
        (
            "NewGaugeBoson:ffbar2gmZZprime = on",
            "Zprime:gmZmode = 3",  # the Z' alone, without the photon's and the Z's amplitudes
            "32:onMode = off",
            "32:onIfAny = 6",
            *_W_TO_QUARKS_OR_LIGHT_LEPTONS,
            *_COLLISIONS,
        ),
        (Parameter("m_Zprime", 1000.0, 400.0, 5000.0, ("32:m0 = {}",)),),
        one_leptonic_w=True,
    ),
    HardProcess(
        "wjets",
        4,
        "W boson decaying to e or mu with a parton of pt > 20 GeV, at 13 TeV",
        (
            "WeakBosonAndParton:qqbar2Wg = on",
            "WeakBosonAndParton:qg2Wq = on",
            *_W_TO_LIGHT_LEPTONS,
            *_RECOIL,
            *_COLLISIONS,
        ),
    ),
    HardProcess(
        "zjets",
        5,
        "Z boson or photon above 50 GeV decaying to ee or mumu with a parton of pt > 20 GeV, at 13 TeV",
        (
            "WeakBosonAndParton:qqbar2gmZg = on",
            "WeakBosonAndParton:qg2gmZq = on",
            "23:mMin = 50.",
            "23:onMode = off",
            "23:onIfAny = 11 13",
            *_RECOIL,
            *_COLLISIONS,
        ),
    ),
    HardProcess(
        "singletop",
        6,
        "single top quark in the t and s channels, its W decaying to e or mu, at 13 TeV",
        ("Top:qq2tq(t:W) = on", "Top:ffbar2tqbar(s:W) = on", *_W_TO_LIGHT_LEPTONS, *_COLLISIONS),
    ),
)
"""Every known collider process, the default first."""


def find_hard_process(name: str) -> HardProcess:
    """Return the collider process of that name.

    Raises:
        ConfigError: If there is none; the message lists those there are.
    """
    for process in COLLIDER_PROCESSES:
        if process.name == name:
            return process
    known = ", ".join(process.name for process in COLLIDER_PROCESSES)
    raise ConfigError(f"There is no collider process {name!r}; choose one of {known}.")
