"""The fidelity benchmark lets the truth pass, truncated too, and sees each planted fault where it must."""

import numpy as np
import pytest
import torch

from castalia.detectors.photon_response import PhotonResponse
from castalia.estimators.base import Events
from diphoton_sample import TruthModel, diphoton_arrays, diphoton_features, judged_sample
from fidelity_measures import Effort, measure

EVENTS = 6_000
EFFORT = Effort(replicas=5, oversampled=2_000, draws=20, width_error=0.03)
INFINITE, PAPER = np.full(6, np.inf), np.array([20.0, 0.005, 0.01] * 2)
# The largest of at most 84 bins, or of 15 pairs: a normal number reaches 5 errors once in two million times.
SIGMAS = 5.0


class Faulty(TruthModel):
    """The truth with one fault."""

    def __init__(self, events, widen, shuffle=False):
        super().__init__(events)
        self.widen, self.shuffle = widen, shuffle

    def sample(self, condition, draws, rng):
        drawn = super().sample(condition, draws, rng).flat * self.widen
        if self.shuffle:
            drawn[:, 3:] = super().sample(condition, draws, rng).flat[:, 3:]
        return Events(drawn)

    def log_prob(self, batch):
        narrow = batch.target.map(lambda values: values / self.widen)
        target = type(batch)(batch.condition, narrow, batch.weight, batch.index)
        return super().log_prob(target) - 6 * np.log(self.widen)


def events_of(response, bound=INFINITE):
    features = diphoton_features()
    return judged_sample(features, response, diphoton_arrays(features, response, EVENTS, seed=1), 1, bound)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("response", "bound"),
    [(PhotonResponse("correlated", rho=0.5), INFINITE), (PhotonResponse("asymmetric"), PAPER)],
    ids=["correlated", "truncated"],
)
def test_the_truth_passes(response, bound):
    events = events_of(response, bound)
    row = measure(TruthModel(events), TruthModel(events), events, EFFORT)
    # Conditions and targets pass through float32: the densities differ by rounding only, but at a step of the widths.
    assert abs(row["kl"]["value"]) < 1e-3
    assert abs(row["excess"]["value"]) < SIGMAS * row["excess"]["error"]
    for name in ("width", "correlation", "tail"):
        assert row[name]["value"] < SIGMAS * row[name]["error"], name
    assert row["width"]["bins"] > 20


@pytest.mark.statistical
def test_wide_responses_are_seen():
    events = events_of(PhotonResponse())
    model = Faulty(events, widen=1.1)
    row = measure(model, model, events, EFFORT)
    # Of a normal response in six dimensions: 6 (ln s + 1 / (2 s²) − 1/2).
    expected = 6 * (np.log(1.1) + 0.5 / 1.1**2 - 0.5)
    assert abs(row["kl"]["value"] - expected) < SIGMAS * row["kl"]["error"]
    assert abs(row["width"]["value"] - 0.1) < SIGMAS * row["width"]["error"]
    assert row["excess"]["value"] > SIGMAS * row["excess"]["error"]
    assert row["tail"]["value"] > SIGMAS * row["tail"]["error"]


@pytest.mark.statistical
def test_lost_correlations_are_seen():
    events = events_of(PhotonResponse("correlated", rho=0.5))
    row = measure(Faulty(events, widen=1.0, shuffle=True), None, events, EFFORT)
    assert abs(row["correlation"]["value"] - 0.5) < SIGMAS * row["correlation"]["error"]
    assert "kl" not in row


def test_a_degenerate_truth_has_photons_that_agree():
    events = events_of(PhotonResponse("correlated", rho=1.0))
    row = measure(TruthModel(events), None, events, EFFORT)
    assert min(row["correlation"]["photons"]) > 0.999


def test_the_truth_as_a_model_keeps_the_order_of_draws():
    events = events_of(PhotonResponse())
    given = Events(torch.from_numpy(events.condition[:3]))
    drawn = TruthModel(events).sample(given, 2_000, np.random.Generator(np.random.Philox(1))).flat.numpy()
    widths = events.truth.widths(events.condition[:3])
    for number in range(3):
        pulls = drawn[2_000 * number : 2_000 * (number + 1)] / widths[number]
        assert np.all(np.abs(pulls.std(axis=0) - 1.0) < SIGMAS / np.sqrt(4_000))
