"""The whole fit: pulls of pseudo-experiments, what is fixed, what is doubtful, what is refused, and fit.json."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from analytic_densities import (
    Gaussian,
    SumOnly,
    gaussian_events,
    mixture_events,
    mixture_model,
    narrow_events,
    narrow_model,
)

from castalia.apps.scan import fit as module
from castalia.apps.scan.fit import FitModel, FitSettings, build_likelihood, fit, log_background
from castalia.apps.scan.likelihood import Likelihood, Parameter
from castalia.errors import ConfigError, DataError, GateError
from castalia.rng import Stream

TRUTH = (0.3, -0.4)
QUICK = FitSettings(starts=4, minos=False)


def pulls(experiments: int, weight: float = 1.0) -> np.ndarray:
    """Fit data sets of 200 signal and 200 background events, on average, and return pulls of all parameters."""
    model, found = mixture_model(), []
    for seed in range(experiments):
        signal = int(Stream(seed, "signal events").at(0).binomial(400, 0.5))
        x = mixture_events(model, TRUTH, signal, 400 - signal, seed)
        result = fit(model, x, np.full(400, weight), QUICK)
        assert result.converged
        found.append((result.fitted.phi - np.array([*TRUTH, 0.5])) / result.fitted.errors)
    return np.array(found)


def unit_normal(found: np.ndarray) -> bool:
    """Say whether pulls have mean 0 and width 1 within five standard errors and the bias of order 1/sqrt(N)."""
    count, bias = len(found), 1.0 / np.sqrt(400)
    centred = abs(found.mean(axis=0)) < 5 / np.sqrt(count) + bias
    wide = abs(found.std(axis=0) - 1.0) < 5 / np.sqrt(2 * count) + bias
    return bool((centred & wide).all())


@pytest.mark.statistical
def test_pulls_are_unit_normal():
    found = pulls(300)
    assert unit_normal(found)
    assert not unit_normal(0.7 * found)
    assert not unit_normal(found + 0.4)


@pytest.mark.statistical
def test_weights_that_are_forgotten_in_the_covariance_are_found_by_the_pulls(monkeypatch):
    assert unit_normal(pulls(60, weight=4.0))
    monkeypatch.setattr(Likelihood, "weighted", False)
    assert not unit_normal(pulls(60, weight=4.0))


@pytest.mark.statistical
def test_the_errors_are_those_of_the_fisher_information():
    model = mixture_model(background=False)
    x = mixture_events(model, TRUTH, 4000, 0, seed=1)
    result = fit(model, x, settings=QUICK)
    pool = mixture_events(model, TRUTH, 40000, 0, seed=2)
    per_event = build_likelihood(model, pool).information(np.array(TRUTH)) / 40000
    # The observed information of 4,000 events fluctuates by a few per cent around that of the density.
    assert result.fitted.covariance == pytest.approx(np.linalg.inv(4000 * per_event), rel=0.1, abs=2e-5)


def test_an_extended_fit_measures_the_strength_and_the_background():
    model = mixture_model(
        expected_signal=lambda theta: 300.0 * torch.exp(0.2 * theta[:, 0]), background_yield=(500.0, 10.0)
    )
    x = mixture_events(model, TRUTH, 450, 520, seed=1)
    result = fit(model, x)
    values = {parameter.name: parameter for parameter in result.parameters}
    assert list(values) == ["theta_0", "theta_1", "signal_strength", "background_yield"]
    assert result.likelihood.parameters[3].constraint == (500.0, 10.0)
    strength = values["signal_strength"]
    assert strength.value == pytest.approx(450 / (300 * np.exp(0.2 * TRUTH[0])), abs=5 * strength.error)
    assert values["background_yield"].error < 10.0
    fixed = fit(model, x, settings=FitSettings(fixed={"signal_strength": 1.0}, minos=False))
    assert fixed.parameters[2].fixed
    assert fixed.parameters[2].error is None
    # With its rate known, the signal tells more of theta_0: it has to explain 1.4 times the events expected.
    assert fixed.fitted.value > result.fitted.value + 5.0


def test_fit_json_holds_what_the_issue_names():
    model = mixture_model(members=(mixture_model().signal,) * 3)
    result = fit(model, mixture_events(model, TRUTH, 200, 200, seed=1))
    written = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert set(written) >= {
        "parameters", "covariance", "nll", "evaluations", "seconds", "goodness_of_fit", "converged"
    }  # fmt: skip
    entry = written["parameters"]["theta_0"]
    assert entry["minos_low"] < 0.0 < entry["minos_high"]
    assert entry["error"] == pytest.approx(np.sqrt(written["covariance"]["matrix"][0][0]))
    assert entry["model_error"] == pytest.approx(0.0, abs=0.02 * entry["error"])
    assert written["converged"]
    assert written["warnings"] == []


def test_members_that_disagree_are_a_model_error():
    class Shifted:
        def __init__(self, by):
            self.by = by

        def log_prob(self, x, theta):
            return Gaussian().log_prob(x - self.by, theta)

    model = FitModel(
        (Parameter("a", -5.0, 5.0),), Gaussian(), np.linspace(-5, 5, 50)[:, None],
        members=(Shifted(-0.1), Shifted(0.0), Shifted(0.1)),
    )  # fmt: skip
    result = fit(model, gaussian_events((0.3,), 200), settings=QUICK)
    assert result.parameters[0].model_error == pytest.approx(0.1, abs=1e-3)
    assert (
        fit(model, gaussian_events((0.3,), 200), settings=FitSettings(members=False)).parameters[0].model_error is None
    )


def test_a_calibrated_threshold_widens_its_interval_alone():
    model = mixture_model(background=False)
    x = mixture_events(model, TRUTH, 500, 0, seed=1)
    plain, wide = fit(model, x), fit(model, x, settings=FitSettings(thresholds={"theta_0": 4.0}))
    assert wide.parameters[0].minos_high == pytest.approx(2.0 * plain.parameters[0].minos_high, rel=0.15)
    assert wide.parameters[1].minos_high == pytest.approx(plain.parameters[1].minos_high, rel=0.01)


def test_a_signal_that_is_absent_ends_at_zero_with_an_upper_end():
    model = mixture_model()
    settings = FitSettings(fixed={"theta_0": 0.9, "theta_1": 0.9})
    low = next(
        result
        for seed in range(4, 20)
        if (result := fit(model, mixture_events(model, TRUTH, 0, 400, seed), settings=settings)).fitted.at_limit[2]
    )
    fraction = low.parameters[2]
    assert (fraction.value, fraction.error, fraction.minos_low) == (0.0, None, None)
    assert 0.0 < fraction.minos_high < 0.2
    assert any("signal_fraction ended at the limit of its range, 0; quote" in warning for warning in low.warnings)


def test_a_minimum_at_the_edge_of_training_is_flagged():
    model = mixture_model(background=False)
    far = FitModel(tuple(Parameter(p.name, -1.0, 0.0) for p in model.parameters), model.signal, model.support - 1.0)
    result = fit(far, mixture_events(model, (0.6, -0.5), 500, 0, seed=1), settings=QUICK)
    assert result.parameters[0].at_limit == "high"
    assert "theta_0 ended at the limit of its range, 0; simulate beyond it." in result.warnings


def test_a_minimum_where_training_points_are_missing_is_flagged():
    model = mixture_model(background=False)
    corner = model.support[model.support.sum(axis=1) < -0.2]
    sparse = FitModel(model.parameters, model.signal, corner)
    result = fit(sparse, mixture_events(model, (0.7, 0.7), 500, 0, seed=1), settings=QUICK)
    assert any("training points are sparse" in warning for warning in result.warnings)
    inside = fit(sparse, mixture_events(model, (-0.6, -0.5), 500, 0, seed=1), settings=QUICK)
    assert inside.warnings == ()


def test_a_second_minimum_that_is_nearly_as_good_is_told():
    class Mirror:
        def log_prob(self, x, theta):
            return Gaussian().log_prob(x, theta**2 + 0.001 * theta)

    model = FitModel((Parameter("a", -3.0, 3.0),), Mirror(), np.linspace(-3, 3, 50)[:, None])
    result = fit(model, gaussian_events((1.0,), 400), settings=FitSettings(minos=False, starts=16))
    assert len(result.minima) == 2


def test_a_flat_direction_is_named_and_exits_with_five():
    parameters = (Parameter("mass", -2.0, 2.0), Parameter("scale", -2.0, 2.0))
    model = FitModel(parameters, SumOnly(), Stream(1, "support").at(0).uniform(-2, 2, (200, 2)))
    result = fit(model, gaussian_events((0.3,), 300))
    assert not result.converged
    assert [p.error for p in result.parameters] == [None, None]
    assert [p.minos_high for p in result.parameters] == [None, None]
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["converged"] is False
    with pytest.raises(GateError, match="flat along 0.71 mass -0.71 scale") as raised:
        result.require_converged()
    assert raised.value.exit_code == 5


def test_an_end_at_a_limit_is_null_and_told():
    model = FitModel((Parameter("a", -0.5, 0.5),), Gaussian(), np.linspace(-0.5, 0.5, 200)[:, None])
    x = gaussian_events((0.45,), 100)
    result = fit(model, x + 0.45 - x.mean())
    entry = result.to_json()["parameters"]["a"]
    assert entry["error"] == pytest.approx(0.1, rel=0.01)
    assert entry["minos_low"] == pytest.approx(-0.1, rel=0.01)
    assert entry["minos_high"] is None
    assert any("the interval of a has no high end" in warning for warning in result.warnings)


def test_errors_that_are_not_those_of_minos_are_told():
    class Quartic:
        def log_prob(self, x, theta):
            return -(theta**4 + 0.5 * theta**2) + 0.0 * x[:, 0]

    model = FitModel((Parameter("a", -2.0, 2.0),), Quartic(), np.linspace(-2.0, 2.0, 200)[:, None])
    result = fit(model, np.zeros((1, 1)))
    assert any("the interval of a by MINOS is 0.71 times" in warning for warning in result.warnings)
    peak = fit(narrow_model(), narrow_events(656.2, seed=1))
    assert peak.warnings == ()
    assert peak.parameters[0].minos_high == pytest.approx(peak.parameters[0].error, rel=0.02)


def test_few_training_points_are_told():
    x = gaussian_events((0.0,), 500)
    parameter = (Parameter("a", -3.0, 3.0),)
    few, enough = (
        fit(FitModel(parameter, Gaussian(), np.linspace(-3.0, 3.0, points)[:, None]), x, settings=QUICK)
        for points in (2, 4)
    )
    assert [warning for warning in few.warnings if "trained at 2 points" in warning]
    assert enough.warnings == ()


def test_the_background_density_is_computed_in_pieces(monkeypatch):
    sizes = []

    class Counted:
        def log_prob(self, x):
            sizes.append(len(x))
            return x[:, 0]

    monkeypatch.setattr(module, "_ROWS", 40)
    x = gaussian_events((0.0, 0.0), 100)
    assert log_background(replace(mixture_model(), background=Counted()), x) == pytest.approx(x[:, 0])
    assert sizes == [40, 40, 20]
    assert log_background(mixture_model(background=False), x) is None


REFUSED = {
    "zero events": ({"x": np.empty((0, 2))}, DataError, "no events"),
    "NaN": ({"x": np.array([[0.0, 1.0], [np.nan, 1.0]])}, DataError, "observable 0 .* row 1"),
    "negative weights": ({"weights": np.array([1, -1, 1, 1, 1.0])}, DataError, "1 of 5 .* negative weights"),
    "fixed outside": ({"settings": FitSettings(fixed={"theta_0": 3.0})}, ConfigError, "theta_0 cannot be fixed at 3"),
    "fixed unknown": ({"settings": FitSettings(fixed={"mass": 1.0})}, ConfigError, "no parameter 'mass'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_fitted_is_refused(name):
    given, error, sentence = REFUSED[name]
    with pytest.raises(error, match=sentence):
        fit(mixture_model(), **{"x": np.zeros((5, 2)), **given})
