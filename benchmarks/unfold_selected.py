"""Of the samples to learn from the selected events: what the trainings of the unfolding benchmarks read.

One event in eight is selected. To read the others as well, time and again, took a third of the time of a trial.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from castalia.data.readers import open_reader
from castalia.data.sidecar import make_sidecar, read_sidecar, write_sidecar
from castalia.data.writers import open_writer
from castalia.errors import DataError
from collider_samples import alone_with
from unfold_data import training_files

__all__ = ["selected_files"]

_SELECTION: Final = "semileptonic"
_CHUNK: Final = 100_000


def selected_files(samples: Path) -> list[Path]:
    """Return the files of selected events in a folder of samples, made where they are missing or of other samples.

    Raises:
        DataError: If a sample is missing, or its sidecar.
    """
    return [_selected(path) for path in training_files(samples)]


def _selected(path: Path) -> Path:
    chosen = path.parent / "selected" / path.name
    made = read_sidecar(path)
    if made is None:
        raise DataError(f"{path}: has no sidecar that says what it is; make the samples anew.")
    schema, wanted = made.schema_of_file, {"sample": made.file.sha256, "selection": _SELECTION}
    with alone_with(chosen):
        there = read_sidecar(chosen) if chosen.exists() else None
        if there is None or there.provenance != wanted:
            with open_reader(path) as reader, open_writer(chosen, schema) as writer:
                for table in reader.iterate(list(schema.names), _CHUNK):
                    writer.write(table.take(np.flatnonzero(table[_SELECTION])))
            write_sidecar(chosen, make_sidecar(chosen, writer.summary, schema, provenance=wanted))
    return chosen
