"""What classification benchmarks keep: errors of pairs, tables over seeds, and the data that an arm saves."""

import json

import numpy as np
import pytest

from castalia.apps.classify.judging import JudgedClasses, judge
from castalia.rng import Stream
from classify_decay import FULL_PLANS
from classify_measures import (
    GROUPS,
    ahead,
    cpu_hours,
    curve_of,
    curves_of,
    deviations,
    difference,
    learns,
    row_of,
    saved,
    spares,
    summary,
)
from large_files import LIMIT

EVENTS = 4_000


def judged(shift: float, counter: int):
    """A judgement of scores that share the events' luck, with a little noise of their own."""
    label = np.repeat([0, 1], EVENTS)
    shared, own = Stream(1, "shared").at(), Stream(1, "own").at(counter)
    score = shift * label + shared.normal(size=2 * EVENTS) + 0.05 * own.normal(size=2 * EVENTS)
    one = 1 / (1 + np.exp(-score))
    events = JudgedClasses(("a", "b"), label, np.ones(2 * EVENTS), None, 1)
    return judge(events, np.column_stack([1 - one, one]), replicas=GROUPS)


@pytest.fixture(scope="module")
def rows():
    return {shift: [row_of(judged(shift, seed), None) for seed in (1, 2, 3)] for shift in (1.0, 1.1)}


def test_a_row_is_what_was_judged(rows):
    found, one = judged(1.0, 1), rows[1.0][0]
    assert one["auc"] == found.mean_auc.value
    # Groups of many events have, in all, the variance of the events: five standard errors of 50 squares.
    groups = np.sqrt(np.square(one["auc_of_groups"]).sum())
    assert groups == pytest.approx(found.mean_auc.error, rel=5 / np.sqrt(2 * 50))
    best = found.contests[0].curve.best_improvement()
    assert one["improvement"] == best.value
    assert np.std(one["improvement_of_replicas"], ddof=1) == pytest.approx(best.error, rel=5 / np.sqrt(2 * 50))


@pytest.mark.parametrize("what", ["auc", "improvement"])
def test_a_difference_on_the_same_events_has_a_smaller_error(rows, what):
    value, error, freedom = difference(rows[1.1], rows[1.0], what)
    assert difference(rows[1.0], rows[1.1], what) == (-value, error, freedom)
    assert 0 < error < 0.7 * rows[1.0][0][f"{what}_error"]
    # Negative control: of other events the same arms cannot be told apart so well.
    name = {"auc": "auc_of_groups", "improvement": "improvement_of_replicas"}[what]
    rng = Stream(1, "shuffle").at()
    others = [{**row, name: rng.permutation(row[name]).tolist()} for row in rows[1.0]]
    assert difference(rows[1.1], others, what)[1] > 1.3 * error


def test_the_same_difference_is_ahead_one_way_only(rows):
    assert ahead("better", rows[1.1], rows[1.0]).value > 3
    assert ahead("worse", rows[1.0], rows[1.1]).value < -3
    assert ahead("missing", rows[1.0], []).value is None
    lacking = [{key: value for key, value in row.items() if key != "improvement"} for row in rows[1.0]]
    assert ahead("no maximum", lacking, rows[1.1], "improvement").value is None
    assert learns("arm", rows[1.0]).value > 5
    assert learns("guess", [{**rows[1.0][0], "auc": 0.501}]).value < 5
    assert learns("missing", []).value is None


def test_seeds_that_scatter_are_part_of_the_error(rows):
    scattered = [{**row, "auc": row["auc"] + move} for row, move in zip(rows[1.1], (-0.1, 0.0, 0.1), strict=True)]
    _, error, freedom = difference(scattered, rows[1.0])
    assert error == pytest.approx(0.1 / np.sqrt(3), rel=0.1)
    assert freedom == pytest.approx(2.0, rel=0.02)  # three seeds and hardly anything else
    assert difference(rows[1.1][:1], rows[1.0][:1])[2] == np.inf
    spent = {"runs": {"classify-1": 2.0, "pretrained-1": 9.0}}
    table = summary([{**row, "settings": {}, **spent} for row in scattered])
    assert table["auc"]["spread"] == pytest.approx(0.1, rel=0.1)
    assert (table["seeds"], table["training_seconds"]["value"]) == (3, 2.0)


