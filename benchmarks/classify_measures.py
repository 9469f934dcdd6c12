"""What the classification benchmarks keep of each training, and how rows become tables, differences and goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, TypeAlias

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from castalia.apps.classify.judging import Judgement
from castalia.apps.classify.relations import Relations
from castalia.metrics.learning_curve import LearningCurve, data_saved, learning_curve
from castalia.rng import Stream
from classify_run import PRETRAINED
from record import Goal

__all__ = [
    "AHEAD",
    "GROUPS",
    "Row",
    "Rows",
    "ahead",
    "cpu_hours",
    "curve_of",
    "curves_of",
    "deviations",
    "difference",
    "learns",
    "row_of",
    "saved",
    "spares",
    "summary",
]

Row: TypeAlias = dict[str, Any]
Rows: TypeAlias = Mapping[str, Any]

AHEAD: Final = 3.0
"""Standard deviations by which what is called ahead is ahead: of a normal distribution, however few seeds there are."""

_FARTHEST: Final = 37.0  # of what a double can tell from impossible

GROUPS: Final = 50
"""Of events, whose shares in the AUC are kept, and replicas of the improvement: what pairs have in common."""

_DRAWS = 2_000


def row_of(judged: Judgement, relations: Relations | None) -> Row:
    """Return what is kept of one training on two classes.

    Args:
        judged: What was measured.
        relations: Recognition of relations, where the model tells them.
    """
    (contest,), (reliability,) = judged.contests, judged.reliabilities
    best = contest.curve.best_improvement()
    row: Row = {
        "auc": judged.mean_auc.value,
        "auc_error": judged.mean_auc.error,
        "log_loss": judged.log_loss,
        "calibration_error": reliability.error.value,
        "calibration_error_debiased": reliability.error.debiased,
        "auc_of_groups": [_short(part.sum()) for part in np.array_split(judged.mean_auc.influence, GROUPS)],
    }
    if best is not None:
        place = int(np.argmin(np.abs(contest.curve.signal - best.signal)))
        left = np.maximum(contest.curve.replicas[:, place], 1.0 / len(judged.mean_auc.influence))
        row |= {
            "improvement": best.value,
            "improvement_error": best.error,
            "improvement_signal": best.signal,
            "improvement_of_replicas": [_short(one) for one in best.signal / np.sqrt(left)],
        }
    if relations is not None:
        found = relations.found
        row["relations"] = {
            "accuracy": found.accuracy,
            "baseline_accuracy": found.baseline_accuracy,
            "balanced": found.balanced,
            "balanced_baseline": found.balanced_baseline,
        }
    return row


def _short(value: float) -> float:
    """Round to five digits: hundreds of rows of a hundred numbers are one file."""
    return float(f"{value:.5g}")


def difference(rows: Sequence[Row], others: Sequence[Row], what: str = "auc") -> tuple[float, float, float]:
    """Return by how much a number of an arm is above another's, over the same seeds, with its error.

    Both arms of a seed learned from the same events, so that seeds are paired; all were judged on the same events,
    whose part in the error is that of the difference.

    Args:
        rows: Rows of the arm, one a seed.
        others: Those of the other, of the same seeds.
        what: ``"auc"`` or ``"improvement"``.

    Returns:
        The mean difference, its standard error, and the degrees of freedom of that: few where the spread of a few seeds
        is most of it. The error of one seed is that of the judged events alone.

    References:
        Satterthwaite, An approximate distribution of estimates of variance components (1946): the degrees of freedom.
    """
    pairs = list(zip(rows, others, strict=True))
    seeds = np.array([one[what] - other[what] for one, other in pairs])
    if what == "auc":
        groups = np.mean([np.subtract(one["auc_of_groups"], other["auc_of_groups"]) for one, other in pairs], axis=0)
        of_events = float(np.square(groups).sum())
    else:
        name = "improvement_of_replicas"
        of_events = float(np.mean([np.subtract(one[name], other[name]) for one, other in pairs], axis=0).var(ddof=1))
    of_seeds = float(seeds.var(ddof=1)) / len(seeds) if len(seeds) > 1 else 0.0
    freedom = (of_events + of_seeds) ** 2 * (len(seeds) - 1) / of_seeds**2 if of_seeds else float("inf")
    return float(seeds.mean()), (of_events + of_seeds) ** 0.5, freedom


def deviations(value: float, error: float, freedom: float) -> float:
    """Return the deviations of a normal distribution that are as rare as ``value`` by Student's distribution."""
    # By the upper tail, which keeps its digits, of the size of the value.
    rare = float(norm.isf(student.sf(abs(value) / error, freedom)))
    return float(np.copysign(min(rare, _FARTHEST), value))


