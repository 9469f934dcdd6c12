"""Rows of the classification benchmarks: equal trials for all, work that processes can share, nothing done twice."""

import json
from dataclasses import replace

import pytest

import check
import classify_combined
import classify_decay
import classify_jobs as module
import classify_pretraining
from castalia.errors import MachineError
from classify_cuts import Cuts
from classify_jobs import Table, best_trial, jobs, measure, rows_of, table_of, tried, tuned_settings
from classify_plan import FULL, FULL_CUTS, QUICK, QUICK_CUTS, Plan, Size, prolonged, trials_of
from classify_run import Arm, Bench, Pretext

PLAN = Plan(
    "toy",
    (
        Arm("w1", options={"decay_weight": 1.0}),
        Arm("w3", options={"decay_weight": 3.0}),
        Arm("tuned", pretext=Pretext()),
        Arm("trees", "boosted_trees"),
    ),
    ("heavy_higgs", "zprime"),
    (
        Size(100, 2, (1, 2), 10),
        Size(400, 1, (3, 6), 20, tuned_at=100, only=("w1", "trees")),
        Size(800, 1, (5,), 40, tuned_at=400, only=("w1",)),
    ),
    2,
    told=("tuned",),
)
BESIDE = Plan("toy", (Arm("beside"),), ("heavy_higgs",), (Size(100, 1, (20,), 10, rates=(7e-3,)),), 1)
ROWS = 1 + 4 * (2 + 2 * 2) + 2 * (2 + 2) + 2
"""Of the first plan: what is told of types, 100 events of all arms, 400 of two, and 800 of one without trials."""

