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
from castalia.errors import ConfigError, DataError
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


def test_failed_experiments_are_counted_and_cover_nothing():
    lab = laboratory()
    task = CoverageTask(lab, 1)
    rows = {spec.name: np.ones(4, dtype=spec.numpy_dtype) for spec in task.schema.columns}
    rows["converged"] = np.array([1, 0, 1, 1])
    rows["theta_error"] = np.array([0.1, np.nan, np.nan, 0.2])
    summary = summarise_coverage(Table(rows), lab)
    assert (summary.failed, summary.experiments) == (1, 4)
    assert summary.parameters[0].at_limit == 1
    assert summary.parameters[0].errors[0].experiments == 2
    assert summary.parameters[0].errors[0].left_out == 2
    profile = summary.parameters[0].profile[0]
    assert (profile.covered, profile.experiments, profile.left_out) == (0, 3, 1)
    rows["theta_rise"] = np.zeros(4)
    profile = summarise_coverage(Table(rows), lab).parameters[0].profile[0]
    assert profile.fraction == 1.0
    assert profile.of_all == 0.75
    rows["converged"] = np.array([0, 0, 0, 0])
    nothing = summarise_coverage(Table(rows), lab)
    assert nothing.failed == 4
    assert math.isnan(nothing.parameters[0].bias)
    assert math.isnan(nothing.joint[0].fraction)
    assert nothing.joint[0].of_all == 0.0


def test_an_experiment_without_events_is_one_that_did_not_converge():
    signal, background = pools()
    lab = open_laboratory(model(), THETA, signal, Plan(20.0, 20.0), background=background)
    empty = replace(lab, plan=Plan(1e-9, 1e-9)).run(Stream(1, "test empty").at(), searched=True)
    assert not empty.converged
    assert empty.events == 0
    assert np.isnan(empty.estimate).all()


class Folded:
    """x ~ N(theta² + theta / 30, 1): another minimum at about -theta, which one experiment in many prefers."""

    def log_prob(self, x, theta):
        centre = theta[:, 0:1] ** 2 + theta[:, 0:1] / 30.0
        return -0.5 * (x[None, :, 0] - centre) ** 2 - 0.5 * math.log(2.0 * math.pi)


def folded(low, high):
    truth, rng = 1.0, Stream(1, "test folded").at()
    pool = rng.normal(truth**2 + truth / 30.0, 1.0, (20_000, 1))
    two = SimpleNamespace(
        parameters=(Parameter("theta", low, high),), signal=Folded(), background=None, expected_signal=None,
        background_yield=None, members=(), support=np.linspace(low, high, 401)[:, None],
    )  # fmt: skip
    return open_laboratory(two, np.array([truth]), pool, Plan(400.0))


def test_a_searched_experiment_has_the_lowest_minimum_of_the_range():
    lab = folded(-2.0, 2.0)
    assert not lab.searches_all
    streams = [Stream(1, "test folded run").at(i) for i in range(20)]
    found = [lab.run(rng, searched=True) for rng in streams]
    assert all(result.searched and result.converged for result in found)
    other = [result for result in found if result.elsewhere]
    # Half of the experiments, as both minima fit equally well; five standard errors.
    assert abs(len(other) - 10) < 5.0 * math.sqrt(5.0)
    for result in other:
        assert result.estimate[0] < 0.0
        # The rise is from the lowest minimum: the truth lies above the local one by less.
        assert result.rise[0] >= 0.0
        assert result.joint == pytest.approx(result.rise[0], abs=1e-6)
    # Negative control: nobody looks elsewhere.
    again = [lab.run(Stream(1, "test folded run").at(i)) for i in range(20)]
    assert not any(result.searched or result.elsewhere for result in again)
    assert all(result.estimate[0] > 0.0 for result in again)
    for result, local in zip(found, again, strict=True):
        if result.elsewhere:
            assert result.joint > local.joint
        else:
            assert result.joint == local.joint


def test_where_the_cheap_density_has_the_whole_range_every_experiment_is_searched(tmp_path):
    lab = folded(0.9, 1.1)
    assert lab.searches_all
    summary = covered(lab, 10, tmp_path)
    assert (summary.searched, summary.elsewhere) == (10 - summary.failed, 0)
    lab = folded(-2.0, 2.0)
    summary = covered(lab, 20, tmp_path, "some.parquet")
    assert summary.searched == 2
