"""Missing transverse momentum: minus everything that was reconstructed, the soft term included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.parametric.card import MissingCard
from castalia.detectors.parametric.draws import Section
from castalia.detectors.parametric.objects import Objects

__all__ = ["missing_momentum", "polar", "transverse_sum"]


def missing_momentum(
    visible: Objects, found: Sequence[Objects], section: Section, card: MissingCard, mu: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return ``met_pt``, ``met_phi``, ``soft_pt``, ``soft_phi``, each of shape ``(rows,)``, GeV and radians.

    The true soft term is what is visible less what the reconstructed objects were before smearing, so that nothing
    is counted twice.

    Args:
        visible: Stable particles that are seen.
        found: Reconstructed objects with ``pt``, ``phi``, ``true_px``, ``true_py``.
        section: The card's section of missing momentum at work.
        card: The same section.
        mu: Pile-up interactions of each event, shape ``(rows,)``.
    """
    soft = transverse_sum(visible)
    sumet = visible.sum_per_event(visible["pt"])
    seen = np.zeros_like(soft)
    for objects in found:
        soft -= np.stack([objects.sum_per_event(objects[name]) for name in ("true_px", "true_py")])
        sumet -= objects.sum_per_event(np.hypot(objects["true_px"], objects["true_py"]))
        seen += transverse_sum(objects)
    width = section.value("resolution", "resolution", {"sumet": np.maximum(sumet, 0.0), "mu": mu})
    soft = card.response * soft + width * section.rng("resolution").standard_normal((len(mu), 2)).T
    return {**polar("met", -(seen + soft)), **polar("soft", soft)}


def transverse_sum(objects: Objects) -> NDArray[np.float64]:
    """Return the vector sum of an event's objects as (px, py) in GeV, shape ``(2, rows)``."""
    pt, phi = objects["pt"], objects["phi"]
    return np.stack([objects.sum_per_event(pt * np.cos(phi)), objects.sum_per_event(pt * np.sin(phi))])


def polar(name: str, vector: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return ``name_pt`` and ``name_phi`` (in (-pi, pi]) of vectors (x, y), shape ``(2, rows)``."""
    phi = np.arctan2(vector[1], vector[0])
    return {f"{name}_pt": np.hypot(*vector), f"{name}_phi": np.where(phi == -np.pi, np.pi, phi)}
