"""A hook of Pythia's that has two W bosons decay until exactly one of them gives leptons."""

from __future__ import annotations

from typing import Any

from castalia.processes.pythia import load_pythia

__all__ = ["one_leptonic_w"]

_W, _FIRST_LEPTON = 24, 11


def one_leptonic_w() -> Any:
    """Return a hook under which of two W bosons exactly one decays to leptons, either of them equally often.

    Pythia draws all resonance decays of an event again where the hook refuses them, and keeps the hard process, so the
    cross section that it quotes is that of all open decays. The W bosons' own settings say which leptons are open.

    Raises:
        ConfigError: If Pythia is not installed.
    """
    pythia8mc: Any = load_pythia()

    class OneLeptonicW(pythia8mc.UserHooks):  # type: ignore[misc]  # Pythia's class has no types
        def canVetoResonanceDecays(self) -> bool:
            return True

        def doVetoResonanceDecays(self, process: Any) -> bool:
            return leptonic_w_bosons(process) != 1

    return OneLeptonicW()


def leptonic_w_bosons(process: Any) -> int:
    """Count the W bosons of a hard process's record that decay to leptons."""
    bosons = (entry for entry in process if abs(entry.id()) == _W)
    return sum(abs(process[boson.daughter1()].id()) >= _FIRST_LEPTON for boson in bosons)
