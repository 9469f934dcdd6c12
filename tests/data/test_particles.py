"""What is kept of an event record: statuses, nearest kept ancestors, and directions along the beam."""

import awkward as ak
import numpy as np
import pytest

from castalia.data.particles import FLAVOUR, HARD, STABLE, EventRecords, particle_columns
from castalia.errors import DataError

# (pdg, mother, stable, hard, pz); every particle has px = 30 and a mass of 1 but for the beam's.
LEPTONIC_TOP = [
    (2, -1, False, False, 5e3),
    (6, -1, False, False, 10.0),  # the first copy
    (21, 1, False, False, 10.0),  # radiated by the top quark before its last copy: no decay product
    (6, 1, False, False, 10.0),
    (24, 3, False, False, 10.0),
    (5, 3, False, False, 10.0),
    (24, 4, False, False, 10.0),
    (-13, 6, False, False, 10.0),
    (14, 6, True, False, 10.0),  # stable as it was made
    (-13, 7, True, False, 10.0),
    (22, 7, True, False, 10.0),
    (5, 5, False, False, 10.0),
    (513, -1, False, False, 10.0),
    (511, 12, False, False, 10.0),
    (-411, 13, False, False, 10.0),
    (211, 14, True, False, 10.0),
    (211, 13, True, False, 10.0),
    (211, -1, True, False, 10.0),
    (211, -1, True, False, 30.0 * np.sinh(6.1)),  # lost in the beam pipe
    (1, -1, False, True, 10.0),
]


def records(*events, **changes):
    rows = [row for event in events for row in event]
    pdg, mother, stable, hard, pz = (np.array(column) for column in zip(*rows, strict=True))
    px = np.full(len(rows), 30.0)
    momentum = np.stack([px, 0 * px, pz, np.sqrt(px**2 + pz**2 + 1.0)], axis=-1)
    fields = {
        "counts": np.array([len(event) for event in events]),
        "pdg": pdg,
        "stable": stable,
        "hard": hard,
        "mother": mother,
        "momentum": momentum,
        "mass": np.ones(len(rows)),
    }
    return EventRecords(**{**fields, **changes})


def kept(columns, event):
    names = ("pdg", "status", "mother")
    return list(zip(*(columns[f"particle_{name}"][event].tolist() for name in names), strict=True))


def test_what_is_kept_and_whose_child_it_is():
    other = [(23, -1, False, False, 0.0), (11, 0, True, False, 0.0), (-11, 0, True, False, 0.0)]
    columns = particle_columns(records(other, LEPTONIC_TOP, other))
    assert kept(columns, 1) == [
        (6, HARD, -1),
        (5, HARD, 0),
        (24, HARD, 0),
        (-13, HARD, 2),
        (14, HARD, 2),
        (14, STABLE, 4),
        (-13, STABLE, 3),
        (22, STABLE, 3),
        (511, FLAVOUR, -1),
        (-411, FLAVOUR, 8),
        (211, STABLE, 9),
        (211, STABLE, 8),
        (211, STABLE, -1),
        (1, HARD, -1),
    ]
    z_boson = [(23, HARD, -1), (11, HARD, 0), (11, STABLE, 1), (-11, HARD, 0), (-11, STABLE, 3)]
    assert kept(columns, 0) == kept(columns, 2) == z_boson
    assert {name: str(ak.type(values).content.content) for name, values in columns.items()} == {
        "particle_pt": "float64",
        "particle_eta": "float64",
        "particle_phi": "float64",
        "particle_mass": "float64",
        "particle_pdg": "int32",
        "particle_status": "int8",
        "particle_mother": "int32",
    }


def test_a_long_chain_of_copies_reaches_its_beginning():
    chain = [(23, -1, False, False, 0.0), (11, 0, False, False, 0.0)]
    chain += [(11, k, False, False, 0.0) for k in range(1, 700)] + [(11, 700, True, False, 0.0)]
    assert kept(particle_columns(records(chain)), 0) == [(23, HARD, -1), (11, HARD, 0), (11, STABLE, 1)]


def test_a_resonance_along_the_beam_keeps_its_momentum():
    one = [(25, -1, False, False, 0.0), (22, 0, True, False, 0.0)]
    momentum = np.array([[0.0, 0.0, -250.0, np.hypot(250.0, 125.0)], [30.0, 0.0, 0.0, 30.0]])
    columns = particle_columns(records(one, momentum=momentum, mass=np.array([125.0, -1e-9])))
    pt, eta = columns["particle_pt"][0, 0], columns["particle_eta"][0, 0]
    # A float of eta near -27 resolves 4e-15, and pz grows as the exponential of eta.
    assert pt * np.sinh(eta) == pytest.approx(-250.0, rel=1e-13)
    assert columns["particle_mass"][0].tolist() == [125.0, 0.0, 0.0]


def test_events_that_are_empty_stay_rows():
    columns = particle_columns(records(LEPTONIC_TOP[:1], LEPTONIC_TOP))
    assert ak.num(columns["particle_pt"]).tolist() == [0, 14]


@pytest.mark.parametrize(
    ("mothers", "said"), [((1, 0), "their own ancestors"), ((-1, 2), "event 1 .* beyond its last")]
)
def test_records_that_cannot_be_are_refused(mothers, said):
    wrong = [(11, mothers[0], False, False, 0.0), (11, mothers[1], True, False, 0.0)]
    with pytest.raises(DataError, match=said):
        particle_columns(records(LEPTONIC_TOP, wrong))
