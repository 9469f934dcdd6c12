"""The numbers of an evaluation as ``metrics.json`` holds them, and what the quality gate says of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import numpy as np

from castalia.apps.unfold.judging import JudgedEvents, Judgement
from castalia.metrics.auc import AucEstimate
from castalia.metrics.marginals import FlooredMarginals
from castalia.metrics.proper_scores import MeanScore

__all__ = ["CALIBRATED", "MEASURES", "calibrated", "gate_reasons", "metrics_of", "numbers_of"]

MEASURES: Final = {
    "wasserstein": "Wasserstein",
    "energy": "energy",
    "kolmogorov_smirnov": "K–S",
    "kl64": "KL 64",
    "kl128": "KL 128",
    "kl256": "KL 256",
}
"""The paper's six distances, with their names in tables."""

CALIBRATED: Final = 0.03
"""Largest deviation of the ranks' distribution of a number that counts as calibrated."""

_MISCALIBRATED, _MOST = 0.1, 0.2  # a deviation that is plainly wrong, and the share of numbers that may have it


def metrics_of(
    events: JudgedEvents, judged: Judgement, control: Judgement, reasons: tuple[str, ...], counts: dict[str, int]
) -> dict[str, Any]:
    """Return everything that is measured, as JSON values."""
    return {
        "test_events": len(events.truth),
        "scored_events": events.scored,
        "numbers": len(events.coordinates.tree.numbers),
        "continuous": len(events.continuous),
        "posterior": numbers_of(events, judged),
        "control": numbers_of(events, control),
        "gate": {"passed": not reasons, "reasons": list(reasons)},
        "counts": counts,
    }


def gate_reasons(judged: Judgement, control: Judgement) -> tuple[str, ...]:
    """Return why a posterior is refused, one sentence each; nothing where it passes.

    What passes is a posterior that knows the event and is not plainly miscalibrated; how good it is, the numbers tell.
    """
    reasons = []
    gain = control.crps.value - judged.crps.value
    if gain < 3.0 * float(np.hypot(judged.crps.error, control.crps.error)):
        reasons.append(
            f"its CRPS of {judged.crps.value:.3f} ± {judged.crps.error:.3f} is no better than that of the truth of "
            f"random training events, {control.crps.value:.3f}: it does not know the event."
        )
    wrong = float(np.mean(judged.ranks.value > _MISCALIBRATED + judged.ranks.threshold_all))
    if wrong > _MOST:
        reasons.append(
            f"the ranks of the truth are off by more than {_MISCALIBRATED:g} of all events in {wrong:.0%} of numbers."
        )
    return tuple(reasons)


def calibrated(judged: Judgement) -> int:
    """Return how many numbers are calibrated: their ranks are uniform to within ``CALIBRATED``."""
    return int(np.sum(judged.ranks.value <= CALIBRATED))


def numbers_of(events: JudgedEvents, judged: Judgement) -> dict[str, Any]:
    """Return everything that is measured of one posterior, as JSON values."""
    ranks, names = judged.ranks, events.coordinates.continuous
    found: dict[str, Any] = {
        "distances": _distances(judged.marginals, None),
        "distances_continuous": _distances(judged.marginals, events.continuous),
        "crps": _score(judged.crps),
        "crps_of": dict(zip(names, judged.crps.components.tolist(), strict=True)),
        "energy_score": _score(judged.energy),
        "joint_auc": _area(judged.joint),
        "joint_auc_with_distances": _area(judged.joint_distances),
        "calibration": {
            "calibrated": calibrated(judged),
            "largest_deviation": float(ranks.value.max()),
            "expected_deviation": ranks.expected,
            "deviation_of": dict(zip(names, ranks.value.tolist(), strict=True)),
        },
        "coverage": {
            f"{one.level:g}": {
                "mean": float(one.value.mean()),
                "least": float(one.value.min()),
                "largest": float(one.value.max()),
            }
            for one in judged.coverage
        },
        "consistency": {name: asdict(one) for name, one in judged.composites.items()},
    }
    if judged.test is not None:
        for name, one in (("power", judged.test.power), ("control", judged.test.control)):
            found["joint_auc"][name] = _area(one)
    return found


def _distances(marginals: FlooredMarginals, columns: list[int] | None) -> dict[str, Any]:
    summed = marginals.summed(columns)
    return {
        name: {
            "value": one.value,
            "error": one.error,
            "floor": one.floor,
            "floor_error": one.floor_error,
            "ratio": one.ratio,
        }
        for name in MEASURES
        for one in (getattr(summed, name),)
    }


def _area(area: AucEstimate) -> dict[str, float]:
    return {"value": area.value, "error": area.error}


def _score(score: MeanScore) -> dict[str, float]:
    return {"value": score.value, "error": score.error}