PLANS = [
    (plan, form, quick)
    for part in (classify_pretraining, classify_decay, classify_combined)
    for quick in (False, True)
    for plans, form in [part.plans(quick)]
    for plan in plans
]


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Stand-ins for trainings: the second trial is better than the first; rows are kept in memory."""
    kept, made = {}, []

    def run(self, arm, signal, events, seed, settings):
        made.append((arm, signal, events, seed, dict(settings)))
        return len(made) - 1

    def loss(number, _):
        *_, settings = made[number]
        return 1.0 - settings["learning_rate"] * settings.get(
            "epochs", settings.get("depth", 0) + settings.get("trees", 0)
        )

    monkeypatch.setattr(module, "load_rows", lambda *_: dict(kept))
    monkeypatch.setattr(module, "add_row", lambda name, key, row, **_: kept.update({key: row}))
    monkeypatch.setattr(Bench, "run", run)
    monkeypatch.setattr(module, "validation_loss", loss)
    monkeypatch.setattr(Bench, "validation_file", lambda self, signal: tmp_path / signal)
    monkeypatch.setattr(Bench, "pretrained", lambda *_: tmp_path)
    monkeypatch.setattr(module, "judged", lambda number, _: (number, None))
    monkeypatch.setattr(module, "row_of", lambda number, _: {"auc": 0.5 + 0.01 * number})
    monkeypatch.setattr(module, "types_of_jets", lambda _: {"accuracy": 0.7})
    monkeypatch.setattr(module, "seconds_of", lambda run: {f"classify-{run}": 2.0})
    bench = Bench(tmp_path, Cuts(400, 100, 400), {}, {})
    return [Table(plan, bench, [], "samples") for plan in (PLAN, BESIDE)], kept, made


@pytest.mark.parametrize(("plan", "form", "quick"), PLANS)
def test_every_arm_has_the_same_number_of_listed_trials_and_enough_seeds(plan, form, quick):
    for size in plan.sizes:
        for arm in plan.arms_at(size):
            given = plan.size(size.tuned_at) if size.tuned_at else size
            listed = trials_of(arm, given, plan.trials)
            tried = prolonged(arm, size, listed[0]) if size.tuned_at else listed
            assert len(tried) == max(plan.tried(size), 1) == len({json.dumps(one) for one in tried})
            assert size.events <= form.cuts.training
            assert size.events // 4 <= form.cuts.validation
    assert len({one.name for one in plan.arms}) == len(plan.arms)
    if quick:
        return
    seeds, trials = ({size.events: found(size) for size in plan.sizes} for found in (lambda one: one.seeds, plan.tried))
    if plan.arms[0].name == "published_w0":
        assert (seeds, trials, plan.sizes[0].epochs) == ({4000: 3}, {4000: 2}, (20,))
        return
    assert seeds | {64_000: 3} == {1000: 5, 4000: 5, 16_000: 4, 64_000: 3}
    assert trials | {64_000: 0} == {1000: 8, 4000: 8, 16_000: 2, 64_000: 0}


def test_the_cuts_are_those_of_the_samples():
    assert FULL.cuts == FULL_CUTS
    assert QUICK.cuts == QUICK_CUTS
    assert 2 * FULL_CUTS.test >= 50_000
    assert [one.judged.stop for one in (FULL_CUTS, QUICK_CUTS)] == [130_000, 1_300]


def test_a_row_is_made_once_after_the_trials_that_it_needs(table):
    tables, kept, made = table
    rows, missing = measure(tables, [], [])
    assert not missing
    assert set(rows) == set(kept) == {job.key for one in tables for job in jobs(one)}
    assert len(kept) == ROWS + 1  # beside, one training without a choice
    assert all(row["runs"] and row["samples"] == "samples" for row in rows.values())
    assert rows["types tuned"]["accuracy"] == 0.7
    before = len(made)
    assert measure(tables, [], []) == (rows, [])
    assert len(made) == before
    judged = [one for one in made if one[3] == 2 and one[1] == "zprime"]
    assert [one[4]["epochs"] for one in judged[:3]] == [2, 2, 2]  # of the second trial, made with the first signal
    assert made[-1][4] == {"learning_rate": 7e-3, "epochs": 20, "batch_size": 10, "ema": 0.99}


def test_a_trial_that_diverges_is_not_chosen_and_stops_nothing(table, monkeypatch):
    tables, _, _ = table
    run = Bench.run

    def diverging(self, arm, signal, events, seed, settings):
        if arm.name == "w1" and settings.get("epochs") == 2:
            raise MachineError("The loss is not finite.")
        return run(self, arm, signal, events, seed, settings)

    monkeypatch.setattr(Bench, "run", diverging)
    rows, missing = measure(tables, [], [])
    assert not missing
    small, arm = PLAN.sizes[0], PLAN.arm("w1")
    lost = [row for row in rows.values() if row.get("diverged") == "The loss is not finite."]
    assert [(row["epochs"], row["validation_loss"]) for row in lost] == [(2, None)]
    assert tuned_settings(PLAN, arm, small, rows)["epochs"] == 1
    every = {key: {**row, "validation_loss": None} for key, row in rows.items()}
    with pytest.raises(MachineError, match="w1 at 100: diverges with the settings of every trial"):
        best_trial(PLAN, arm, small, every)


def test_at_more_events_only_epochs_or_trees_are_tried(table):
    tables, _, _ = table
    rows, _ = measure(tables, [], [])
    small, larger, largest = PLAN.sizes
    network, trees = PLAN.arm("w1"), PLAN.arm("trees")
    assert best_trial(PLAN, network, small, rows) == 1
    found = [{"learning_rate": 4e-2, "epochs": epochs, "batch_size": 20, "ema": 0.99} for epochs in (3, 6)]
    assert tried(PLAN, network, larger, rows) == tuple(found)
    assert tuned_settings(PLAN, network, larger, rows) == found[1]
    assert tuned_settings(PLAN, network, largest, rows) == {**found[1], "epochs": 5, "batch_size": 40}
    best = tuned_settings(PLAN, trees, small, rows)
    assert tried(PLAN, trees, larger, rows) == (best, {**best, "trees": 2 * best["trees"]})


def test_processes_share_the_work_by_arms_and_sizes(table):
    tables, kept, made = table
    _, missing = measure(tables, ["w1"], [400])
    assert not kept  # it waits for the trials whose learning rate it takes
    assert len(missing) == ROWS + 1
    rows, missing = measure(tables, ["w1", "w3"], [100])
    assert {arm.name for arm, *_ in made} == {"w1", "w3"}
    assert any(key.startswith("heavy_higgs 400 w1") for key in missing)
    assert table_of(PLAN, rows, "zprime").keys() == {"w1", "w3", "tuned", "trees"}
    assert table_of(PLAN, rows, "zprime")["tuned"] == {}
    assert len(rows_of(PLAN, rows, "zprime", PLAN.sizes[0], "w1")) == 2
    del rows["zprime 100 w1 2"]
    assert rows_of(PLAN, rows, "zprime", PLAN.sizes[0], "w1") == []
    measure(tables, ["tuned", "beside"], [])
    assert measure(tables, ["trees", "w1"], [])[1] == []


def test_rows_of_other_samples_are_made_anew(table):
    tables, _, made = table
    measure(tables, ["w1"], [])
    before = len(made)
    others = [replace(one, samples="others") for one in tables]
    rows, missing = measure(others, ["w1"], [100])
    assert len(made) == before + 2 + 2 * 2
    assert {row["samples"] for row in rows.values()} == {"others"}
    assert "heavy_higgs 400 w1 1" in missing


def test_what_another_process_made_meanwhile_is_seen(table, monkeypatch):
    tables, kept, made = table
    measure(tables, ["w1"], [100])
    ready, calls = dict(kept), []
    # The first look finds nothing, as when the others have just begun.
    monkeypatch.setattr(module, "load_rows", lambda *_: {} if not calls and not calls.append(1) else dict(ready))
    rows, _ = measure(tables, ["w1"], [400])
    assert "trial 400 w1 1" in rows
    assert made[-1][2] == 400


def test_the_command_sums_up_what_is_there_and_names_what_is_missing(table, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(module, "make_parts", lambda parts, *_: asked.append([part.name for part in parts]) or {})

    def command(*words):
        monkeypatch.setattr("sys.argv", ["benchmark", "--quick", "--data", str(tmp_path), *words])
        plans = (PLAN, BESIDE)
        return module.conduct(
            "toy", lambda quick: (plans, QUICK), [], lambda plans, rows: ({"rows_there": len(rows)}, [])
        )

    content, (_, kept, _) = command("--only", "w1", "--only", "trees", "--size", "100"), table
    assert content["name"] == "toy"
    (names,) = asked
    assert {"ttbar", "heavy_higgs", "zprime", "unlabelled_wjets"} < set(names)
    assert content["values"]["rows_there"] == len(kept) == 2 * (2 + 4)
    assert len(content["values"]["missing"]) == ROWS + 1 - 12
    assert set(content["values"]["trials"]) == {"classify", "boosted trees"}
    assert list(content["seeds"]) == [1, 2]
    assert content["values"]["cpu_hours"]["training"] > 0
    (goal,) = content["goals"]
    assert (goal.name, goal.value) == ("processor time in all [h]", None)  # unknown while rows are missing
    with pytest.raises(SystemExit):
        command("--only", "w2")
    assert "there is no arm 'w2'; there are w1, w3, tuned, trees, beside" in capsys.readouterr().err
    monkeypatch.setattr(module, "digest_of", lambda _: "samples")
    content = command()
    assert content["goals"][0].value == content["values"]["cpu_hours"]["total"] < 12


def test_a_benchmark_needs_no_other_samples_than_it_trains_on():
    (combined,), _ = classify_combined.plans(quick=False)
    assert "zprime" not in combined.samples
    assert "unlabelled_zjets" in combined.samples
    for plan in classify_decay.plans(quick=False)[0]:
        assert plan.samples == {"ttbar", *plan.signals}


def test_the_check_of_results_knows_the_benchmarks():
    names = [name for name in check.benchmark_names() if name.startswith("classify")]
    assert names == ["classify_combined", "classify_decay", "classify_pretraining", "classify_speed"]
