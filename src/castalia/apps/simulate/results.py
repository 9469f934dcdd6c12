"""The numbers of an evaluation, as ``metrics.json`` holds them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from castalia.apps.simulate.events import JudgedEvents
from castalia.apps.simulate.judging import Judgement
from castalia.metrics.correlation import largest_difference
from castalia.metrics.efficiency import EfficiencyCheck, closure_chi2
from castalia.metrics.gate import Thresholds
from castalia.metrics.moments import Moments, window_moments
from castalia.metrics.width_ratio import LargestDiscrepancy, largest_discrepancy
from castalia.physics.masses import diphoton_mass, diphoton_pt

__all__ = ["DiphotonSystem", "Systems", "diphoton_system", "metrics_of"]

MASS_WINDOW = (120.0, 130.0)
PT_WINDOW = (0.0, 400.0)


@dataclass(frozen=True)
class DiphotonSystem:
    """The photon pair after reconstruction.

    Attributes:
        mass: Invariant mass in GeV, shape ``(events,)``.
        pt: Transverse momentum in GeV, shape ``(events,)``.
    """

    mass: NDArray[np.float64]
    pt: NDArray[np.float64]

    def moments(self) -> tuple[Moments, Moments]:
        """Return mean and standard deviation of mass and momentum in the paper's windows."""
        return window_moments(self.mass, *MASS_WINDOW), window_moments(self.pt, *PT_WINDOW)


class Systems(NamedTuple):
    """The photon pairs of the target, the model and parametric smearing."""

    target: DiphotonSystem
    model: DiphotonSystem
    rival: DiphotonSystem


def diphoton_system(events: JudgedEvents, target: NDArray[np.float64]) -> DiphotonSystem:
    """Build the photon pair of each event from its responses, shape ``(events, targets)``."""
    values = events.features.reconstructed(events.reference, target)
    columns = {
        (events.features.target[v.group].column, v.object_index): values[:, i]
        for i, v in enumerate(events.features.layout.target)
    }
    photons = [[columns["photon_" + name, photon] for name in ("et", "eta", "phi")] for photon in (0, 1)]
    et, eta, phi = (np.stack([photon[i] for photon in photons], axis=1) for i in range(3))
    return DiphotonSystem(diphoton_mass(et, eta, phi), diphoton_pt(et, phi))


def metrics_of(
    events: JudgedEvents,
    model: Judgement,
    rival: Judgement,
    systems: Systems | None,
    counts: dict[str, int],
) -> dict[str, Any]:
    """Collect all numbers of an evaluation.

    Args:
        events: The test events.
        model: What was measured of the model.
        rival: What was measured of parametric smearing.
        systems: The photon pairs, where the events are photon pairs.
        counts: Events read, left out and flagged, by name.

    Returns:
        A JSON mapping; ``kl_per_event`` and ``diphoton`` are ``None`` where they do not apply. ``excess`` is value
        minus floor, in the unit of the value.
    """
    diphoton = None
    if systems is not None:
        diphoton = {"target": _pair_numbers(systems.target), "generated": _pair_numbers(systems.model)}
    return {
        "events": {"judged": len(events), "outside_model_support": events.left_out, **counts},
        **_numbers(model, events),
        "diphoton": diphoton,
        "efficiency": _efficiency(model.efficiencies),
        "rival": _numbers(rival, events),
        "gate": {
            "passed": model.gate.passed,
            "reasons": list(model.gate.reasons),
            "thresholds": asdict(Thresholds()),
        },
    }


def _efficiency(checks: tuple[EfficiencyCheck, ...]) -> dict[str, Any] | None:
    if not checks:
        return None
    whole = next(check for check in checks if not check.binned)
    return {
        "predicted": whole.predicted,
        "counted": whole.counted,
        "counted_error": whole.error,
        "closure": {name: {"chi2": chi2, "ndf": bins} for name, (chi2, bins) in closure_chi2(checks).items()},
        "bins": [asdict(check) for check in checks if check.binned],
    }


def _numbers(judged: Judgement, events: JudgedEvents) -> dict[str, Any]:
    widths = largest_discrepancy([check for pair in judged.pairs for check in pair.checks])
    difference = largest_difference(judged.correlations)
    return {
        "kl_per_event": _divergence(judged, events),
        "exact_auc": None if judged.exact is None else {"value": judged.exact.value, "error": judged.exact.error},
        "mean_wasserstein": asdict(judged.wasserstein),
        "two_sample_auc": _two_sample(judged),
        "resolution": _resolution(judged, widths),
        "location": {check.target: {"shift": check.shift, "error": check.error} for check in judged.locations},
        "correlation": None
        if difference is None
        else {
            "largest_difference": abs(difference.difference),
            "error": difference.error,
            "between": [difference.first, difference.second],
            "target": difference.target,
            "generated": difference.generated,
        },
    }


def _divergence(judged: Judgement, events: JudgedEvents) -> dict[str, Any] | None:
    """``support`` counts the events that the model cannot produce at all, which were left out before."""
    if judged.divergence is None:
        return None
    producible = len(events) / (len(events) + events.left_out)
    return {**asdict(judged.divergence), "support": judged.divergence.support * producible}


def _two_sample(judged: Judgement) -> dict[str, Any]:
    values: dict[str, Any] = {"value": judged.auc.value, "error": judged.auc.error}
    if judged.test is not None:
        power, control = judged.test.power, judged.test.control
        values["power"] = {
            "planted_width": 1.03,
            "value": power.value,
            "error": power.error,
            "sigmas": power.significance,
        }
        values["control"] = {"value": control.value, "error": control.error}
    return values


def _resolution(judged: Judgement, widths: LargestDiscrepancy) -> dict[str, Any]:
    largest, significant = widths.largest, widths.significant
    return {
        "largest_discrepancy": None if largest is None else largest.deviation,
        "error": None if largest is None else largest.error,
        "where": None if largest is None else f"{largest.target} ({largest.where})",
        "largest_significant": None if significant is None else significant.deviation,
        "chi2": widths.chi2,
        "measured_bins": widths.bins,
        "unmeasured_bins": widths.unmeasured,
        "inclusive": {check.target: {"ratio": check.ratio, "error": check.error} for check in judged.inclusive},
        "bins": [asdict(check) for pair in judged.pairs for check in pair.checks],
    }


def _pair_numbers(system: DiphotonSystem) -> dict[str, float]:
    mass, pt = system.moments()
    return {
        "mass_mean": mass.mean,
        "mass_mean_error": mass.mean_error,
        "mass_sd": mass.sd,
        "mass_sd_error": mass.sd_error,
        "mass_fraction": mass.fraction,
        "mass_fraction_error": mass.fraction_error,
        "pt_mean": pt.mean,
        "pt_mean_error": pt.mean_error,
        "pt_sd": pt.sd,
        "pt_sd_error": pt.sd_error,
    }
