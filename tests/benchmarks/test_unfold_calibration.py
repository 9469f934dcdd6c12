"""Calibration on posteriors that are known: right ones pass, blind and narrow ones fail where they should."""

import numpy as np
import pytest

from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.physics.constants import W_MASS
from castalia.physics.four_vectors import from_cartesian, to_cartesian
from castalia.physics.semileptonic import neutrino_momentum
from castalia.rng import Stream
from unfold_calibration import ManyDraws, groups_of, judged, narrowed, regression
from unfold_neutrino import nearer_first, neutrino_eta, reliability, solutions, twofold
from unfold_stress import SeenDecay

EVENTS, DRAWS, NOISE = 2_000, 60, 0.5
SHRINK = 1 / (1 + NOISE**2)


def known(blind=False):
    """Three normal truths measured with noise; draws from the posterior, or from the prior."""
    rng = Stream(1, "calibration toy").at()
    truth = rng.normal(size=(EVENTS, 3))
    seen = truth + NOISE * rng.normal(size=truth.shape)
    made = rng.normal(size=(EVENTS, DRAWS, 3))
    draws = made if blind else SHRINK * seen[:, None] + NOISE * np.sqrt(SHRINK) * made
    groups = {"left": seen[:, 0] < 0, "right": seen[:, 0] >= 0}
    return ManyDraws(["a", "b", "c"], truth, draws, regression((seen, truth), seen), groups)


@pytest.mark.statistical
def test_a_right_posterior_passes_and_controls_fail():
    right, blind, narrow = (judged(one, 1) for one in (known(), known(blind=True), narrowed(known(), 0.8)))
    assert right["calibrated"] == 3
    assert right["coverage"]["0.68"]["mean"] == pytest.approx(0.68, abs=5 * 0.47 / np.sqrt(3 * EVENTS))
    # Kolmogorov: 1.95 / sqrt(events) is passed once in a thousand.
    assert max(right["tarp"].values()) < 1.95 / np.sqrt(EVENTS)
    assert all(one["calibrated_beyond_chance"] == 3 for one in right["groups"].values())
    # Blind draws pass what does not see the detector, and fail what does.
    assert blind["calibrated"] == 3
    assert blind["tarp"]["other truths"] < 1.95 / np.sqrt(EVENTS)
    assert blind["tarp"]["regression"] > 0.1
    assert blind["crps"]["value"] > right["crps"]["value"] + 5 * blind["crps"]["error"]
    assert blind["groups"]["left"]["calibrated_beyond_chance"] == 2  # the group is chosen by the first number
    assert narrow["calibrated"] == 0
    assert narrow["coverage"]["0.68"]["mean"] < 0.62


def test_a_regression_is_fitted_to_other_events():
    rng = Stream(2, "regression").at()
    table = rng.normal(size=(100, 2))
    truth = np.column_stack([1 + 2 * table[:, 0], table.sum(axis=1)])
    new = rng.normal(size=(5, 2))
    assert regression((table, truth), new) == pytest.approx(np.column_stack([1 + 2 * new[:, 0], new.sum(axis=1)]))


def test_groups_share_out_the_events():
    rng = Stream(3, "groups").at()
    jets = np.arange(10) < rng.integers(4, 9, 60)[:, None]
    electron = rng.random((60, 1)) < 0.5
    objects = {
        name: ObjectArrays(np.zeros((*mask.shape, 4)), mask)
        for name, mask in {"jet": jets, "electron": electron, "muon": ~electron}.items()
    }
    arrays = FeatureArrays(
        rng.exponential(50, (60, 2)), None, np.zeros((60, 0)), np.ones(60), np.arange(60), 0, None, objects
    )
    groups = list(groups_of(arrays).values())
    for part in (groups[:3], groups[3:6], groups[6:]):
        assert np.sum(part, axis=0).tolist() == [1] * 60
    assert groups[3].sum() == groups[5].sum() == 20
    assert np.array_equal(groups[6], electron[:, 0])


def test_solutions_have_the_mass_of_the_w_boson():
    lepton = to_cartesian([50.0, 40.0], [0.3, -1.0], [0.1, 2.0])
    missing = np.array([[30.0, 20.0], [-25.0, 40.0]])
    b = to_cartesian([60.0, 70.0], [0.5, -0.7], [2.5, -1.0], 5.0)
    first = neutrino_momentum(lepton, missing)
    solved = solutions(SeenDecay(lepton, missing, lepton + first + b, b))
    for place in (0, 1):
        pt, angle = np.hypot(*missing.T), np.arctan2(missing[:, 1], missing[:, 0])
        neutrino = to_cartesian(pt, solved[:, place], angle)
        assert from_cartesian(lepton + neutrino)[3] == pytest.approx([W_MASS] * 2)
        assert from_cartesian(lepton + neutrino + b)[3] == pytest.approx(solved[:, 2 + place])
    assert np.abs(solved[:, 0] - solved[:, 1]).min() > 0.1
    assert nearer_first(solved[:, 0], solved).all()
    assert not nearer_first(solved[:, 1, None], solved).any()
    names = ["neutrino_px", "neutrino_py", "neutrino_pz"]
    assert neutrino_eta(names, first[:, :3]) == pytest.approx(solved[:, 0])


def two_fold(events, seed):
    """Solutions one apart and more; which of them is true depends on the first mass alone."""
    rng = Stream(seed, "twofold toy").at()
    first = rng.normal(0, 0.5, events)
    solved = np.column_stack([first, first + rng.choice([-1, 1], events) * 1.5, rng.normal(size=(events, 2))])
    chance = 1 / (1 + np.exp(-3 * solved[:, 2]))

    def eta(number):
        place = (rng.random((events, number)) > chance[:, None]).astype(int)
        return np.take_along_axis(solved[:, :2], place, axis=1) + 0.1 * rng.normal(size=(events, number))

    return eta, solved


@pytest.mark.statistical
def test_two_solutions_are_weighed_alike_by_model_and_nearest_events():
    simulated, its_solutions = two_fold(40_000, 1)
    eta, solved = two_fold(2_000, 2)
    found = twofold((eta(1)[:, 0], eta(DRAWS)), solved, (simulated(1)[:, 0], its_solutions), 60, 1)
    assert found["events"] == 2_000
    for which in ("model", "nearest"):
        one = found[which]["reliability"]
        assert one["largest"] < 5 * one["error"]
    # The nearest blur the chance, which changes by 0.75 a unit of the first mass, by a part of their distance.
    agreement = found["agreement"]
    assert agreement["largest"] < 5 * agreement["error"] + 0.25 * found["radius"]
    assert found["control"]["largest"] > 0.2  # shares of other events
    assert found["crps_gain"]["value"] > -5 * found["crps_gain"]["error"]


def test_reliability_is_of_similar_events():
    share = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 100)
    happened = np.tile(np.arange(10), 50) < np.rint(10 * share)
    right = reliability(share, happened)
    assert right["predicted"] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert right["largest"] == pytest.approx(0, abs=1e-12)
    wrong = reliability(1 - share, happened)
    assert wrong["largest"] == pytest.approx(0.8)
    assert reliability(share, happened, by=-share)["predicted"] == pytest.approx([0.9, 0.7, 0.5, 0.3, 0.1])
