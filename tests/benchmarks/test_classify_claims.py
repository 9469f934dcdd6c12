"""Goals of the three comparisons of classifiers: met by arms that are better, missed by equal ones and missing ones."""

import numpy as np
import pytest

import classify_combined
import classify_decay
import classify_pretraining
from castalia.rng import Stream
from classify_jobs import Table, jobs
from classify_plan import QUICK
from classify_run import Bench
from record import is_met

BENCHMARKS = {"pretraining": classify_pretraining, "decay": classify_decay, "combined": classify_combined}
BETTER = {"both", "all", "all_observables", "w1", "published_w1"}


def rows_of(plans, path, gain: float):
    """Rows in which some arms are better than the others by ``gain``, and more events are better."""
    rows, rng = {}, Stream(1, "claims").at()
    for job in (job for plan in plans for job in jobs(Table(plan, Bench(path, QUICK.cuts, {}, {}), [], "samples"))):
        auc = (
            0.7
            + 0.02 * np.log2(max(job.events, 1) / 1_000)
            + (gain if job.arm in BETTER else 0.0)
            + rng.normal(0.0, 1e-4)
        )
        rows[job.key] = {
            "validation_loss": 1.0 - auc,
            "auc": auc,
            "auc_error": 0.01,
            "improvement": 2 * auc,
            "log_loss": 1.0 - auc,
            "calibration_error": 0.02,
            "calibration_error_debiased": 0.005,
            "auc_of_groups": rng.normal(0.0, 1e-4, 50).tolist(),
            "improvement_of_replicas": rng.normal(0.0, 1e-3, 50).tolist(),
            "relations": {"accuracy": 0.8, "baseline_accuracy": 0.7, "balanced": 0.6, "balanced_baseline": 0.5},
            "settings": {},
            "runs": {job.key: 1.0},
            "judging_seconds": 1.0,
        }
    return rows


@pytest.mark.parametrize("name", BENCHMARKS)
@pytest.mark.parametrize("quick", [False, True])
def test_goals_are_met_by_better_arms_and_by_no_others(name, quick, tmp_path):
    benchmark = BENCHMARKS[name]
    plans, _ = benchmark.plans(quick)
    values, goals = benchmark.claims(plans, rows_of(plans, tmp_path, 0.05))
    assert goals
    assert all(is_met(goal.value, goal.op, goal.goal) for goal in goals)
    assert values["table"]
    # Negative control: of equal arms none is ahead. A quick form claims only that all learn.
    _, equal = benchmark.claims(plans, rows_of(plans, tmp_path, 0.0))
    ahead = [goal for goal in equal if "ahead" in goal.name]
    assert bool(ahead) is not quick
    assert not all(is_met(goal.value, goal.op, goal.goal) for goal in ahead) or quick
    values, nothing = benchmark.claims(plans, {})
    assert [goal.name for goal in nothing] == [goal.name for goal in goals]
    assert all(goal.value is None for goal in nothing)


def test_the_goals_are_the_designs():
    plans = {name: benchmark.plans(False)[0] for name, benchmark in BENCHMARKS.items()}
    names = {name: [goal.name for goal in BENCHMARKS[name].claims(parts, {})[1]] for name, parts in plans.items()}
    # At a weight that was said beforehand: the best of several would have more trials than its controls.
    assert len(names["decay"]) == 2 * 3 * 2 + 2
    assert all("w1 ahead of" in one for one in names["decay"])
    assert "AUC, heavy_higgs, published_w1 ahead of published_random at 4000 [standard deviations]" in names["decay"]
    assert len(names["combined"]) == 3 * (3 + 2 + 1)
    assert "expected calibration error, debiased, of all together on heavy_higgs at 1000" in names["combined"]
    assert "data saved by both at the AUC of scratch with 16000" in names["pretraining"]
    arms = {one.name: one for one in classify_combined.ARMS}
    assert len(arms) == 2**3 - 1 + 2
    assert arms["pairwise_decay"].options == {"backbone": {"pairwise": True}, "decay_weight": 1.0}
    assert arms["all"].pretext == arms["pretrained"].pretext is not None
    assert arms["decay"].pretext is None
    assert [name for name, arm in arms.items() if arm.observables] == ["all_observables", "boosted_trees_observables"]


def test_the_table_holds_all_weights_and_the_published_model(tmp_path):
    plans, _ = classify_decay.plans(False)
    table = classify_decay.claims(plans, rows_of(plans, tmp_path, 0.05))[0]["table"]
    assert {"w0", "w0.3", "w1", "w3", "w5", "random", "shuffled", "published_w0"} <= set(table["heavy_higgs"])
    assert set(table["heavy_higgs"]["w3"]) == {"1000", "4000"}
    assert set(table["zprime"]["w1"]) == {"1000", "4000", "16000"}
    assert table["heavy_higgs"]["published_w1"]["4000"]["seeds"] == 3
    options = {arm.name: arm.options for arm in plans[0].arms}
    assert options["random"] == options["shuffled"] == options["w1"]


def test_what_a_pre_training_tells_of_types_is_shown(tmp_path):
    (plan,), _ = classify_pretraining.plans(False)
    shown = classify_pretraining.claims((plan,), rows_of((plan,), tmp_path, 0.05))[0]["types_of_jets"]
    assert set(shown) == {"type", "both", "shuffled", "paper"}
