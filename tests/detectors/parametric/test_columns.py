"""Reconstructed events go into files as they are declared, and come back."""

import awkward as ak
import numpy as np
import pytest

from castalia.data.readers import open_reader
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.writers import open_writer
from castalia.detectors.parametric.columns import RECONSTRUCTED_COLUMNS
from castalia.detectors.parametric.reconstruct import reconstruct


@pytest.mark.parametrize("ending", ["root", "parquet"])
def test_a_file_holds_every_column(made, tmp_path, ending):
    event = [(made.W, 40, 0, 0, -1), (made.MUON, 40.0, 0.0, 0.0, 0), (made.PION, 30.0, 1.3, 0.0, -1)]
    table = reconstruct(made.events(event, [], event[:2], event[2:]), made.card(), 1, 0)
    own = (ColumnSpec(name="event", dtype="int64", role="identifier"), ColumnSpec(name="theta_m", role="parameter"))
    schema = Schema(columns=(*own, *RECONSTRUCTED_COLUMNS))
    assert set(schema.names) == set(table.names)
    path = tmp_path / f"events.{ending}"
    with open_writer(path, schema) as writer:
        writer.write(table)
    with open_reader(path) as reader:
        (found,) = reader.iterate(schema.names, 100)
    for name in schema.names:
        assert found[name].tolist() == table[name].tolist(), name
    assert ak.num(found["muon_pt"]).tolist() == [1, 0, 1, 0]
    assert found["selected"].dtype == np.bool_
