"""Where a training stands: what a checkpoint remembers besides tensors."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["Position"]


@dataclass
class Position:
    """Counters and sums of a training, changed as it proceeds.

    Attributes:
        step: Steps done.
        epoch: Epochs finished, over all phases.
        phase: Phase being run, from 0; the number of phases once all are finished.
        phase_step: Steps done in this phase.
        phase_epoch: Epochs finished in this phase.
        batch: Batches done in this epoch.
        sums: Sums of weight times loss in this epoch, by objective and term.
        weights: Sums of weights in this epoch, by objective.
        best_epoch: Best epoch of the phase, from 1 over all phases, or ``None`` before the first.
        best_value: Its metric.
        stale: Epochs since the best one.
        stopped_early: Whether a phase has run out of patience.
        seconds: Time spent, over all sessions.
        history_size: Bytes of the history.
    """

    step: int = 0
    epoch: int = 0
    phase: int = 0
    phase_step: int = 0
    phase_epoch: int = 0
    batch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    best_epoch: int | None = None
    best_value: float | None = None
    stale: int = 0
    stopped_early: bool = False
    seconds: float = 0.0
    history_size: int = 0

    def add(self, objective: str, sums: Mapping[str, float], weight: float) -> None:
        """Add one step's losses to the epoch's sums."""
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.weights[objective] = self.weights.get(objective, 0.0) + weight

    def means(self) -> dict[str, float]:
        """Return the epoch's weighted mean losses so far, by objective and term."""
        return {
            name: value / weight
            for name, value in self.sums.items()
            if (weight := self.weights[name.partition("/")[0]]) > 0
        }

    def judge(self, value: float) -> bool:
        """Take in the metric of the epoch just run and return whether it is the phase's best."""
        if self.best_value is None or value < self.best_value:
            self.best_epoch, self.best_value, self.stale = self.epoch + 1, value, 0
            return True
        self.stale += 1
        return False

    def end_epoch(self) -> None:
        """Move to the beginning of the next epoch."""
        self.epoch += 1
        self.phase_epoch += 1
        self.batch = 0
        self.sums, self.weights = {}, {}

    def end_phase(self, stopped_early: bool) -> None:
        """Move to the beginning of the next phase."""
        self.phase += 1
        self.phase_step = self.phase_epoch = self.stale = 0
        self.stopped_early = self.stopped_early or stopped_early

    def to_record(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Build from what `to_record` returned."""
        return cls(**record)
