"""Why a loss or a gradient is not finite: the step, the rows and the columns to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from castalia.errors import MachineError
from castalia.estimators.base import Batch, Events, Losses

__all__ = ["VariableNames", "diverged"]

EXTREME = 50.0
"""Distance from the batch's median, in units of its median absolute deviation, from which a value is called extreme."""

SHOWN = 5
"""Most rows and columns named in one message."""


@dataclass(frozen=True)
class VariableNames:
    """Names of the columns, for messages.

    Attributes:
        condition: Names of the condition's flat columns.
        target: Names of the target's flat columns.
    """

    condition: Sequence[str] = ()
    target: Sequence[str] = ()


def diverged(what: str, place: str, batch: Batch, losses: Losses, names: VariableNames) -> MachineError:
    """Compose the error of a loss or gradient that is NaN or infinite.

    Args:
        what: What is not finite, such as ``"loss 'flow' is nan"``.
        place: Where, such as ``"step 812 (epoch 3)"``.
        batch: The events of that step.
        losses: Their losses.
        names: Names of the columns.
    """
    total = losses.total.detach()
    bad = torch.nonzero(~torch.isfinite(total)).flatten()
    if len(bad):
        rows = f"for {len(bad)} of {len(batch)} events ({_rows(batch, bad)})"
    else:
        bad = torch.argsort(total * batch.weight, descending=True)[:SHOWN]
        rows = f"though every event's is finite; the largest are in {_rows(batch, bad)}"
    findings = [
        finding
        for side, events, known in (
            ("condition", batch.condition, names.condition),
            ("target", batch.target, names.target),
        )
        for finding in _findings(side, events, known, batch.index, bad)
    ]
    reason = f": {', '.join(findings[:SHOWN])}" if findings else ", whose columns look ordinary"
    return MachineError(
        f"{place}: {what} {rows}{reason}; the last checkpoint is kept: mend or drop those rows, "
        "lower learning_rate, or set clip."
    )


def _rows(batch: Batch, positions: Tensor) -> str:
    shown = ", ".join(str(int(row)) for row in batch.index[positions[:SHOWN]])
    return f"row{'s' if len(positions) > 1 else ''} {shown}{', …' if len(positions) > SHOWN else ''}"


def _findings(side: str, events: Events, names: Sequence[str], index: Tensor, rows: Tensor) -> list[str]:
    """Name the columns of one side that are not finite, or else extreme, in one of ``rows``."""
    if events.flat.shape[1] == 0:
        return []
    values = events.flat.detach().to(torch.float64)
    centre = values.nanmedian(dim=0).values
    spread = (values - centre).abs().nanmedian(dim=0).values
    distance = (values[rows] - centre).abs() / spread.clamp_min(torch.finfo(torch.float64).tiny)
    distance = torch.where(torch.isfinite(values[rows]), distance, math.inf)
    # A column that is constant for most events has no spread to measure a distance with.
    distance = torch.where((spread == 0) & torch.isfinite(values[rows]), 0.0, distance)
    worst, position = distance.max(dim=0)
    found = []
    for column in torch.argsort(worst, descending=True).tolist():
        if not float(worst[column]) > EXTREME:
            break
        row = int(rows[position[column]])
        name = names[column] if column < len(names) else f"number {column}"
        found.append(f"{side} column '{name}' is {float(values[row, column]):g} in row {int(index[row])}")
    return found
