"""Thresholds that pseudo-experiments have calibrated, as ``castalia scan coverage`` reports them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import final

from castalia.errors import ModelError
from castalia.metrics.bands import ONE_SIGMA

__all__ = ["Calibration", "read_calibration"]

_ALIKE = 2.0
"""Ratio of the numbers of events up to which thresholds are taken for those of the fit."""


@final
@dataclass(frozen=True)
class Calibration:
    """Thresholds of the 68 % intervals.

    Attributes:
        thresholds: Rise of twice the negative log-likelihood at the ends of an interval, by parameter.
        events: Expected number of events of the pseudo-experiments.
    """

    thresholds: dict[str, float]
    events: float

    def doubts(self, events: float) -> tuple[str, ...]:
        """Return what is to be said where a fit of ``events`` events is unlike the pseudo-experiments."""
        if self.events / _ALIKE <= events <= self.events * _ALIKE:
            return ()
        return (
            f"the thresholds are of pseudo-experiments of {self.events:g} events, the fit has {events:g}: run "
            "`castalia scan coverage` with as many.",
        )


def read_calibration(report: Path, identity: str) -> Calibration:
    """Read the calibrated thresholds of 68 % intervals from a report of ``castalia scan coverage``.

    Args:
        report: The report folder.
        identity: Hash of the models and of the configuration of the fit; see ``ScanModel``.

    Raises:
        ModelError: If it is no such report, of another run, or had too few experiments for thresholds.
    """
    path = report / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        parameters, made_of, plan = metrics["parameters"], metrics["identity"], metrics["plan"]
        listed = {one["name"]: {t["level"]: float(t["value"]) for t in one["thresholds"]} for one in parameters}
        events = float(plan["signal"] + plan["background"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: is no result of `castalia scan coverage` ({error}); name such a report.") from error
    if made_of != identity:
        raise ModelError(
            f"{report}: its thresholds are of another model, or of other constraints or yields; run "
            "`castalia scan coverage` with this run."
        )
    found = {
        name: value
        for name, levels in listed.items()
        for level, value in levels.items()
        if abs(level - ONE_SIGMA) < 1e-6
    }
    if not found:
        raise ModelError(f"{report}: too few pseudo-experiments for thresholds; run 200 or more.")
    return Calibration(found, events)
