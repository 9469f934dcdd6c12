"""The comparison of unfolding models: paired errors, equal trials for all, and a result that may be incomplete."""

import json

import numpy as np
import pytest

import unfold_comparison as module
from castalia.errors import MachineError
from castalia.rng import Stream
from unfold_comparison import Bench, claims, jobs, measure, ranked_trials, trial_key, values_of
from unfold_comparison_measures import difference, goals_of, ratios_to, table_of
from unfold_comparison_plan import AS_PUBLISHED, FULL_PLAN, PUBLISHED, QUICK_PLAN, TRIALS

GROUPS = 100


def row(score: float, counter: int, **others):
    """A model's row: groups of events that are hard or easy for every model, and a little noise of its own."""
    shared = Stream(1, "groups").at().normal(0.0, 0.1, GROUPS)
    own = Stream(1, "own").at(counter).normal(0.0, 0.01, GROUPS)
    scores = score + shared + own
    floors = {f"{name}_{which}{end}": 1.0 for name in ("wasserstein", "kolmogorov_smirnov", "kl64")
              for which in ("all", "continuous") for end in ("", "_floor")}  # fmt: skip
    numbers = {"joint_auc": 0.6, "joint_auc_error": 0.01, "calibrated": 48, "sum_violation": 0.0, "mass_violation": 0.0}
    return {**floors, **numbers, "crps": float(scores.mean()), "crps_of_groups": scores.tolist(), **others}


def test_a_difference_has_the_error_of_the_same_events():
    value, error = difference([row(0.30, 1)], [row(0.31, 2)])
    assert abs(value - 0.01) < 5 * error
    # 0.01 in each of 100 groups, of two models; five standard errors of a standard deviation of 100.
    assert error == pytest.approx(0.01 * np.sqrt(2 / GROUPS), rel=5 / np.sqrt(2 * GROUPS))
    # Negative control: of other events the same models cannot be told apart.
    other = row(0.31, 2)
    rng = Stream(1, "shuffle").at()
    assert difference([row(0.30, 1)], [{**other, "crps_of_groups": rng.permutation(other["crps_of_groups"])}])[1] > (
        5 * error
    )


def test_seeds_that_scatter_more_are_the_error():
    rows = [row(score, i) for i, score in enumerate((0.2, 0.3, 0.4))]
    value, error = difference(rows, [row(0.35, 9)])
    assert error == pytest.approx(0.1 / np.sqrt(3), rel=0.1)
    assert value == pytest.approx(0.05, abs=0.01)
    assert table_of(rows)["crps"]["spread"] == pytest.approx(0.1, rel=0.1)
    assert np.isnan(table_of(rows[:1])["crps"]["spread"])
    assert "crps_of_groups" not in table_of(rows)


def test_what_is_missing_meets_no_goal_and_a_better_rival_is_seen():
    nothing = goals_of({}, None, None, 49)
    assert [goal.value for goal in nothing] == [None] * len(nothing)
    tuned = {name: [row(score, i)] for i, (name, score) in enumerate(
        {"unfold_flow_matching": 0.26, "cvae": 0.28, "cinn": 0.25, "vld": 0.27}.items())}  # fmt: skip
    goals = {goal.name: goal for goal in goals_of(tuned, row(0.51, 8), None, 49)}
    ahead = {name: goals[f"CRPS ahead of {name} [standard errors]"].value for name in ("cvae", "cinn", "control")}
    assert ahead["cvae"] > 3
    assert ahead["cinn"] < -3
    assert ahead["control"] > ahead["cvae"]
    assert goals["CRPS ahead of vdm [standard errors]"].value is None
    assert goals["calibrated numbers"].goal == 47


def test_ratios_are_to_the_model_that_is_named():
    assert ratios_to("a", {"a": 2.0, "b": 6.0}) == {"a": 1.0, "b": 3.0}
    assert ratios_to("a", {"b": 6.0}) == {}
    ratios = ratios_to("VLD", {name: one["wasserstein"] for name, one in PUBLISHED.items()})
    assert ratios["VDM"] == pytest.approx(22.8, abs=0.05)  # the paper's "over 20 times"


