"""Every method against measurements whose answer is known."""

import dataclasses

import numpy as np
import pytest
from known_problems import EDGES, NO_EVENTS, lossy, lossy_simulation, smeared, weak

from castalia.apps.unfold.background import positive_weights
from castalia.apps.unfold.density_ratio import RatioConfig
from castalia.apps.unfold.events import MeasuredEvents, simulated_events
from castalia.apps.unfold.fakes import without_fakes
from castalia.apps.unfold.measurement.by_posterior import by_posterior, under_another_detector
from castalia.apps.unfold.measurement.problem import Problem, Unfolded, one_observable
from castalia.apps.unfold.measurement.repeated import METHODS, Origin, RepeatSettings, fits_of, repeated
from castalia.apps.unfold.unfolded_sample import TruthColumn
from castalia.errors import DataError
from castalia.rng import Stream

EVENTS = 4_000
ORIGIN = Origin({"data.parquet": "ab"}, "cd", {"a": 1})
BUDGET = 0.05
"""Bias of a bin's content allowed to classifiers of few epochs, beside five standard errors."""

DEFAULT = RatioConfig()
QUICK = RatioConfig(training=DEFAULT.training.model_copy(update={"epochs": 5, "batch_size": 256}))

SHARP = RatioConfig(training=DEFAULT.training.model_copy(update={"epochs": 6, "batch_size": 128}))
"""For a narrow response."""


def contents(unfolded):
    values, weights = unfolded.flat
    return np.histogram(values[:, 0], EDGES, weights=weights)[0]


def pulls(unfolded, truth):
    """Distances of contents from the data's truth.

    The error is that of as many events as are selected, three in five, of data and simulation, and 1.3 times that for
    what resolution adds: bins are more than twice as wide as the noise.
    """
    true = np.histogram(truth, EDGES)[0]
    error = 1.3 * np.sqrt(2 * true / 0.6)
    return (contents(unfolded) - true) / np.hypot(error, BUDGET * true)


def with_background_left_in(problem):
    events = np.arange(len(problem.draws)) - len(problem.data.weights)
    draws = problem.draws[(events < 0) | (events >= len(problem.background.weights))]
    return dataclasses.replace(problem, background=NO_EVENTS, draws=draws)


def with_missed_events_forgotten(problem):
    one, seen = problem.simulation, problem.simulation.selected
    parts = {field.name: getattr(one, field.name)[seen] for field in dataclasses.fields(one)}
    return dataclasses.replace(problem, simulation=dataclasses.replace(one, **parts))


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("method", "background", "spoilt"),
    [
        ("posterior", 0.0, with_missed_events_forgotten),
        ("omnifold", 0.3, with_background_left_in),
        ("iterative_bayes", 0.3, with_missed_events_forgotten),
        ("iterative_bayes", 0.3, with_background_left_in),
    ],
)
def test_missed_events_fakes_and_background(method, background, spoilt):
    problem, truth = lossy(EVENTS, shift=0.2, background=background)
    assert np.abs(pulls(METHODS[method](problem, 2, QUICK, 1)[-1], truth)).max() < 5
    assert np.abs(pulls(METHODS[method](spoilt(problem), 2, QUICK, 1)[-1], truth)).max() > 5


