"""The likelihood: its value by hand, its gradient by differences, weights as duplication, and what it refuses."""

import numpy as np
import pytest
import torch
from analytic_densities import (
    Gaussian,
    gaussian_events,
    gaussian_likelihood,
    mixture_events,
    mixture_model,
    narrow_events,
    narrow_model,
)

from castalia.apps.scan import likelihood as module
from castalia.apps.scan.fit import build_likelihood
from castalia.apps.scan.likelihood import Likelihood, Parameter
from castalia.errors import ConfigError, DataError
from castalia.rng import Stream

THETAS = [Parameter("a", -1.0, 1.0, constraint=(0.1, 0.3)), Parameter("b", -1.0, 1.0)]
FRACTION = Parameter("f", 0.0, 1.0, kind="signal_fraction")
STRENGTH = Parameter("mu", 0.0, 3.0, kind="signal_strength")
YIELD = Parameter("nu_b", 0.0, 900.0, kind="background_yield", constraint=(300.0, 20.0))

FORMS = {
    "signal": (THETAS, False, False, [0.2, -0.3]),
    "fraction": ([*THETAS, FRACTION], True, False, [0.2, -0.3, 0.4]),
    "extended": ([*THETAS, STRENGTH, YIELD], True, True, [0.2, -0.3, 1.2, 250.0]),
    "extended, no background": ([*THETAS, STRENGTH], False, True, [0.2, -0.3, 1.2]),
}


def expected(theta):
    return 200.0 * torch.exp(0.3 * theta[:, 0])


def likelihood_of(form: str, weights=None) -> Likelihood:
    parameters, background, extended, _ = FORMS[form]
    model = mixture_model()
    x = mixture_events(model, (0.3, -0.2), 120, 180, seed=1)
    return Likelihood(
        model.signal,
        x,
        parameters,
        weights=weights,
        log_background=model.background.log_prob(torch.as_tensor(x)).numpy() if background else None,
        expected_signal=expected if extended else None,
    )


@pytest.mark.parametrize("form", FORMS)
def test_value_is_the_definition(form):
    weights = Stream(1, "weights").at(0).uniform(0.5, 2.0, 300)
    likelihood, phi = likelihood_of(form, weights), np.array(FORMS[form][3])
    signal = np.exp(likelihood.signal.log_prob(likelihood.x, torch.as_tensor(phi[None, :2])).numpy()[0])
    background = np.exp(mixture_model().background.log_prob(likelihood.x).numpy())
    nu = 200.0 * np.exp(0.3 * phi[0]) * (phi[2] if len(phi) > 2 else 1.0)
    density, total = {
        "signal": (signal, 0.0),
        "fraction": (phi[-1] * signal + (1 - phi[-1]) * background, 0.0),
        "extended": (nu * signal + phi[-1] * background, nu + phi[-1]),
        "extended, no background": (nu * signal, nu),
    }[form]
    constraints = 0.5 * ((phi[0] - 0.1) / 0.3) ** 2 + (0.5 * ((250 - 300) / 20) ** 2 if form == "extended" else 0.0)
    by_hand = total - weights @ np.log(density) + constraints
    assert likelihood.value(phi[None])[0] == pytest.approx(by_hand, rel=1e-12)
    assert likelihood.value_and_gradient(phi[None])[0][0] == pytest.approx(by_hand, rel=1e-12)


def gradient_agrees(likelihood, phi, gradient) -> bool:
    step = 1e-5 * likelihood.range
    points = np.concatenate([phi + np.diag(step), phi - np.diag(step)])
    above, below = likelihood.value(points).reshape(2, -1)
    # Truncation and rounding of a central difference of a sum of 1e3: about 1e-6 of its scale.
    return bool(np.allclose((above - below) / (2 * step), gradient, rtol=1e-5, atol=1e-4))


@pytest.mark.parametrize("form", FORMS)
def test_gradient_is_that_of_the_value(form):
    likelihood, phi = likelihood_of(form), np.array(FORMS[form][3])
    gradient = likelihood.value_and_gradient(phi[None])[1][0]
    assert gradient_agrees(likelihood, phi, gradient)
    for k in range(len(phi)):
        flipped = np.where(np.arange(len(phi)) == k, -gradient, gradient)
        assert not gradient_agrees(likelihood, phi, flipped)