def test_every_model_gets_the_same_eight_trials(tmp_path):
    assert len(TRIALS) == FULL_PLAN.trials == 8
    assert len({json.dumps(one) for one in TRIALS}) == 8
    assert len(FULL_PLAN.seeds) >= 3
    keys = [job.key for job in jobs(Bench(FULL_PLAN, tmp_path))]
    assert len(set(keys)) == len(keys) == 9 * (8 + 3) + 7 + 2
    for preset in FULL_PLAN.tuned:
        assert sum(key.startswith(f"trial {preset} ") for key in keys) == 8
    assert len(AS_PUBLISHED) == len(PUBLISHED) == 7
    rows = {trial_key("vld", i): {"validation_crps": abs(i - 5)} for i in range(8)}
    assert ranked_trials(rows, "vld", 8) == [5, 4, 6, 3, 7, 2, 1, 0]
    assert ranked_trials({**rows, trial_key("vld", 5): {"validation_crps": None}}, "vld", 8)[0] == 4  # it diverged
    del rows[trial_key("vld", 7)]
    assert ranked_trials(rows, "vld", 8) is None


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Stand in for trainings, and keep rows where a result would."""
    rows, made = {}, []

    def trained(self, table, preset, seed, settings, epochs):
        made.append((table, preset, seed, settings.get("learning_rate"), epochs))
        return tmp_path / preset

    monkeypatch.setattr(module, "load_rows", lambda *_: dict(rows))
    monkeypatch.setattr(module, "add_row", lambda name, key, row, **_: rows.update({key: row}))
    monkeypatch.setattr(Bench, "run", trained)
    monkeypatch.setattr(Bench, "judged", lambda self, run: row(0.3, len(rows)))
    monkeypatch.setattr(Bench, "control", lambda self, rows: row(0.5, 0))
    monkeypatch.setattr(Bench, "reweighted", lambda self, rows: row(0.5, 1))
    monkeypatch.setattr(module, "validation_score", lambda run, samples: 1.0 / (1 + len(made)))
    return rows, made


def test_what_is_finished_is_not_made_again_and_the_rest_is_named(kept, tmp_path):
    rows, made = kept
    bench = Bench(QUICK_PLAN, tmp_path)
    found, missing = measure(bench, "vld", None)
    assert set(found) == {"trial vld 0", "trial vld 1", "tuned vld 1"}
    assert {key.split()[1] for key in missing if key.startswith(("trial", "tuned"))} == {"unfold_flow_matching", "cvae"}
    trials = [one for one in made if one[4] == QUICK_PLAN.epochs // 4]
    assert [one[3] for one in trials] == [TRIALS[0]["learning_rate"], TRIALS[1]["learning_rate"]]
    assert made[-1][4] == QUICK_PLAN.epochs
    before = len(made)
    _, missing = measure(bench, None, None)
    assert not missing
    assert not any(one[1] == "vld" for one in made[before:])
    values = values_of(QUICK_PLAN, rows, missing)
    assert set(values["tuned"]) == set(QUICK_PLAN.tuned)
    assert values["tuned"]["vld"]["seeds"] == 1
    assert all(goal.value is not None for goal in claims(QUICK_PLAN, rows, 49))
    partial = values_of(QUICK_PLAN, found, ["control"])
    assert partial["missing"] == ["control"]
    assert set(partial["tuned"]) == {"vld"}


def test_a_seed_waits_for_the_trials(kept, tmp_path):
    _, made = kept
    found, _ = measure(Bench(FULL_PLAN, tmp_path), "vld", 2)
    assert not found
    measure(Bench(FULL_PLAN, tmp_path), "vld", 1)
    found, _ = measure(Bench(FULL_PLAN, tmp_path), "vld", 2)
    assert "tuned vld 2" in found
    assert made[-1][:3] == ("tuned", "vld", 2)


def test_where_the_best_settings_diverge_in_more_epochs_the_next_best_are_taken(tmp_path, monkeypatch, capsys):
    rows = {trial_key("cinn", i): {"validation_crps": abs(i - 5)} for i in range(8)}
    diverging = [TRIALS[5], TRIALS[4]]

    def trained(self, table, preset, seed, settings, epochs):
        if settings in diverging:
            raise MachineError("the loss is nan")
        return tmp_path / str(TRIALS.index(settings))

    monkeypatch.setattr(Bench, "run", trained)
    bench = Bench(FULL_PLAN, tmp_path)
    assert bench.tuned_run("cinn", 2, rows) == tmp_path / "6"
    assert capsys.readouterr().out.count("the loss is nan") == 2
    diverging.extend(TRIALS)
    with pytest.raises(MachineError, match="seed 2: diverges with the settings of every trial"):
        bench.tuned_run("cinn", 2, rows)