def ahead(name: str, rows: Sequence[Row], others: Sequence[Row], what: str = "auc", least: float = AHEAD) -> Goal:
    """Return the goal that an arm is ahead of another, in standard deviations; without a value where one is missing.

    Args:
        name: What is compared, and where.
        rows: Rows of the arm, one a seed.
        others: Those of the other.
        what: ``"auc"`` or ``"improvement"``.
        least: Standard deviations wanted.
    """
    known = bool(rows) and bool(others) and all(what in row for row in (*rows, *others))
    value, error, freedom = difference(rows, others, what) if known else (None, None, 0.0)
    far = None if not error or value is None else deviations(value, error, freedom)
    titled = {"auc": "AUC", "improvement": "significance improvement"}[what]
    return Goal(f"{titled}, {name} [standard deviations]", far, ">=", least)


def learns(name: str, rows: Sequence[Row], least: float = 5.0) -> Goal:
    """Return the small claim that an arm does not guess, in standard errors of its first training.

    Args:
        name: What is trained.
        rows: Its rows; the goal has no value without one.
        least: Standard errors wanted.
    """
    value = (rows[0]["auc"] - 0.5) / rows[0]["auc_error"] if rows else None
    return Goal(f"AUC of {name} above a guess [standard errors]", value, ">=", least)


def summary(rows: Sequence[Row]) -> Row:
    """Return mean and spread over seeds of the numbers of an arm; the spread of one seed is not known."""
    found: Row = {"seeds": len(rows)}
    names = ("auc", "improvement", "log_loss", "calibration_error", "calibration_error_debiased", "training_seconds")
    timed = [{**row, "training_seconds": sum(_trained(row).values())} for row in rows]
    for name in names:
        values = np.array([row[name] for row in timed if name in row], dtype=np.float64)
        if len(values):
            spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
            found[name] = {"value": float(values.mean()), "spread": spread}
    told = [row["relations"] for row in rows if "relations" in row]
    if told:
        found["relations"] = {key: float(np.mean([one[key] for one in told])) for key in told[0]}
    found["settings"] = rows[0]["settings"]
    return found


def cpu_hours(rows: Rows) -> dict[str, float]:
    """Return the processor time behind rows in hours; a run that several rows share counts once."""
    trained = {name: seconds for row in rows.values() for name, seconds in _trained(row).items()}
    runs = {name: seconds for row in rows.values() for name, seconds in row["runs"].items()}
    training = sum(trained.values())
    judging = sum(row["judging_seconds"] for row in rows.values())
    pretraining = sum(runs.values()) - training
    parts = {"pretraining": pretraining, "training": training, "judging": judging}
    return {name: round(seconds / 3600.0, 3) for name, seconds in {**parts, "total": sum(parts.values())}.items()}


def _trained(row: Row) -> dict[str, float]:
    """Return the processor time of a row's training by its run folder, without that of the pre-training."""
    return {name: seconds for name, seconds in row["runs"].items() if not name.startswith(PRETRAINED)}


def curve_of(rows: Mapping[int, Sequence[Row]], what: str = "auc") -> LearningCurve | None:
    """Return the learning curve of an arm from its rows by size, with bands; ``None`` without any."""
    pairs = [(size, row[what]) for size, found in rows.items() for row in found if what in row]
    return learning_curve(*zip(*pairs, strict=True)) if pairs else None


def curves_of(arms: Mapping[str, Mapping[int, Sequence[Row]]], what: str = "auc") -> Row:
    """Return the learning curves of arms, by name, as JSON values."""
    curves = {name: curve_of(rows, what) for name, rows in arms.items()}
    return {name: asdict(curve) for name, curve in curves.items() if curve is not None}


def saved(reference: LearningCurve | None, better: LearningCurve | None, size: int) -> Row | None:
    """Return how many times fewer events an arm needs than another to reach what that has with so many.

    Args:
        reference: The curve that gives the AUC.
        better: The one that is to reach it with fewer events.
        size: Training events a class of the reference.

    Returns:
        ``factor`` with the ends of its 68 % interval, ``low`` and ``high``; a curve that begins above the AUC saves at
        least ``least``, and its factor is not known. ``None`` while a curve is not known there.
    """
    if reference is None or better is None or size not in reference.sizes or len(better.sizes) < 2:
        return None
    found = {one.size: one for one in data_saved(reference, better, _DRAWS, Stream(1, "data saved").at())}[float(size)]
    row: Row = {"factor": 1.0 / found.factor, "low": 1.0 / found.high, "high": 1.0 / found.low}
    begins_above = better.value[0] > reference.value[list(reference.sizes).index(size)]
    return {**row, "least": float(size / better.sizes[0]) if begins_above else None}


def spares(name: str, found: Row | None, size: int) -> Goal:
    """Return the goal that an arm needs half of the events, with half of the 68 % interval as its error.

    Of an arm that is better from the first size on only the least factor is known, and no error.

    Args:
        name: The arm.
        found: What ``saved`` returned.
        size: Training events a class of the reference.
    """
    title = f"data saved by {name} at the AUC of scratch with {size}"
    if found is not None and found["least"] is None:
        return Goal(title, found["factor"], ">=", 2.0, 0.5 * (found["high"] - found["low"]))
    return Goal(title, found["least"] if found is not None else None, ">=", 2.0)
