"""The numbers of an evaluation as ``metrics.json`` holds them, and what the goals say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from castalia.apps.pixels.judging import Compared, Judgement, Relations
from castalia.metrics.floors import FlooredDistance
from castalia.metrics.pixels.occupancy import RelativeBias

__all__ = ["GOALS", "Goal", "goals_of", "metrics_of"]

GOALS: Final = {"occupancy": 0.03, "sensors": 0.05, "charge": 1.0}
"""Largest bias of the occupancy and mean size of a sensor's, relative, and distance of the charges in ADU."""


@dataclass(frozen=True)
class Goal:
    """One goal and what was found.

    Attributes:
        key: Its name among the metrics.
        name: What it is about.
        value: What was found, positive.
        error: Its standard error.
        floor: The same between halves of the truth; None where it is zero.
        most: The goal.
        unit: Of the numbers; a relative number has ``"%"`` and is in per cent.
    """

    key: str
    name: str
    value: float
    error: float
    floor: float | None
    most: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.value <= self.most

    @property
    def sentence(self) -> str:
        """What is to be said of it."""
        words = "is within" if self.met else "misses"
        return f"{self.name} of {self.value:.3g} ± {self.error:.2g} {self.unit} {words} the goal of {self.most:g}."


def goals_of(judged: Judgement) -> tuple[Goal, ...]:
    """Return the goals; they are the aims of the models of this house, and refuse no model."""
    total, sensors = judged.occupancies.total, judged.occupancies.sizes["sensors"]
    charge = judged.spectra["charge"]
    most = {name: 100.0 * GOALS[name] for name in ("occupancy", "sensors")}
    bias = (100.0 * abs(total.value), 100.0 * total.error, None, most["occupancy"], "%")
    each = (100.0 * sensors.value, 100.0 * sensors.error, 100.0 * sensors.floor, most["sensors"], "%")
    return (
        Goal("occupancy_bias", "Bias of the occupancy", *bias),
        Goal("sensor_bias", "Mean bias of a sensor", *each),
        Goal("charge_distance", "Distance of the charges", charge.value, charge.error, charge.floor, GOALS["charge"],
             "ADU"),
    )  # fmt: skip


def metrics_of(judged: Judgement, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return everything that is measured, as JSON values."""
    occupancies = judged.occupancies
    return {
        "occupancy": {
            "bias": asdict(occupancies.total),
            "clusters": asdict(occupancies.clusters),
            "layers": _columns(occupancies.layers),
            "sensors": _columns(occupancies.sensors),
            "mean_size": {name: _distance(one) for name, one in occupancies.sizes.items()},
        },
        "wasserstein": {name: _distance(one) for name, one in judged.spectra.items()},
        "pair_correlation": _distance(judged.pairs),
        "correlations": {name: _relations(one) for name, one in judged.relations.items()},
        "matched_hit_excess": _compared(judged.excess),
        "shuffled_auc": _compared(judged.auc),
        "frechet": {name: _distance(one) for name, one in judged.frechet.items()},
        "sensors_named": {"truth": judged.named[0], "sampled": judged.named[1]},
        "impact": {name: _compared(one, "no_background") for name, one in judged.impact.items()},
        "goals": {one.key: {"value": one.value, "error": one.error, "unit": one.unit, "goal": one.most, "met": one.met}
                  for one in goals_of(judged)},
        "counts": dict(counts),
    }  # fmt: skip


def _columns(bias: RelativeBias) -> dict[str, Any]:
    return {"value": bias.value.tolist(), "error": bias.error.tolist()}


def _distance(one: FlooredDistance) -> dict[str, Any]:
    return {
        "value": one.value,
        "error": one.error,
        "floor": one.floor,
        "floor_error": one.floor_error,
        "excess": one.excess,
        "excess_error": one.excess_error,
    }


def _compared(one: Compared, control: str = "shuffled") -> dict[str, Any]:
    found = {"truth": asdict(one.truth), "sampled": asdict(one.made), "difference": asdict(one.difference)}
    return found if one.control is None else {**found, control: asdict(one.control)}


def _relations(one: Relations) -> dict[str, Any]:
    return {
        "difference": _distance(one.difference),
        "difference_shuffled": _distance(one.control),
        "mean": _compared(one.mean),
        "variance_ratio": _compared(one.variance),
    }
