from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest

from castalia.apps.scan.workspace import (
    Template,
    binned_tests,
    build_workspace,
    projection_edges,
    template,
)
from castalia.errors import ConfigError, DataError
from castalia.rng import Stream

pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")  # inside pyhf 0.7

EXACT = 1e-6  # relative error of a template that is known


def pyhf():
    return pytest.importorskip("pyhf", reason="pyhf is in the extra castalia[scan]")


def counting(observed: float, signal: float, background: float):
    def sample(value: float) -> Template:
        return Template(np.array([value]), np.array([EXACT * value]))

    return build_workspace("count", np.array([observed]), sample(signal), sample(background))


def test_counting_experiment_has_the_known_significance_and_its_data_matter():
    pyhf()
    # Cowan et al., Eq. 97: q0 = 2 ((s + b) ln(1 + s / b) - s) for n = s + b observed
    signal, background = 20.0, 100.0
    known = 2.0 * ((signal + background) * math.log1p(signal / background) - signal)
    result = binned_tests(counting(signal + background, signal, background))
    assert result.q0 == pytest.approx(known, rel=1e-4)
    assert result.significance == pytest.approx(math.sqrt(known), rel=1e-4)
    assert result.p0 == pytest.approx(0.5 * math.erfc(math.sqrt(known / 2.0)), rel=1e-3)
    assert result.mu_hat == pytest.approx(1.0, abs=1e-3)
    assert result.CLs_obs > 0.3  # the fitted signal is not excluded
    control = binned_tests(counting(background, signal, background))
    assert control.q0 < 1e-3 < known
    assert control.CLs_obs < result.CLs_obs
    # Cowan et al., Eq. 61 and 66 for n = b: q_1 = 2 (s - b ln(1 + s / b))
    assert control.qmu_tilde == pytest.approx(2.0 * (signal - background * math.log1p(signal / background)), rel=1e-3)
    assert len(control.CLs_exp) == 5
    assert list(control.CLs_exp) == sorted(control.CLs_exp)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("observed", [90.0, 100.0, 110.0])
def test_a_signal_too_small_to_be_told_is_not_excluded(observed):
    pyhf()
    result = binned_tests(counting(observed, 1e-9, 100.0))
    assert [result.CLs_obs, *result.CLs_exp] == pytest.approx([1.0] * 6, abs=1e-4)
    control = binned_tests(counting(observed, 30.0, 100.0))
    assert control.CLs_exp[2] < 0.1


def test_uncertain_background_weakens_the_signal():
    pyhf()
    sharp = binned_tests(counting(120.0, 20.0, 100.0)).q0
    workspace = build_workspace(
        "count", np.array([120.0]), Template(np.array([20.0]), np.array([0.01])),
        Template(np.array([100.0]), np.array([0.01]), normalisation=0.1),
    )  # fmt: skip
    # b known to 10 % adds its variance of 100 to the Poisson variance of 100
    assert binned_tests(workspace).q0 == pytest.approx(sharp / 2.0, rel=0.15)


def test_projection_of_generated_events_is_a_valid_workspace_that_finds_its_signal():
    library = pyhf()
    rng = Stream(1, "test workspace").at()
    signal, background = rng.normal(3.0, 0.5, 20_000), rng.exponential(2.0, 20_000)
    data = np.concatenate([rng.normal(3.0, 0.5, 200), rng.exponential(2.0, 2_000)])
    edges = projection_edges(np.concatenate([signal[:2_000], background]), len(data))
    observed = np.histogram(np.clip(data, edges[0], edges[-1]), edges)[0].astype(np.float64)
    workspace = build_workspace(
        "mass", observed, template(signal, edges, 200.0), template(background, edges, 2_000.0, normalisation=None)
    )
    library.schema.validate(json.loads(json.dumps(workspace)), "workspace.json")
    result = binned_tests(workspace)
    assert result.q0 > 25.0
    # the strength's error is about that of 200 on the 500 events under the peak
    assert abs(result.mu_hat - 1.0) < 5.0 * math.sqrt(700.0) / 200.0
    assert observed.sum() == len(data)
    empty = build_workspace(
        "mass", template(background, edges, 2_000.0).content.round(), template(signal, edges, 200.0),
        template(background, edges, 2_000.0, normalisation=None),
    )  # fmt: skip
    assert binned_tests(empty).q0 < 9.0


def test_templates_are_scaled_and_keep_events_outside():
    values = np.array([-5.0, 0.5, 0.5, 1.5, 99.0])
    made = template(values, np.array([0.0, 1.0, 2.0, 3.0]), 10.0)
    assert made.content.tolist() == [6.0, 2.0, 2.0]
    assert made.error.tolist() == pytest.approx([2.0 * math.sqrt(3.0), 2.0, 2.0])


def test_what_cannot_be_used_is_refused(monkeypatch):
    one = Template(np.array([1.0]), np.array([0.1]))
    with pytest.raises(DataError, match="2 observed ones"):
        build_workspace("x", np.array([1.0, 2.0]), one)
    with pytest.raises(DataError, match="no events"):
        template(np.array([]), np.array([0.0, 1.0]), 1.0)
    with pytest.raises(DataError, match="one value only"):
        projection_edges(np.ones(10), 100.0)
    with pytest.raises(ConfigError, match="signal strength"):
        binned_tests({}, mu=0.0)
    monkeypatch.setitem(sys.modules, "pyhf", None)
    with pytest.raises(ConfigError, match=r"castalia\[scan\]"):
        binned_tests(counting(1.0, 1.0, 1.0))


def test_signal_without_background_and_a_broken_workspace_are_refused():
    pyhf()
    one = Template(np.array([1.0]), np.array([0.1]))
    with pytest.raises(DataError, match="no background"):
        binned_tests(build_workspace("x", np.array([1.0]), one))
    broken = counting(1.0, 1.0, 1.0)
    del broken["measurements"]
    with pytest.raises(DataError, match="pyhf cannot use"):
        binned_tests(broken)
