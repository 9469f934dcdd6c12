"""Events made by hand, and a plain card to change: what the tests of the parametric detector share."""

import copy

import numpy as np
import tomli_w

from castalia.data.table import Table, jagged
from castalia.detectors.parametric.card import Card, parse_card
from castalia.rng import Stream

PLAIN = {
    "name": "plain",
    "electrons": {"pt_min": 10.0, "eta_max": 2.5, "efficiency": 1, "pt_resolution": 0},
    "muons": {"pt_min": 10.0, "eta_max": 2.5, "efficiency": 1, "pt_resolution": 0},
    "jets": {
        "pt_min": 20.0,
        "eta_max": 4.0,
        "truth_pt_min": 10.0,
        "pt_resolution": 0,
        "btag": {"eta_max": 2.5, "b": 1, "c": 0, "light": 0},
    },
    "missing": {"resolution": 0},
}

# Particles of hand-made events: PDG number and status.
NEUTRINO, PION, PHOTON, B_HADRON, D_HADRON, W = (12, 1), (211, 1), (22, 1), (521, 3), (421, 3), (24, 2)
ELECTRON, MUON = (11, 1), (13, 1)
MASSES = {211: 0.13957, 521: 5.28, 421: 1.86, 24: 80.4}


Kind = tuple[int, int]


def card(changes: dict[str, object] | None = None) -> Card:
    """The plain card with some keys, such as ``"jets.btag.b"``, given other values."""
    values = copy.deepcopy(PLAIN)
    for path, value in (changes or {}).items():
        *sections, key = path.split(".")
        section = values
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
    return parse_card(tomli_w.dumps(values), "test.toml")


def events(*particles: list[tuple]) -> Table:
    """Events as lists of particles ((pdg, status), pt, eta, phi, mother)."""
    flat = [one for event in particles for one in event]
    counts = np.array([len(event) for event in particles])
    columns = {
        "pt": np.array([one[1] for one in flat], dtype=np.float64),
        "eta": np.array([one[2] for one in flat], dtype=np.float64),
        "phi": np.array([one[3] for one in flat], dtype=np.float64),
        "mass": np.array([MASSES.get(one[0][0], 0.0) for one in flat], dtype=np.float64),
        "pdg": np.array([one[0][0] for one in flat], dtype=np.int32),
        "status": np.array([one[0][1] for one in flat], dtype=np.int8),
        "mother": np.array([one[4] for one in flat], dtype=np.int32),
    }
    table = {f"particle_{name}": jagged(counts, values) for name, values in columns.items()}
    return Table({"event": np.arange(len(particles)), "theta_m": np.ones(len(particles)), **table})


def many(kind: Kind, rows: int, low: float, high: float, eta_max: float, hadron: Kind | None = None) -> Table:
    """One particle an event, of a W if a lepton, uniform in pt, eta and phi, with a hadron of its direction or none."""
    rng = Stream(1, "test particles").at()
    pt, eta, phi = rng.uniform(low, high, rows), rng.uniform(-eta_max, eta_max, rows), rng.uniform(-3.1, 3.1, rows)
    first = hadron or W
    pdg, status = np.array([[first[0], kind[0]], [first[1], kind[1]]])
    columns = {
        "pt": np.repeat(pt, 2),
        "eta": np.repeat(eta, 2),
        "phi": np.repeat(phi, 2),
        "mass": np.tile([MASSES.get(code, 0.0) for code in pdg], rows),
        "pdg": np.tile(pdg, rows),
        "status": np.tile(status, rows),
        "mother": np.tile([-1, 0], rows),
    }
    counts = np.full(rows, 2)
    return Table({f"particle_{name}": jagged(counts, values) for name, values in columns.items()})


def is_standard(pulls: np.ndarray) -> bool:
    """Whether pulls have mean 0 and variance 1 within five standard errors."""
    size = len(pulls)
    return abs(pulls.mean()) < 5.0 / np.sqrt(size) and abs(pulls.var() - 1.0) < 5.0 * np.sqrt(2.0 / size)


def is_fraction(passed: int, expected: np.ndarray) -> bool:
    """Whether a count agrees with the sum of probabilities within five standard errors."""
    return abs(passed - expected.sum()) <= 5.0 * np.sqrt((expected * (1.0 - expected)).sum()) + 1e-9