def test_many_points_and_chunks_change_nothing(monkeypatch):
    likelihood = likelihood_of("extended")
    points = np.array([[0.2, -0.3, 1.2, 250.0], [0.0, 0.5, 0.1, 300.0], [-0.9, 0.1, 2.0, 10.0]])
    together = likelihood.value_and_gradient(points)
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 100)
    for k, point in enumerate(points):
        value, gradient = likelihood.value_and_gradient(point[None])
        assert value[0] == pytest.approx(together[0][k], rel=1e-13)
        assert gradient[0] == pytest.approx(together[1][k], rel=1e-10, abs=1e-9)


def test_each_point_counts_as_an_evaluation():
    likelihood = likelihood_of("fraction")
    likelihood.value_and_gradient(np.zeros((7, 3)) + 0.5)
    assert likelihood.evaluations == 7


def test_weights_are_duplication():
    x = gaussian_events((0.3,), 50)
    weights = np.arange(50) % 3 + 1.0
    weighted = gaussian_likelihood(x, weights=weights)
    repeated = gaussian_likelihood(np.repeat(x, weights.astype(int), axis=0))
    assert weighted.value(np.array([[0.1]])) == pytest.approx(repeated.value(np.array([[0.1]])), rel=1e-12)
    assert weighted.weighted
    assert not repeated.weighted


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_gradient_is_finite_where_one_part_is_absent(fraction):
    value, gradient = likelihood_of("fraction").value_and_gradient(np.array([[0.1, 0.1, fraction]]))
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()


def test_a_density_of_e_minus_ten_thousand_is_no_zero():
    x = np.array([[150.0]])
    parameters = [Parameter("a", -5.0, 5.0), FRACTION]
    far = Likelihood(Gaussian(), x, parameters, log_background=np.array([-12000.0]))
    value, gradient = far.value_and_gradient(np.array([[0.0, 0.5]]))
    assert value[0] == pytest.approx(0.5 * 150**2 + 0.5 * np.log(2 * np.pi) + np.log(2), rel=1e-12)
    assert gradient[0, 0] == pytest.approx(-150.0)


def test_an_impossible_event_makes_the_value_infinite():
    class Impossible:
        def log_prob(self, x, theta):
            return Gaussian().log_prob(x, theta) + torch.where(x[:, 0] > 1.0, -torch.inf, 0.0)

    likelihood = Likelihood(Impossible(), np.array([[0.0], [2.0]]), [Parameter("a", -1.0, 1.0)])
    assert likelihood.value_and_gradient(np.zeros((1, 1)))[0][0] == np.inf


def test_hessian_scores_and_information_of_a_gaussian():
    x = gaussian_events((0.3, -0.2), 400)
    likelihood = gaussian_likelihood(x)
    phi = np.array([0.1, 0.2])
    assert likelihood.hessian(phi) == pytest.approx(400.0 * np.eye(2), abs=1e-5)
    assert likelihood.scores(phi) == pytest.approx(x - phi, abs=1e-6)
    assert likelihood.information(phi) == pytest.approx((x - phi).T @ (x - phi), rel=1e-6)


@pytest.mark.parametrize("estimate", [None, 1e3, 4e8, 1e14])
def test_second_derivatives_of_a_narrow_peak_need_no_lucky_step(estimate):
    # Over a step of 0.3 % of the range the curvature would be that of the peak's flanks.
    likelihood = build_likelihood(narrow_model(), narrow_events(656.2, seed=1))
    phi = np.array([656.2, 200.0 / 2200.0])
    step = np.array([1e-3, 1e-5])
    above, below = likelihood.value_and_gradient(np.concatenate([phi + np.diag(step), phi - np.diag(step)]))[1].reshape(
        2, 2, 2
    )
    exact = (above - below) / (2.0 * step[:, None])
    given = None if estimate is None else np.diag([estimate / 900.0**2, 2000.0])
    assert likelihood.hessian(phi, given) == pytest.approx(exact, rel=0.02, abs=0.02 * np.sqrt(np.diag(exact).prod()))


