"""What the comparison of unfolding models keeps of each, and how rows become tables and goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.costs import Cost
from castalia.apps.unfold.judging import JudgedEvents, Judgement
from castalia.apps.unfold.results import MEASURES, numbers_of
from record import Goal

__all__ = ["DEFAULT", "RIVALS", "difference", "goals_of", "ratios_to", "row_of", "table_of"]

Array = NDArray[np.float64]
Row = Mapping[str, Any]

DEFAULT: Final = "unfold_flow_matching"
RIVALS: Final = ("cvae", "cinn", "vdm")
"""Models that the default is to be ahead of, beside the reweighted prior."""

_GROUPS = 100  # of events, whose mean scores are kept: pairs of models are compared group by group


def row_of(events: JudgedEvents, judged: Judgement, cost: Cost | None = None) -> dict[str, Any]:
    """Return what is kept of one posterior: plain numbers, and mean scores of groups of the same events."""
    numbers = numbers_of(events, judged)
    row: dict[str, Any] = {}
    for which, key in (("all", "distances"), ("continuous", "distances_continuous")):
        for name in MEASURES:
            one = numbers[key][name]
            row |= {f"{name}_{which}": one["value"], f"{name}_{which}_floor": one["floor"]}
    row |= {
        "crps": judged.crps.value,
        "crps_error": judged.crps.error,
        "energy_score": judged.energy.value,
        "joint_auc": judged.joint.value,
        "joint_auc_error": judged.joint.error,
        "joint_auc_distances": judged.joint_distances.value,
        "calibrated": numbers["calibration"]["calibrated"],
        "largest_rank_deviation": numbers["calibration"]["largest_deviation"],
        "mass_violation": max(one.shell.violation for one in judged.composites.values()),
        "spacelike": max(one.shell.spacelike for one in judged.composites.values()),
        "sum_violation": max(one.daughters.violation for one in judged.composites.values()),
        "crps_of_groups": [float(part.mean()) for part in np.array_split(judged.event_crps, _GROUPS)],
    }
    for name, one in judged.composites.items():
        for which, peak in (("peak", one.shell.drawn_peak), ("sum_peak", one.daughters.peak)):
            row |= {f"{name}_{which}": peak.mean, f"{name}_{which}_width": peak.width}
    if cost is not None:
        row |= {name: getattr(cost, name) for name in cost.__dataclass_fields__}
    if judged.test is not None:
        row |= {"joint_power": judged.test.power.value, "joint_control": judged.test.control.value}
    return row


def table_of(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return mean and spread over seeds of every number; the spread of one seed is not known."""
    found = {}
    for name in rows[0]:
        values = np.array([row[name] for row in rows], dtype=np.float64)
        if values.ndim == 1:
            spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
            found[name] = {"value": float(values.mean()), "spread": spread}
    return found


def difference(rows: Sequence[Row], others: Sequence[Row]) -> tuple[float, float]:
    """Return by how much the CRPS of a model is below another's, over seeds, with its error.

    The events are the same, so that the error is that of the difference, group by group; it is that of the seeds where
    that is larger.
    """
    one, other = (np.array([row["crps_of_groups"] for row in model], dtype=np.float64) for model in (rows, others))
    groups = other.mean(axis=0) - one.mean(axis=0)
    error = float(groups.std(ddof=1)) / len(groups) ** 0.5
    seeds = sum(float(m.mean(axis=1).var(ddof=1)) / len(m) for m in (one, other) if len(m) > 1)
    return float(groups.mean()), max(error, seeds**0.5)


def ratios_to(model: str, distances: Mapping[str, float]) -> dict[str, float]:
    """Return how many times the distance of one model those of all are; nothing where that one is not there."""
    return {name: one / distances[model] for name, one in distances.items()} if model in distances else {}


def goals_of(tuned: Mapping[str, Sequence[Row]], control: Row | None, prior: Row | None, continuous: int) -> list[Goal]:
    """Return what is claimed; what could not be measured yet has no value, and meets nothing.

    Args:
        tuned: Rows by model, one a seed.
        control: That of the truth of random training events.
        prior: That of the reweighted prior.
        continuous: How many numbers have a density.
    """
    default = tuned.get(DEFAULT) or ()

    def ratio(rows: Sequence[Row], name: str) -> float | None:
        return float(np.mean([row[name] / row[f"{name}_floor"] for row in rows])) if rows else None

    def mean(name: str) -> float | None:
        return float(np.mean([row[name] for row in default])) if default else None

    goals = [
        Goal("Wasserstein distances over all numbers, floors", ratio(default, "wasserstein_all"), "<=", 1.5),
        Goal("K-S over the continuous, floors", ratio(default, "kolmogorov_smirnov_continuous"), "<=", 2.0),
        Goal("KL 64 over the continuous, floors", ratio(default, "kl64_continuous"), "<=", 2.0),
        Goal("joint AUC", mean("joint_auc"), "<=", 0.65, error=mean("joint_auc_error")),
        Goal("calibrated numbers", mean("calibrated"), ">=", float(continuous - 2)),
        Goal("sums of daughters, violation", mean("sum_violation"), "<=", 1e-6),
        Goal("masses, violation", mean("mass_violation"), "<=", 1e-6),
        Goal("VLD: Wasserstein distances over all numbers, floors",
             ratio(tuned.get("vld") or (), "wasserstein_all"), "<=", 3.0),
    ]  # fmt: skip
    others = {name: tuned.get(name) or () for name in RIVALS}
    others["reweighted prior"] = () if prior is None else (prior,)
    others["control"] = () if control is None else (control,)
    for name, rows in others.items():
        value, error = difference(default, rows) if default and rows else (None, None)
        ahead = None if value is None or not error else value / error
        goals.append(Goal(f"CRPS ahead of {name} [standard errors]", ahead, ">=", 3.0, peer=name))
    return goals
