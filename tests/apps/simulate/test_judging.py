"""The judging of a model whose truth is known: exact models pass, planted faults fail, whatever the target's form."""

import numpy as np
import pytest
import torch
from castalia_console import CONFIG

from castalia.apps.simulate.config import parse_config
from castalia.apps.simulate.events import JudgedEvents
from castalia.apps.simulate.judging import judge_sampler, measure_truth
from castalia.apps.simulate.profiles import Axis, Panel, profile
from castalia.apps.simulate.truth import analytic_truth
from castalia.data.sidecar import Truth
from castalia.estimators.base import Events, Sampler
from castalia.rng import Stream

PAIRS = CONFIG.format(files='"a.root"', model="", training="", epochs=1)
PLAIN = """\
[data]
files = ["a.root"]
identifiers = []
[condition]
x = { column = "x", unit = "GeV" }
[target]
y = { column = "y", unit = "GeV" }
[training]
epochs = 1
"""


class Model(Sampler):
    """Draws targets by a function of the conditions and a generator."""

    def __init__(self, function):
        self.function = function

    def sample(self, condition, draws, rng):
        rows = condition.flat.double().repeat_interleave(draws, dim=0).numpy()
        return Events(torch.from_numpy(self.function(rows, rng)))


def judged_events(text, folder, condition, target, scales, truth=None):
    features = parse_config(text, folder / "c.toml", folder).features()
    known = analytic_truth(features, truth)
    if known is not None:
        target = known.redraw(condition, Stream(20, "true targets").at())
    bound = np.full(target.shape[1], np.inf)
    return JudgedEvents(features, condition, target, np.zeros_like(target), np.array(scales), known, bound, 0, 0)


def spread(x, rng, width=1.0):
    return x * (1.0 + 0.02 * width * rng.normal(size=x.shape))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    rng = Stream(20, "plain").at()
    x = 20.0 + rng.gamma(2.0, 30.0, (12_000, 1))
    events = judged_events(PLAIN, tmp_path_factory.mktemp("plain"), x, spread(x, rng), [40.0])
    return events, measure_truth(events)


def verdict(events, truths, function):
    model = Model(function)
    return judge_sampler("test", model, model, events, truths, with_power=False)


def test_a_target_that_is_not_a_difference(plain):
    assert plain[1].location.shape == plain[1].widths.shape == (12_000, 1)
    assert verdict(*plain, spread).gate.reasons == ()
    wide = verdict(*plain, lambda x, rng: spread(x, rng, 1.2))
    assert wide.gate.reasons[0].startswith("The core width of y (all events)")
    # The widths are those of the resolution, 2 % of x: the spread of x over a bin has no part in them.
    profiles = [pair.true for pair in wide.pairs]
    assert profiles[0].width[4] == pytest.approx(0.02 * np.mean(profiles[0].edges[4:6]), rel=0.15)


def test_a_shift_of_such_a_target(plain):
    shifted = verdict(*plain, lambda x, rng: spread(x, rng) + 0.004 * x)
    assert any(reason.startswith("The mean pull of y") for reason in shifted.gate.reasons)
    (check,) = shifted.locations
    assert check.shift == pytest.approx(0.2, rel=0.3)


@pytest.fixture(scope="module", params=["baseline", "correlated", "asymmetric", "crystal-ball"])
def pairs(request, tmp_path_factory):
    rng = Stream(20, "pairs").at()
    rows = 3000
    et = np.sort(20.0 + rng.gamma(2.0, 30.0, (rows, 2)), axis=1)[:, ::-1]
    condition = {"et_1": et[:, 0], "et_2": et[:, 1], "mu": rng.uniform(0.0, 40.0, rows)}
    condition |= {"eta_1": rng.uniform(-2.4, 2.4, rows), "eta_2": rng.uniform(-2.4, 2.4, rows)}
    folder = tmp_path_factory.mktemp("pairs")
    layout = parse_config(PAIRS, folder / "c.toml", folder).features().layout
    table = np.stack([condition[variable.name] for variable in layout.condition], axis=1)
    rho = 0.5 if request.param == "correlated" else 0.0
    truth = Truth(process="toy", scenario=request.param, rho=rho, parametrisation="repaired", mixture="amplitude")
    scales = [{"et": 20.0, "eta": 0.005, "phi": 0.01}[variable.group] for variable in layout.target]
    events = judged_events(PAIRS, folder, table, np.empty((rows, 6)), scales, truth)
    return events, measure_truth(events)


def test_exact_pairs_pass_and_a_shift_or_outliers_fail(pairs):
    events, truths = pairs
    exact = verdict(events, truths, events.truth.redraw)
    assert exact.gate.reasons == ()
    assert len(exact.locations) == 6
    np.testing.assert_array_equal(truths.location, 0.0)

    def shifted(condition, rng):
        return events.truth.redraw(condition, rng) + 0.15 * events.truth.widths(condition)

    assert any("mean pull" in reason for reason in verdict(events, truths, shifted).gate.reasons)

    def soiled(condition, rng):
        drawn = events.truth.redraw(condition, rng)
        drawn[rng.random(len(drawn)) < 0.01, 0] += 100.0
        return drawn

    assert any("mean pull of" in reason for reason in verdict(events, truths, soiled).gate.reasons)


def test_objects_and_draws_of_one_event_count_once():
    rng = Stream(20, "same twice").at()
    condition, target = (
        np.repeat(rng.uniform(0.0, 1.0, (500, 1)), 2, axis=1),
        np.repeat(rng.normal(size=(500, 1)), 2, 1),
    )
    edges = np.array([0.0, 1.0])
    single = profile(Axis("x", "", (0,), edges), Panel("y", "", (0,)), condition, target)
    both = profile(Axis("x", "", (0, 1), edges), Panel("y", "", (0, 1)), condition, np.tile(target, (3, 1)))
    assert both.events[0] == 6 * single.events[0]
    assert both.width[0] == pytest.approx(single.width[0], rel=1e-12)
    # The same numbers six times over hold no more information.
    assert both.error[0] == pytest.approx(single.error[0], rel=1e-9)
