"""The numbers of an evaluation as ``metrics.json`` holds them, and what the quality gate says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from castalia.apps.classify.judging import Contest, Judgement
from castalia.apps.classify.relations import Relations
from castalia.metrics.importance import Importance
from castalia.metrics.reliability import CalibrationError
from castalia.metrics.roc import WorkingPoint
from castalia.metrics.significance import ExpectedSignificance

__all__ = [
    "CALIBRATED",
    "SIGMAS",
    "WORKING_POINTS",
    "gate_reasons",
    "is_calibrated",
    "metrics_of",
    "numbers_of",
    "working_points",
]

WORKING_POINTS: Final = (0.3, 0.5, 0.7, 0.9)
"""Signal efficiencies at which rejections are quoted."""

CALIBRATED: Final = 0.01
"""Largest expected calibration error, beyond its floor, that the gate accepts."""

SIGMAS: Final = 3.0
"""Errors by which a number must miss what is asked of it before the gate refuses it."""


def gate_reasons(judged: Judgement, goal: float | None) -> tuple[str, ...]:
    """Return why a classifier is refused, one sentence each; nothing where it passes.

    Args:
        judged: What was measured.
        goal: Least mean AUC; ``None`` for any that is not a guess.
    """
    reasons, area = [], judged.mean_auc
    if area.value + SIGMAS * area.error < 0.5:
        reasons.append(
            f"its AUC of {area.value:.4f} ± {area.error:.4f} is below 0.5 beyond {SIGMAS:g} errors: it takes one class "
            "for the other; look whether files or numbers of two classes are exchanged."
        )
    elif area.value - SIGMAS * area.error <= 0.5:
        reasons.append(
            f"its AUC of {area.value:.4f} ± {area.error:.4f} is not above 0.5 beyond {SIGMAS:g} errors: it guesses."
        )
    if goal is not None and area.value + SIGMAS * area.error < goal:
        reasons.append(
            f"its AUC of {area.value:.4f} ± {area.error:.4f} is below the goal of {goal:g} beyond {SIGMAS:g} errors."
        )
    for one in judged.reliabilities:
        off = one.error
        if not is_calibrated(off):
            reasons.append(
                f"the probability of {one.name} is off by {off.value:.4f} ± {off.error:.4f} on average, where "
                f"{off.floor:.4f} is due to the number of events; at most {CALIBRATED:g} is allowed beyond that and "
                f"{SIGMAS:g} errors."
            )
    return tuple(reasons)


def is_calibrated(off: CalibrationError) -> bool:
    """Tell whether the gate accepts a calibration error."""
    return off.debiased - off.debiased_floor - SIGMAS * off.error <= CALIBRATED


def metrics_of(
    judged: Judgement,
    relations: Relations | None,
    importance: Sequence[Importance],
    reasons: Sequence[str],
    counts: Mapping[str, int],
) -> dict[str, Any]:
    """Return everything that is measured, as JSON values."""
    return {
        **numbers_of(judged, relations),
        "importance": {
            one.name: {
                what: {"value": loss.value, "error": loss.error}
                for what, loss in (("total", one.total), ("relations", one.relations))
            }
            for one in importance
        },
        "gate": {"passed": not reasons, "reasons": list(reasons)},
        "counts": dict(counts),
    }


def numbers_of(judged: Judgement, relations: Relations | None) -> dict[str, Any]:
    """Return what is measured of one classifier, as JSON values."""
    found: dict[str, Any] = {
        "auc": {"value": judged.mean_auc.value, "error": judged.mean_auc.error},
        "log_loss": {"value": judged.log_loss, "error": judged.log_loss_error},
        "accuracy": {"value": judged.confusion.accuracy, "error": judged.confusion.accuracy_error},
        "contests": {f"{one.signal} against {one.background}": _contest(one) for one in judged.contests},
        "calibration": {one.name: asdict(one.error) for one in judged.reliabilities},
        "confusion": judged.confusion.share.tolist(),
    }
    if judged.mass is not None:
        found["mass"] = {
            "correlation": {"value": judged.mass.correlation, "error": judged.mass.error},
            "p_value": judged.mass.p_value,
            "spread": judged.mass.spread,
            "share": judged.mass.share,
        }
    if relations is not None:
        found["relations"] = _relations(relations)
    return found


def working_points(contest: Contest) -> tuple[WorkingPoint, ...]:
    """Return the working points that are quoted."""
    return tuple(contest.curve.at(signal) for signal in WORKING_POINTS)


def _contest(one: Contest) -> dict[str, Any]:
    best = one.curve.best_improvement()
    found: dict[str, Any] = {
        "auc": {"value": one.auc.value, "error": one.auc.error},
        "rejection": {f"{point.signal:g}": asdict(point) for point in working_points(one)},
        "improvement": None if best is None else asdict(best),
    }
    if one.significance is not None:
        found["significance"] = _significance(one, one.significance)
    return found


def _significance(one: Contest, found: ExpectedSignificance) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "signal_events": found.signal_events,
        "background_events": found.background_events,
        "systematic": found.systematic,
        "uncut": found.uncut,
    }
    if found.best is not None:
        entry |= {
            "best": {"value": float(found.value[found.best]), "error": found.error},
            "signal_efficiency": float(one.curve.signal[found.best]),
            "background_efficiency": float(one.curve.background[found.best]),
        }
    return entry


def _relations(relations: Relations) -> dict[str, Any]:
    found = relations.found
    return {
        "accuracy": {"value": found.accuracy, "error": found.accuracy_error},
        "baseline_accuracy": found.baseline_accuracy,
        "balanced": found.balanced,
        "balanced_baseline": found.balanced_baseline,
        "of": {
            name: {
                "pairs": int(found.pairs[i]),
                "recall": {"value": float(found.recall[i]), "error": float(found.recall_error[i])},
                "baseline": float(found.baseline[i]),
            }
            for i, name in enumerate(relations.names)
        },
    }