@pytest.mark.statistical
@pytest.mark.parametrize("seeds", [3, 5])
def test_few_seeds_that_are_called_ahead_by_chance_are_as_rare_as_of_many(seeds):
    """Two arms that are the same: more than two deviations ahead one time in 44, however few seeds."""
    noise = Stream(seeds, "nothing ahead").at().normal(size=(20_000, seeds))
    means, errors = noise.mean(axis=1), noise.std(axis=1, ddof=1) / np.sqrt(seeds)
    pairs = zip(means, errors, strict=True)
    found = np.array([deviations(mean, error, seeds - 1) for mean, error in pairs])
    expected = 0.02275
    assert np.mean(found > 2.0) == pytest.approx(expected, abs=5 * np.sqrt(expected / 20_000))
    assert np.mean(means / errors > 2.0) > 2 * expected  # control: standard errors taken for deviations
    assert deviations(1.0, 0.01, np.inf) == pytest.approx(37.0)
    assert deviations(-0.3, 0.1, np.inf) == pytest.approx(-3.0)


def test_a_full_result_can_be_committed(rows):
    row = {
        **rows[1.1][0],
        "settings": {"learning_rate": 1e-3},
        "runs": {"classify-0123456789ab": 100.0},
        "samples": "a",
    }
    trainings = sum(len(plan.arms_at(size)) * len(plan.signals) * size.seeds
                    for plan in FULL_PLANS for size in plan.sizes)  # fmt: skip
    content = {"values": {"rows": {f"heavy_higgs 16000 boosted_trees {i}": row for i in range(trainings)}}}
    assert trainings > 200
    assert len(json.dumps(content, indent=2)) < 0.9 * LIMIT


def test_half_the_events_for_the_same_auc_is_a_factor_of_two():
    def arm(shift):
        return {
            size: [{"auc": 0.6 + 0.05 * np.log2(size / 1_000) + shift + seed} for seed in (-1e-4, 0.0, 1e-4)]
            for size in (1_000, 4_000, 16_000)
        }

    scratch, better = arm(0.0), arm(0.05)
    found = saved(curve_of(scratch), curve_of(better), 16_000)
    assert found["factor"] == pytest.approx(2.0, rel=1e-6)
    assert 1.9 < found["low"] < 2.0 < found["high"] < 2.1
    assert found["least"] is None
    above = saved(curve_of(scratch), curve_of(arm(0.5)), 16_000)
    assert above["least"] == 16.0
    assert np.isnan(above["factor"])
    goal = spares("better", found, 16_000)
    assert goal.value == pytest.approx(2.0, rel=1e-6)
    assert goal.error == 0.5 * (found["high"] - found["low"]) > 0
    assert (spares("better", above, 16_000).value, spares("better", above, 16_000).error) == (16.0, None)
    assert spares("better", None, 16_000).value is None
    assert saved(curve_of(scratch), curve_of({}), 16_000) is None
    assert saved(curve_of({1_000: scratch[1_000]}), curve_of(better), 16_000) is None
    assert set(curves_of({"scratch": scratch, "none": {}})) == {"scratch"}


def test_a_run_that_rows_share_costs_once():
    rows = {
        "trial": {"runs": {"pretrained-1": 3600.0, "classify-1": 360.0}, "judging_seconds": 36.0},
        "seed 1": {"runs": {"pretrained-1": 3600.0, "classify-1": 360.0}, "judging_seconds": 36.0},
        "seed 2": {"runs": {"pretrained-1": 3600.0, "classify-2": 360.0}, "judging_seconds": 36.0},
        "types": {"runs": {"pretrained-1": 3600.0}, "judging_seconds": 0.0},
    }
    assert cpu_hours(rows) == {"pretraining": 1.0, "training": 0.2, "judging": 0.03, "total": 1.23}
    assert cpu_hours({})["total"] == 0
