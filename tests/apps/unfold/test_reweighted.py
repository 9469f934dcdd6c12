import numpy as np
import pytest
from unfolding_toys import simulation_with_losses, toy

from castalia.apps.unfold.binning import binning
from castalia.apps.unfold.iterative_bayes import iterative_bayes
from castalia.apps.unfold.reweighted import reweighted_sample
from castalia.apps.unfold.sample_file import read_unfolded, write_unfolded
from castalia.apps.unfold.unfolded_sample import TruthColumn
from castalia.rng import Stream


def test_a_binned_result_becomes_a_sample_with_the_same_contents_and_errors(tmp_path):
    one = toy(1, 5_000)
    bins, rng = binning(np.linspace(-3, 3, 13)), Stream(1, "reweighted").at()
    result = iterative_bayes(
        one.simulation, one.data, bins, binning(np.linspace(-4, 4, 25)), iterations=3, replicas=30, rng=rng
    )
    truth = one.simulation.truth
    sample = reweighted_sample(
        one.simulation,
        [TruthColumn("z", "GeV")],
        result.weights(3, truth),
        bootstrap=result.replica_weights(3, truth),
        provenance={"method": "iterative Bayes"},
    )
    write_unfolded(tmp_path / "bayes.parquet", sample)
    spectrum = read_unfolded(tmp_path / "bayes.parquet").histogram("z", bins.edges[0])
    assert spectrum.contents == pytest.approx(result.contents[3])
    assert set(spectrum.covariances) == {"bootstrap"}
    assert spectrum.covariance == pytest.approx(result.covariance(3))


def test_only_fiducial_events_count_and_one_member_has_no_spread():
    simulation = simulation_with_losses(2_000, 1)
    factors = np.full(len(simulation.weights), 2.0)
    sample = reweighted_sample(simulation, [TruthColumn("z")], factors, members=factors[None], model="ab")
    assert sample.values.shape == (2_000, 1, 1)
    assert sample.weights.sum() == pytest.approx(4_000)
    assert sample.replicas == ()
    several = reweighted_sample(simulation, [TruthColumn("z")], factors, members=[factors, 1.1 * factors])
    assert set(several.histogram("z", [-9, 9]).covariances) == {"ensemble", "statistics"}