def test_a_good_estimate_of_the_curvature_saves_the_second_pass():
    likelihood = gaussian_likelihood(gaussian_events((0.3, -0.2), 400))
    likelihood.hessian(np.zeros(2), 300.0 * np.eye(2))
    assert likelihood.evaluations == 4


def test_best_yields_are_those_of_a_scan():
    for form in ("fraction", "extended"):
        likelihood, phi = likelihood_of(form), np.array([FORMS[form][3]] * 2)
        free = np.ones(phi.shape[1], dtype=bool)
        found, value = likelihood.with_best_yields(phi, free)
        assert found[:, :2] == pytest.approx(phi[:, :2])
        assert value == pytest.approx(likelihood.value(found), rel=1e-12)
        assert (value < likelihood.value(phi)).all()
        if form == "fraction":
            scan = np.array([[*phi[0, :2], f] for f in np.linspace(0.0, 1.0, 201)])
            # The steps of EM come close to the best fraction, which is all that a start needs.
            assert value[0] < likelihood.value(scan).min() + 0.1
        free[-1] = False
        assert likelihood.with_best_yields(phi, free)[0][:, -1] == pytest.approx(phi[:, -1])


def test_events_of_weight_zero_are_left_out():
    x = gaussian_events((0.3,), 500)
    weights = np.where(np.arange(500) < 3, 2.0, 0.0)
    likelihood = gaussian_likelihood(x, weights=weights)
    assert len(likelihood) == 3
    assert likelihood.value(np.array([[0.1]])) == pytest.approx(
        gaussian_likelihood(x[:3], weights=weights[:3]).value(np.array([[0.1]]))
    )


def test_a_constraint_adds_its_information():
    x = gaussian_events((0.3,), 10)
    constrained = Likelihood(Gaussian(), x, [Parameter("a", -5.0, 5.0, constraint=(0.0, 0.5))])
    assert constrained.hessian(np.array([0.1]))[0, 0] == pytest.approx(10.0 + 4.0)
    free = gaussian_likelihood(x).information(np.array([0.1]))
    assert (constrained.information(np.array([0.1])) - free)[0, 0] == pytest.approx(4.0)


def test_a_part_of_the_events_has_the_weight_of_all():
    likelihood = likelihood_of("extended")
    part = likelihood.take(np.arange(30))
    assert len(part) == 30
    assert float(part.weights.sum()) == pytest.approx(300.0)
    # The same yields describe it: values are of the same size, up to the fluctuation of 30 terms of width about two.
    phi = np.array([FORMS["extended"][3]])
    assert abs(part.value(phi) - likelihood.value(phi))[0] < 5 * 2.0 * 300 / np.sqrt(30)


REFUSED = {
    "no events": (lambda: gaussian_likelihood(np.empty((0, 1))), DataError, "no events"),
    "NaN": (lambda: gaussian_likelihood(np.array([[0.0], [np.nan]])), DataError, "observable 0 .* row 1"),
    "weights": (lambda: gaussian_likelihood(np.zeros((2, 1)), weights=np.zeros(2)), DataError, "with the sum 0"),
    "negative weights": (
        lambda: gaussian_likelihood(np.zeros((3, 1)), weights=np.array([3.0, -1.0, 2.0])),
        DataError,
        "1 of 3 observed events have negative weights .*row 1.*fit events of positive weight",
    ),
    "constant": (lambda: Parameter("mass", 5.0, 5.0), ConfigError, "'mass' is constant"),
    "constraint": (lambda: Parameter("jes", 0.0, 2.0, constraint=(1.0, 0.0)), ConfigError, "constraint of 'jes'"),
    "missing fraction": (
        lambda: gaussian_likelihood(np.zeros((2, 1)), log_background=np.zeros(2)),
        ConfigError,
        "with background, takes the theta first and then signal_fraction",
    ),
    "needless fraction": (
        lambda: Likelihood(Gaussian(), np.zeros((2, 1)), [Parameter("a", 0.0, 1.0), FRACTION]),
        ConfigError,
        "nothing else",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused(name):
    build, error, sentence = REFUSED[name]
    with pytest.raises(error, match=sentence):
        build()
