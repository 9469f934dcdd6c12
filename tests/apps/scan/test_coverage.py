from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from castalia.apps.scan.coverage import CoverageTask, run_coverage, summarise_coverage
from castalia.apps.scan.experiment import Plan, open_laboratory
from castalia.apps.scan.likelihood import Parameter
from castalia.data.readers import open_reader
from castalia.data.sidecar import read_sidecar
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError, GateError
from castalia.processes.mixture import AnalyticBackground, analytic_mixture
from castalia.rng import Stream

THETA = np.array([0.1])
PLAN = Plan(150.0, 150.0)


class Expected:
    """An expected number of signal events that grows with theta; a class, so that it can be sent to workers."""

    def __call__(self, theta):
        return 150.0 * torch.exp(0.3 * (theta[:, 0] - 0.1))


def model(*, extended=False, constraint=None):
    return SimpleNamespace(
        parameters=(Parameter("theta", -1.0, 1.0, constraint=constraint),),
        signal=analytic_mixture(1, 2),
        background=AnalyticBackground(2),
        expected_signal=Expected() if extended else None,
        background_yield=(150.0, 15.0) if extended else None,
        members=(),
        support=np.linspace(-1.0, 1.0, 21)[:, None],
    )


def pools(events=12_000):
    rng = Stream(1, "test pools").at()
    return analytic_mixture(1, 2).sample(THETA, events, rng), AnalyticBackground(2).sample(events, rng)


def laboratory(plan=PLAN, **settings):
    signal, background = pools()
    return open_laboratory(model(**settings), THETA, signal, plan, background=background)


def covered(lab, experiments, tmp_path, name="out.parquet"):
    return run_coverage(lab, experiments, tmp_path / name, key="test", provenance={"seed": 1})


def within(coverage):
    """Five standard errors, binomial and that of the pool."""
    level = coverage.level
    error = math.hypot(math.sqrt(level * (1.0 - level) / coverage.experiments), coverage.pool_error)
    return abs(coverage.fraction - level) < 5.0 * error


@pytest.mark.statistical
def test_an_exact_likelihood_covers_and_one_with_errors_too_small_does_not(tmp_path):
    lab = laboratory()
    assert lab.surrogate is not None
    summary = covered(lab, 150, tmp_path)
    assert [p.name for p in summary.parameters] == ["theta", "signal_fraction"]
    assert summary.overlap == pytest.approx(150 / 12_000)
    assert summary.failed == 0
    for parameter in summary.parameters:
        assert all(within(coverage) for coverage in (*parameter.errors, *parameter.profile))
        assert abs(parameter.pulls.mean) < 5.0 * parameter.pulls.mean_error
        assert abs(parameter.pulls.width - 1.0) < 5.0 * parameter.pulls.width_error
    assert all(within(coverage) for coverage in summary.joint)
    assert summary.joint_thresholds == ()
    # Negative control: standard errors of 0.5 and likelihoods of 4 times what they are.
    with open_reader(tmp_path / "out.parquet") as reader:
        table = Table.concatenate(list(reader.iterate(CoverageTask(lab, 1).schema.names, 1_000)))
    wrong = {"theta_error": 0.5 * table["theta_error"], "theta_rise": 4.0 * table["theta_rise"]}
    parameter = summarise_coverage(table.with_columns(wrong), lab).parameters[0]
    assert not within(parameter.errors[0])
    assert not within(parameter.profile[0])
    assert abs(parameter.pulls.width - 1.0) > 5.0 * parameter.pulls.width_error


def test_surrogate_and_density_give_the_same_fit():
    lab = laboratory()
    near, exact = (place.run(Stream(1, "test fit").at()) for place in (lab, replace(lab, surrogate=None)))
    assert not near.exact
    assert exact.exact
    assert near.events == exact.events
    # What a surrogate may be off where it is used: a twentieth of a standard error, a tenth of 2 Delta NLL.
    assert 0.0 < lab.surrogate_error <= 0.05
    assert np.abs((near.estimate - exact.estimate) / exact.error).max() < 0.05
    assert near.error == pytest.approx(exact.error, rel=0.05)
    assert near.rise == pytest.approx(exact.rise, abs=0.1)
    assert near.joint == pytest.approx(exact.joint, abs=0.1)


