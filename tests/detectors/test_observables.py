"""Columns of observables: who is semi-leptonic, and the same numbers as from four-momenta by hand."""

import numpy as np
import pytest

from castalia.data.table import Table, jagged
from castalia.detectors.observables import SEMILEPTONIC_COLUMNS, semileptonic_columns
from castalia.errors import DataError
from castalia.physics.four_vectors import to_cartesian
from castalia.physics.semileptonic import semileptonic_observables

# electrons, muons, tags of the jets, whether that is semi-leptonic
EVENTS = [
    (1, 0, [1, 1, 0, 0], True),
    (0, 1, [0, 1, 1, 0, 0], True),
    (1, 1, [1, 1, 0, 0], False),
    (0, 0, [1, 1, 0, 0], False),
    (1, 0, [1, 1, 0], False),
    (1, 0, [1, 0, 0, 0], False),
    (1, 0, [], False),
]


def objects(counts, first):
    """Objects with the hardest of an event first, no two alike."""
    number = np.concatenate([np.arange(count) for count in counts]) if len(counts) else np.zeros(0)
    event = np.repeat(np.arange(len(counts)), counts)
    values = {
        "pt": first - 10.0 * number + event,
        "eta": 0.3 * number - 0.5 + 0.1 * event,
        "phi": 1.1 * number - 2.0,
        "mass": 1.0 + number,
    }
    return {name: jagged(np.array(counts), column) for name, column in values.items()}


def table(events):
    collections = {
        "electron": objects([one[0] for one in events], 60.0),
        "muon": objects([one[1] for one in events], 50.0),
        "jet": objects([len(one[2]) for one in events], 120.0),
    }
    columns = {f"{name}_{key}": values for name, of in collections.items() for key, values in of.items()}
    counts = np.array([len(one[2]) for one in events])
    columns["jet_btag"] = jagged(counts, np.array([tag for one in events for tag in one[2]], dtype=np.int8))
    columns["met_pt"], columns["met_phi"] = np.full(len(events), 40.0), np.full(len(events), 0.7)
    return Table(columns)


def test_the_selection_and_what_is_nan():
    found = semileptonic_columns(table(EVENTS))
    assert tuple(found) == tuple(spec.name for spec in SEMILEPTONIC_COLUMNS)
    assert found["semileptonic"].tolist() == [one[3] for one in EVENTS]
    for name in set(found) - {"semileptonic", "ht"}:
        assert np.isfinite(found[name][found["semileptonic"]]).all(), name
    assert np.isnan(found["m_total"][~found["semileptonic"]]).all()
    assert found["ht"][-1] == 0.0


def test_the_same_as_from_four_momenta():
    event = EVENTS[1]
    found = semileptonic_columns(table(EVENTS[:2]))
    numbers = np.arange(len(event[2]))
    jets = to_cartesian(120.0 - 10.0 * numbers + 1, 0.3 * numbers - 0.4, 1.1 * numbers - 2.0, 1.0 + numbers)
    lepton = to_cartesian(51.0, -0.4, -2.0, 1.0)[None]
    missing = 40.0 * np.array([[np.cos(0.7), np.sin(0.7)]])
    wanted = semileptonic_observables(lepton, missing, jets[None], np.array([event[2]]))
    for name, values in wanted.items():
        assert found[name][1] == pytest.approx(values[0], rel=1e-9), name
    other = semileptonic_observables(lepton, missing, jets[None], np.array([[1, 1, 0, 0, 0]]))
    assert other["m_bb"][0] != pytest.approx(found["m_bb"][1], rel=1e-3), "the negative control"


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="muon_eta"):
        semileptonic_columns(table(EVENTS).without(["muon_eta"]))
