"""Binned templates find the theta they were made for, and the best binning is told from a useless one."""

import numpy as np
import pytest

from castalia.apps.scan.experiment import Plan
from castalia.apps.scan.likelihood import Parameter
from castalia.rng import Stream
from scan_heavy_higgs_templates import BINNINGS, Binning, choose, fit_templates, template_estimates

NAMES = ("seen", "blind", "other")
THETA = (Parameter("theta", -1.0, 1.0),)
PARAMETERS = (*THETA, Parameter("signal_fraction", 0.0, 1.0, kind="signal_fraction"))
TRUTH = np.array([0.3, 0.5])
PLAN = Plan(300.0, 300.0)


def events(theta, rng):
    """A normal peak of width 0.3 at theta in the first observable, nothing in the second, a wider one in the third."""
    return np.column_stack(
        [rng.normal(theta, 0.3), rng.normal(0.0, 1.0, len(theta)), rng.normal(theta, 1.0)],
    )


@pytest.fixture(scope="module")
def simulation():
    rng = Stream(1, "templates").at()
    theta = np.repeat(rng.uniform(-1.0, 1.0, 200), 50)[:, None]
    background = rng.uniform(-3.0, 3.0, (10_000, 3))
    return events(theta[:, 0], rng), theta, background


@pytest.fixture(scope="module")
def pools():
    rng = Stream(1, "pools").at()
    return events(np.full(20_000, TRUTH[0]), rng), rng.uniform(-3.0, 3.0, (20_000, 3))


def made(axes, simulation, degree=2):
    return fit_templates(Binning(axes, 10, degree), NAMES, *simulation, THETA)


def test_listed_binnings():
    assert len(BINNINGS) >= 8
    assert len({one.name for one in BINNINGS}) == len(BINNINGS)


def test_probabilities_follow_the_peak(simulation):
    import torch

    templates = made(("seen", "other"), simulation)
    every = torch.arange(100, dtype=torch.float64)[:, None]
    p = templates.log_prob(every, torch.tensor([[-0.5], [0.5]], dtype=torch.float64)).exp().numpy()
    assert p.sum(axis=1) == pytest.approx(1.0)
    rng = Stream(2, "templates").at()
    for row, theta in zip(p, (-0.5, 0.5), strict=True):
        truth = np.bincount(templates.bins_of(events(np.full(100_000, theta), rng)), minlength=100) / 100_000
        # 10,000 training events for about 60 coefficients with events: 0.5 * 60 / 10,000 nat, and the bins' own width.
        held = truth > 0
        assert np.sum(truth[held] * np.log(truth[held] / row[held])) < 0.02
    # Negative control: the other point's templates are far off.
    assert np.sum(truth[held] * np.log(truth[held] / p[0][held])) > 0.5


def test_estimates_and_choice(simulation, pools):
    errors = []
    for axes in (("blind", "other"), ("seen", "other")):
        found = template_estimates(made(axes, simulation), pools, PLAN, TRUTH, PARAMETERS, range(40), "test")
        errors.append(found - TRUTH)
    best = errors[1]
    # 300 events of width 0.3 on a flat background: about 0.02 each, over 40 experiments; 0.01 for training and bins.
    assert np.abs(best[:, 0].mean()) < 5.0 * 0.02 / np.sqrt(40.0) + 0.01
    assert best[:, 0].std() == pytest.approx(0.02, rel=0.6)
    assert choose(errors) == 1
    assert np.sqrt(np.square(errors[0][:, 0]).mean()) > 2.0 * np.sqrt(np.square(best[:, 0]).mean())