@pytest.mark.statistical
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("spoils", ["background", "fakes"])
def test_a_weak_counterpart_leaves_nothing_in_that_does_not_belong_there(method, spoils):
    """The draws of half as many events as there are of the signal, at values where it has few."""
    problem, truth = weak(EVENTS, **{spoils: EVENTS // 2})
    true = np.histogram(truth, EDGES)[0]
    error = np.hypot(np.sqrt(4 * EVENTS / len(true)), BUDGET * true)  # of all events that there are, in every bin
    assert np.abs((contents(METHODS[method](problem, 2, QUICK, 1)[-1]) - true) / error).max() < 5
    # Control: weights of the data alone, whatever is right of their counterparts.
    alone = positive_weights(problem.signal, 1)
    alone = without_fakes(problem.simulation, alone, problem.layout.condition, QUICK, 1)
    rows = np.repeat(alone.weights / problem.draws.shape[1], problem.draws.shape[1])
    left_in = np.histogram(problem.draws[: len(alone.weights), :, 0].ravel(), EDGES, weights=rows)[0]
    assert np.abs((left_in - true) / error).max() > 5


@pytest.mark.statistical
@pytest.mark.parametrize("method", METHODS)
def test_passes_take_the_prior_out(method):
    problem, known = smeared(5_000)
    passes = METHODS[method](problem, 4, QUICK, 1)
    bias = [
        abs(float(np.average(values[:, 0], weights=weights)) - known.true.mean[0])
        for values, weights in (one.flat for one in passes)
    ]
    error = np.sqrt(known.detector.detected(known.true).covariance[0, 0] * 2 / 5_000)
    assert bias[3] < 0.5 * bias[0]
    assert bias[0] > 5 * error  # without iterations it stays


@pytest.mark.statistical
@pytest.mark.parametrize("method", METHODS)
def test_a_variation_of_the_response_is_a_covariance(method, monkeypatch):
    monkeypatch.setattr("castalia.apps.unfold.measurement.repeated._FITS", 2)
    problem, _ = lossy(EVENTS)
    settings = RepeatSettings(1, 2, SHARP, 1)
    variations = {"same": lossy_simulation(EVENTS, 77), "shifted": lossy_simulation(EVENTS, 78, offset=0.3)}
    result = repeated(method, problem, variations, (), settings, origin=ORIGIN, tick=lambda: None)
    spectrum = result.sample.histogram("z", EDGES)
    noise = set() if method == "iterative_bayes" else {"classifier"}
    assert set(spectrum.covariances) == {"data", "simulation", "same", "shifted"} | noise
    same, shifted = (np.trace(spectrum.covariances[name]) for name in ("same", "shifted"))
    assert shifted > 5 * same
    # Towards where: with a detector that measures 0.3 too much, the truth lies lower.
    lower = next(r for r in result.sample.replicas if r.source == "shifted")
    values = result.sample.values if lower.values is None else lower.values
    shares = np.ones(values.shape[:2]) if lower.draw_weights is None else lower.draw_weights
    shares = lower.weights[:, None] * shares / shares.sum(axis=1, keepdims=True)
    flat, weights = result.unfolded.flat
    nominal = np.average(flat[:, 0], weights=weights)
    shift = np.average(values[:, :, 0].ravel(), weights=shares.ravel()) - nominal
    assert -0.45 < shift < -0.15
    assert result.sample.provenance == {"a": 1, "method": method, "passes": 1}
    assert (result.sample.inputs, result.sample.model) == ({"data.parquet": "ab"}, "cd")


def test_a_variation_acts_on_the_draws_by_its_response_alone():
    """Another truth in the variation, the same detector: no draw becomes more likely."""
    problem, _ = lossy(EVENTS)
    factors = {
        name: under_another_detector(problem, varied, SHARP, 1).response
        for name, varied in (
            ("truth", lossy_simulation(EVENTS, 79, shift=0.5)),
            ("response", lossy_simulation(EVENTS, 80, offset=0.5)),
        )
    }

    def moved(factor):
        weights = factor / factor.sum(axis=1, keepdims=True)
        return float(np.mean((weights * problem.draws[:, :, 0]).sum(axis=1) - problem.draws[:, :, 0].mean(axis=1)))

    assert abs(moved(factors["truth"])) < 0.05
    assert moved(factors["response"]) < -0.25


@pytest.mark.statistical
def test_a_variation_of_the_truth_is_where_the_first_pass_begins():
    """Truth and noise both of width one: a pass halves what the prior is off by, and the first one has half of it."""
    events, shift = 8_000, 0.5
    rng = Stream(1, "a varied truth").at()
    true, varied, data = rng.normal(size=(3, events)) + np.array([0.0, shift, 0.0])[:, None]
    seen = [values + rng.normal(size=events) for values in (true, varied, data)]

    def drawn(measured, number):
        return (measured / 2)[:, None, None] + np.sqrt(0.5) * rng.normal(size=(events, number, 1))

    simulation = simulated_events(true, seen[0])
    problem = Problem(
        (TruthColumn("z"),), (EDGES,), simulation, MeasuredEvents(seen[2][:, None], np.ones(events)), NO_EVENTS,
        NO_EVENTS, drawn(seen[2], 30), drawn(seen[0], 4), np.ones(events),
    )  # fmt: skip
    other = under_another_detector(problem, simulated_events(varied, seen[1]), RatioConfig(), 1)
    means = [[np.average(one.flat[0][:, 0], weights=one.flat[1]) for one in by_posterior(which, 2, RatioConfig(), 1)]
             for which in (problem, other)]  # fmt: skip
    # Data and draws are the same; simulated events are others, with the error of their mean at both levels.
    assert np.subtract(*means[::-1]) == pytest.approx([shift / 2, shift / 4], abs=5 * np.sqrt(2 / events))


def test_replicas_of_fewer_rows_count_as_much():
    problem, _ = lossy(800)
    few = lossy_simulation(300, 5)
    settings = RepeatSettings(1, 2, QUICK, 1)
    result = repeated("iterative_bayes", problem, {"few": few}, (), settings, origin=ORIGIN, tick=lambda: None)
    replica = next(one for one in result.sample.replicas if one.source == "few")
    direct = METHODS["iterative_bayes"](dataclasses.replace(problem, simulation=few), 1, QUICK, 1)[0]
    rows = np.histogram(replica.values[:, 0, 0], EDGES, weights=replica.weights)[0]
    np.testing.assert_allclose(rows, contents(direct), rtol=1e-9)
    assert len(direct.values) < len(replica.values) == len(result.sample.values)


def noise(problem, passes, _classifiers, seed):
    """A method whose result depends on the random numbers of its classifiers alone."""
    events = len(problem.draws)
    weights = 1 + 0.1 * Stream(seed, "noise").at().normal(size=events)
    return [Unfolded(problem.draws[:, :1], weights, np.ones((events, 1)))] * passes


def test_the_noise_of_classifiers_is_a_source_of_its_own(monkeypatch):
    """It is in no other source, and falls with the number of fits whose mean is quoted."""
    monkeypatch.setitem(METHODS, "omnifold", noise)
    problem, _ = smeared(500)
    variations = {"same": problem.simulation}
    result = repeated("omnifold", problem, variations, (), RepeatSettings(3, 4, QUICK, 1), origin=ORIGIN, tick=int)
    spectrum = result.sample.histogram("z", EDGES)
    others = [np.abs(one).max() for source, one in spectrum.covariances.items() if source != "classifier"]
    assert len(others) == 3
    assert max(others) < 1e-12
    fits = fits_of("omnifold")
    counts = np.histogram(problem.draws[:, 0, 0], EDGES)[0]
    expected = 0.01 * counts / fits
    found = np.diag(spectrum.covariances["classifier"])
    assert np.all(np.abs(found - expected) < 5 * expected * np.sqrt(2 / (fits - 1)))
    assert np.all(np.abs(spectrum.contents - counts) < 5 * np.sqrt(expected))
    assert fits_of("iterative_bayes") == 1  # nothing is random there


def test_the_mean_of_fits_is_that_of_their_histograms(monkeypatch):
    """Weights of events and of draws, of either sign, and of none."""
    rng, problem = Stream(1, "fits").at(), weak(400, background=100)[0]
    found = []

    def fit(problem, passes, _classifiers, _seed):
        shares = rng.uniform(0.1, 1.0, problem.draws.shape[:2])
        weights = np.where(np.arange(len(shares)) < 500, 1.0, -1.0) * rng.uniform(0.5, 1.5, len(shares))
        weights[:10] = 0.0
        found.append(Unfolded(problem.draws, weights, shares / shares.sum(axis=1, keepdims=True)))
        return found[-1:] * passes

    monkeypatch.setitem(METHODS, "posterior", fit)
    result = repeated("posterior", problem, {}, (), RepeatSettings(1, 2, QUICK, 1), origin=ORIGIN, tick=int)
    several = np.array([contents(one) for one in found[: fits_of("posterior")]])
    spectrum = result.sample.histogram("z", EDGES)
    np.testing.assert_allclose(spectrum.contents, several.mean(axis=0))
    np.testing.assert_allclose(spectrum.covariances["classifier"], np.cov(several.T) / len(several))
    assert result.sample.draw_weights.min() > 0


def test_members_of_an_ensemble_scatter_about_each_other(monkeypatch):
    monkeypatch.setitem(METHODS, "posterior", noise)
    problem, _ = smeared(500)
    members = [dataclasses.replace(problem, draws=problem.draws + shift) for shift in (-0.2, 0.1, 0.3)]
    settings = RepeatSettings(1, 2, QUICK, 1)
    result = repeated("posterior", problem, {}, members, settings, origin=ORIGIN, tick=int)
    several = [contents(noise(one, 1, QUICK, 1)[0]) for one in members]
    found = result.sample.histogram("z", EDGES).covariances["ensemble"]
    np.testing.assert_allclose(found, np.cov(np.array(several).T))


def test_the_pass_that_is_quoted_is_the_first_that_moves_nothing():
    problem, _ = smeared(EVENTS)
    count = []
    settings = RepeatSettings(20, 2, QUICK, 1)
    result = repeated("iterative_bayes", problem, {}, (), settings, origin=ORIGIN, tick=lambda: count.append(1))
    assert result.settled
    assert 1 < result.stopped < 20
    assert result.changes[result.stopped - 1, 0] < 0.5 <= result.changes[result.stopped - 2, 0]
    assert len(count) == 1 + 4
    once = repeated("iterative_bayes", problem, {}, (), dataclasses.replace(settings, passes=1),
                    origin=ORIGIN, tick=lambda: None)  # fmt: skip
    assert (once.stopped, once.settled) == (1, False)
    # Factors make the simulation what was unfolded.
    rows = problem.simulation.truth[:, 0]
    again = np.histogram(rows, EDGES, weights=problem.simulation.weights * result.factors)[0]
    np.testing.assert_allclose(again, result.sample.histogram("z", EDGES).contents, rtol=1e-9)


def test_bootstraps_change_what_they_should():
    problem, _ = lossy(500, background=0.1)
    rng = Stream(1, "test").at()
    other = problem.other_data(rng)
    assert not np.array_equal(other.data.weights, problem.data.weights)
    assert other.simulation is problem.simulation
    other = problem.other_simulation(rng)
    assert other.data is problem.data
    assert not np.array_equal(other.background.weights, problem.background.weights)
    assert not np.array_equal(other.simulation.weights, problem.simulation.weights)
    # What is drawn for simulated events goes with them.
    rows = other.simulation
    np.testing.assert_array_equal(other.prior_weights, rows.weights[rows.matched])
    np.testing.assert_array_equal(other.fakes.weights, rows.weights[rows.fake])
    assert len(other.fakes.weights) > 0


def test_impossible_problems_are_refused():
    problem, _ = lossy(500, background=0.1)
    heavy = dataclasses.replace(problem.background, weights=100.0 * problem.background.weights)
    with pytest.raises(DataError, match=r"background events are expected among .* check the scale"):
        dataclasses.replace(problem, background=heavy).check()
    with pytest.raises(DataError, match=r"\[observables.z\]: no selected simulated event lies in the bin from 50"):
        dataclasses.replace(problem, edges=(np.array([0.0, 50.0, 60.0]),)).check()
    problem.check()
    assert one_observable(problem.simulation, 0).truth.shape == problem.simulation.truth.shape
