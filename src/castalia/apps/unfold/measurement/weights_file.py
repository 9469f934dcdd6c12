"""Weights for the user's own simulated events: one factor for each result, beside the events' places in the files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia import __version__
from castalia.apps.unfold.measurement.recorded import RecordedEvents
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.sidecar import make_sidecar, write_sidecar
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.production.inputs import EVENT_INDEX

__all__ = ["write_weights"]


def write_weights(
    path: Path, simulation: RecordedEvents, factors: Mapping[str, NDArray[np.float64]], seed: int
) -> None:
    """Write the events that have a truth, and by what their weights are to be multiplied.

    Each event has its identifiers and ``event_index``, its position in the files, one after the other.

    Args:
        path: A ``.parquet`` or ``.root`` file.
        simulation: The simulated events.
        factors: Factors by the name of the result, each of shape ``(events,)``; a column is called
            ``weight_`` and that name.
        seed: Seed of the command.

    Raises:
        MachineError: If the disk refuses.
    """
    rows = np.flatnonzero(simulation.defined)
    columns: dict[str, NDArray[Any]] = {EVENT_INDEX: simulation.rows[rows]}
    columns |= {name: np.asarray(simulation.identifiers[name])[rows] for name in simulation.identifiers.names}
    identifiers = tuple(columns)
    columns |= {f"weight_{name}": values[rows] for name, values in factors.items()}
    schema = Schema(
        columns=tuple(
            ColumnSpec(name=name, dtype=str(values.dtype), role="identifier" if name in identifiers else "weight")
            for name, values in columns.items()
        )
    )
    with open_writer(path, schema) as writer:
        writer.write(Table(columns))
    provenance = {"castalia": __version__, "command": "unfold measure", "seed": seed, "inputs": simulation.checksums}
    write_sidecar(path, make_sidecar(path, writer.summary, schema, provenance=provenance))