@pytest.mark.statistical
def test_extended_fit_with_constraints_knows_its_truth():
    lab = laboratory(extended=True, constraint=(0.0, 0.2))
    assert lab.truth == pytest.approx([0.1, 1.0, 150.0])
    results = [lab.run(Stream(1, "test extended").at(i)) for i in range(40)]
    assert all(result.converged for result in results)
    pulls = np.array([(result.estimate - lab.truth) / result.error for result in results])
    assert np.all(np.abs(pulls.mean(axis=0)) < 5.0 / math.sqrt(len(results)))
    # The constraint's mean, 0, is another measurement's: it fluctuates around the truth in each experiment.
    assert np.all(np.abs(pulls.std(axis=0) - 1.0) < 5.0 / math.sqrt(2.0 * len(results)))


def test_fixed_totals_still_let_the_composition_fluctuate():
    rng = Stream(1, "test plan").at()
    drawn = np.array([Plan(30.0, 70.0, poisson=False).draw(rng) for _ in range(200)])
    assert set(drawn.sum(axis=1)) == {100}
    assert drawn[:, 0].std() == pytest.approx(math.sqrt(21.0), rel=5.0 / math.sqrt(400.0))


def test_an_interrupted_run_goes_on_and_its_rows_do_not_depend_on_their_number(tmp_path):
    lab = laboratory()
    covered(lab, 20, tmp_path, "short.parquet")
    covered(lab, 30, tmp_path, "long.parquet")
    tables = []
    for name in ("short.parquet", "long.parquet"):
        with open_reader(tmp_path / name) as reader:
            tables.append(Table.concatenate(list(reader.iterate(("theta_fit", "events"), 1_000))))
    assert np.array_equal(tables[0]["theta_fit"], tables[1]["theta_fit"][:20])
    again = run_coverage(lab, 30, tmp_path / "long.parquet", key="test", provenance={"seed": 1}, resume=True)
    assert again.experiments == 30
    with pytest.raises(ConfigError, match="exists"):
        covered(lab, 30, tmp_path, "long.parquet")


@pytest.mark.slow
def test_two_workers_give_the_bits_of_one(tmp_path):
    lab, columns = laboratory(), []
    for workers in (1, 2):
        output = tmp_path / f"{workers}.parquet"
        run_coverage(lab, 40, output, key="test", provenance={"seed": 1}, workers=workers)
        sidecar = read_sidecar(output)
        assert sidecar is not None
        columns.append({name: column.sha256 for name, column in sidecar.columns.items()})
    assert columns[0] == columns[1]


def test_what_cannot_be_measured_is_refused():
    signal, background = pools(500)
    with pytest.raises(DataError, match="pool of 500 without taking one twice"):
        open_laboratory(model(), THETA, signal, Plan(400.0, 150.0), background=background[:500])
    with pytest.raises(DataError, match=r"true theta .* is 1.5, outside"):
        open_laboratory(model(), np.array([1.5]), signal, PLAN, background=background)
    with pytest.raises(ConfigError, match="if, and only if"):
        open_laboratory(model(), THETA, signal, PLAN)


def test_failed_experiments_are_counted_and_too_many_are_an_error():
    lab = laboratory()
    task = CoverageTask(lab, 1)
    rows = {spec.name: np.ones(4, dtype=spec.numpy_dtype) for spec in task.schema.columns}
    rows["converged"] = np.array([1, 0, 1, 1])
    rows["theta_error"] = np.array([0.1, np.nan, np.nan, 0.2])
    summary = summarise_coverage(Table(rows), lab)
    assert (summary.failed, summary.experiments) == (1, 4)
    assert summary.parameters[0].at_limit == 1
    assert summary.parameters[0].errors[0].experiments == 2
    assert summary.parameters[0].profile[0].experiments == 3
    rows["converged"] = np.array([0, 0, 0, 1])
    with pytest.raises(GateError, match="3 of 4"):
        summarise_coverage(Table(rows), lab)
