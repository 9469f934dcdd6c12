"""The binned projection knows of the background what was known before the events, and says nothing of none."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from castalia.apps.scan.expected import ExpectedPart
from castalia.apps.scan.projection import project
from castalia.apps.scan.projection import tests_of as binned
from castalia.apps.scan.workspace import Template, binned_tests, build_workspace
from castalia.errors import DataError
from castalia.rng import Stream

pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")  # inside pyhf 0.7

MEAN, ERROR, FITTED = 700.0, 50.0, 800.0


def parts(background=FITTED, signal=100.0):
    rng = Stream(1, "test projection").at()
    return (
        ExpectedPart("Background", rng.normal(0.0, 2.0, (20_000, 2)), background),
        ExpectedPart("Signal", rng.normal(0.3, 1.0, (20_000, 2)), signal),
    )


def observed():
    rng = Stream(2, "test projection").at()
    return np.concatenate([rng.normal(0.3, 1.0, (100, 2)), rng.normal(0.0, 2.0, (800, 2))])


def background_of(workspace):
    return next(s for s in workspace["channels"][0]["samples"] if s["name"] == "background")


def modifier(sample, kind):
    return next((m for m in sample["modifiers"] if m["type"] == kind), None)


def test_a_constrained_background_has_its_prior_and_not_what_was_fitted():
    pytest.importorskip("pyhf", reason="pyhf is in the extra castalia[scan]")
    workspace = project(["a", "b"], observed(), None, parts(), (MEAN, ERROR))
    background = background_of(workspace)
    assert sum(background["data"]) == pytest.approx(MEAN)
    assert modifier(background, "normsys")["data"]["hi"] == pytest.approx(1.0 + ERROR / MEAN)
    # Negative control: with its own fit as the prior the data count twice, and the signal loses what the prior gives.
    twice = project(["a", "b"], observed(), None, parts(), (FITTED, ERROR))
    assert binned(workspace).q0 > binned(twice).q0 + 1.0


def test_a_free_background_is_fitted_from_where_it_was_found():
    for free in (None, (MEAN, None)):
        background = background_of(project(["a", "b"], observed(), None, parts(), free))
        assert sum(background["data"]) == pytest.approx(FITTED)
        assert modifier(background, "normsys") is None
        assert sum(m["type"] == "normfactor" for m in background["modifiers"]) == 1


def test_constant_observables_are_passed_over_and_nothing_else_is_refused():
    both = tuple(ExpectedPart(p.label, np.column_stack([p.events, np.ones(20_000)]), p.expected) for p in parts())
    events = np.column_stack([observed(), np.ones(900)])
    assert project(["a", "b", "c"], events, None, both, None)["channels"][0]["name"] in {"a", "b"}
    alone = tuple(ExpectedPart(p.label, p.events[:, 2:], p.expected) for p in both)
    with pytest.raises(DataError, match="one value only"):
        project(["c"], events[:, 2:], None, alone, None)


def test_no_expected_background_has_no_tests_and_pyhf_keeps_its_tracebacks(caplog, capfd):
    pyhf = pytest.importorskip("pyhf", reason="pyhf is in the extra castalia[scan]")
    with caplog.at_level(logging.DEBUG):
        assert binned(project(["a", "b"], observed(), None, parts(background=0.0), None)) is None
    assert [record.name for record in caplog.records] == ["castalia.apps.scan.projection"]
    caplog.clear()
    # No rate at all where there are events: no fit can end, and pyhf says so with a table and a traceback.
    one, none = Template(np.array([1.0, 0.0]), np.array([0.1, 0.0])), Template(np.array([1.0, 0.0]), np.zeros(2))
    broken = build_workspace("x", np.array([1.0, 50.0]), one, none)
    with caplog.at_level(logging.DEBUG), np.errstate(all="ignore"):
        binned(broken)
    assert not [record for record in caplog.records if record.name.startswith("pyhf")]
    assert "Traceback" not in capfd.readouterr().err
    assert logging.getLogger("pyhf").level != logging.CRITICAL + 1
    assert pyhf.get_backend() is not None
    with pytest.raises(DataError):
        binned_tests(broken)
