"""The heavy-Higgs benchmark: sizes of its data sets, errors of its errors, jets whose energy is scaled, samples."""

import awkward as ak
import numpy as np
import pytest

from castalia.apps.scan.experiment import Plan
from castalia.data.table import Table
from castalia.errors import DataError
from castalia.rng import Stream
from collider_samples import make_samples
from scan_heavy_higgs import FULL, QUICK, point_name, rmse
from scan_heavy_higgs_data import SCALE, scaled_jets
from scan_heavy_higgs_measures import MASSES, OBSERVABLES, Pools, plan_for
from scan_heavy_higgs_templates import BINNINGS


def test_data_sets_fit_their_pools():
    assert plan_for(20_000, 300_000, (2_000.0, 20_000.0)) == Plan(2_000.0, 20_000.0)
    small = plan_for(20_000, 60_000, (2_000.0, 20_000.0))
    assert small.background == pytest.approx(12_000.0)
    assert small.signal / small.background == pytest.approx(0.1)


def test_draws_repeat_no_event_and_have_the_fraction():
    events = np.arange(6_000, dtype=np.float64)[:, None]
    pools = Pools(np.array([475.0, 350.0]), events[:1_000], events[1_000:], Plan(100.0, 900.0))
    assert pools.truth == pytest.approx([475.0, 350.0, 0.1])
    draws = [pools.data(Stream(i, "test").at())[:, 0] for i in range(100)]
    assert all(len(np.unique(x)) == len(x) for x in draws)
    # 100 draws of Poisson numbers: 100 +- sqrt(100 / 100).
    assert np.mean([np.sum(x < 1_000) for x in draws]) == pytest.approx(100.0, abs=5.0)
    assert len(pools.data(Stream(0, "test").at(), scale=0.1)) < 200


def test_rmse_of_normal_errors():
    errors = Stream(1, "rmse").at().normal(0.0, [1.0, 3.0], (2_000, 2))
    found = rmse(errors)
    for value, relative, sigma in zip(found["value"], found["relative_error"], (1.0, 3.0), strict=True):
        assert relative == pytest.approx(1.0 / np.sqrt(2.0 * 2_000), rel=0.2)
        assert abs(value - sigma) < 5.0 * relative * sigma
    # Negative control: a bias counts.
    assert rmse(errors + 1.0)["value"][0] > found["value"][0] + 0.3


def test_scaled_jets_keep_the_balance():
    table = Table(
        {
            "jet_pt": ak.Array([[100.0, 50.0], []]),
            "jet_phi": ak.Array([[0.0, np.pi / 2], []]),
            "jet_mass": ak.Array([[10.0, 5.0], []]),
            "met_pt": np.array([30.0, 20.0]),
            "met_phi": np.array([np.pi, 1.0]),
        }
    )
    scaled = scaled_jets(table, SCALE)
    assert np.allclose(ak.to_numpy(ak.flatten(scaled["jet_pt"])), [105.0, 52.5])
    assert np.allclose(ak.to_numpy(ak.flatten(scaled["jet_mass"])), [10.5, 5.25])
    # All transverse momentum that jets gain, missing momentum loses.
    assert scaled["met_pt"] * np.cos(scaled["met_phi"]) == pytest.approx([-35.0, 20.0 * np.cos(1.0)])
    assert scaled["met_pt"] * np.sin(scaled["met_phi"]) == pytest.approx([-2.5, 20.0 * np.sin(1.0)])


def test_samples_share_no_seed_and_another_file_is_refused(tmp_path):
    for plan in (FULL, QUICK):
        seeds = [sample.seed for sample in plan.samples.every]
        assert len(set(seeds)) == len(seeds)
        assert {name for one in plan.binnings for name in one.axes} <= set(OBSERVABLES)
    assert not {s.seed for s in FULL.samples.every} & {s.seed for s in QUICK.samples.every}
    assert len(BINNINGS) >= 8
    assert point_name((475.0, 350.0)) == f"{MASSES[0]}=475 {MASSES[1]}=350"
    (tmp_path / "signal_train.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match="signal_train"):
        make_samples(QUICK.samples.every, tmp_path, workers=1)
