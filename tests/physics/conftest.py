"""Pairs of top quarks to take apart, and the textbook's formulas to compare with."""

import numpy as np

from castalia.physics.decay_coordinates import coordinates, decode
from castalia.physics.decay_tree import DecayTree
from castalia.rng import Stream

LEAVES = ("b_lep", "lepton", "neutrino", "b_had", "q1", "q2")
SUMS = {
    "w_lep": ("lepton", "neutrino"),
    "t_lep": ("b_lep", "w_lep"),
    "w_had": ("q1", "q2"),
    "t_had": ("b_had", "w_had"),
    "ttbar": ("t_lep", "t_had"),
}
TOPS = DecayTree(LEAVES, SUMS, ("t_lep", "t_had"))
MASSES = np.array([4.8, 0.106, 0.0, 4.8, 0.33, 0.33])


def top_pairs(events, purpose="top pairs", fastest=2000.0):
    """Leaves of top quarks by way of coordinates drawn from something like nature."""
    rng = Stream(1, f"test decay coordinates {purpose}").at()
    values = rng.standard_normal((events, 18))
    for column, name in enumerate(coordinates(TOPS)):
        if name.endswith(("_px", "_py")):
            values[:, column] *= fastest
        if name.endswith("release"):
            values[:, column] = np.abs(80.0 + 3.0 * values[:, column])
    return decode(TOPS, values, MASSES), values


def to_rest(four, frame):
    """(px, py, pz, E) in the rest frame of ``frame``, by the textbook's formula with beta and gamma."""
    beta = frame[:, :3] / frame[:, 3:]
    b2 = (beta**2).sum(axis=1)
    gamma = 1.0 / np.sqrt(1.0 - b2)
    along = (beta * four[:, :3]).sum(axis=1)
    factor = (gamma - 1.0) / b2 * along - gamma * four[:, 3]
    return np.column_stack([four[:, :3] + factor[:, None] * beta, gamma * (four[:, 3] - along)])


def mass(four):
    return np.sqrt(four[:, 3] ** 2 - (four[:, :3] ** 2).sum(axis=1))
