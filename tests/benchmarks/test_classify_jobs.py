"""Rows of the classification benchmarks: equal trials for all, work that processes can share, nothing done twice."""

import json

import pytest

import classify_combined
import classify_decay
import classify_jobs as module
import classify_pretraining
from classify_cuts import Cuts
from classify_jobs import Table, best_trial, jobs, measure, options_of, rows_of, table_of, tuned_settings
from classify_plan import FULL, FULL_CUTS, QUICK, QUICK_CUTS, Plan, Size, trials_of
from classify_run import Arm, Bench

PLAN = Plan(
    "toy",
    (
        Arm("w1", options={"decay_weight": 1.0}),
        Arm("w3", options={"decay_weight": 3.0}),
        Arm("random", relations="random", like=("w1", "w3")),
        Arm("trees", "boosted_trees"),
    ),
    ("heavy_higgs", "zprime"),
    (Size(100, 2, (1, 2), 10), Size(400, 1, (3,), 20, tuned_at=100, only=("w1", "trees"))),
    2,
)
PLANS = [one for part in (classify_pretraining, classify_decay, classify_combined) for one in map(part.plans, (0, 1))]


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Stand-ins for trainings: w3 is better than w1, the second trial than the first; rows are kept in memory."""
    kept, made = {}, []

    def run(self, arm, signal, events, seed, settings):
        made.append((arm, signal, events, seed, dict(settings)))
        return len(made) - 1

    def loss(number):
        arm, *_, settings = made[number]
        rate = settings["learning_rate"] * settings.get("epochs", settings.get("depth"))
        return 1.0 - 0.1 * arm.options.get("decay_weight", 0.0) - rate

    monkeypatch.setattr(module, "load_rows", lambda *_: dict(kept))
    monkeypatch.setattr(module, "add_row", lambda name, key, row, **_: kept.update({key: row}))
    monkeypatch.setattr(Bench, "run", run)
    monkeypatch.setattr(module, "validation_loss", loss)
    monkeypatch.setattr(module, "judged", lambda number: (number, None))
    monkeypatch.setattr(module, "row_of", lambda number, _: {"auc": 0.5 + 0.01 * number})
    return Table(PLAN, Bench(tmp_path, Cuts(400, 100, 400), {}, {}), []), kept, made


@pytest.mark.parametrize(("plan", "form"), PLANS)
def test_every_arm_has_the_same_number_of_listed_trials_and_enough_seeds(plan, form):
    for size in plan.sizes:
        for arm in plan.arms_at(size):
            tried = trials_of(arm, size if not size.tuned_at else plan.size(size.tuned_at), plan.trials)
            assert len(tried) == plan.trials == len({json.dumps(one) for one in tried})
            assert size.events <= form.cuts.training
            assert size.events // 4 <= form.cuts.validation
    assert len({one.name for one in plan.arms}) == len(plan.arms)
    if not plan.name.endswith("_quick"):
        assert plan.trials == 8
        assert {size.events: size.seeds for size in plan.sizes if size.events < 64_000} == {1000: 5, 4000: 5, 16000: 3}


def test_the_cuts_are_those_of_the_samples():
    assert FULL.cuts == FULL_CUTS
    assert QUICK.cuts == QUICK_CUTS
    assert 2 * FULL_CUTS.test >= 50_000
    assert [one.judged.stop for one in (FULL_CUTS, QUICK_CUTS)] == [130_000, 1_300]


def test_a_row_is_made_once_after_the_trials_that_it_needs(table):
    bench, kept, made = table
    rows, missing = measure(bench, [], [])
    assert not missing
    assert set(rows) == set(kept) == {job.key for job in jobs(bench)}
    assert len(made) == len(kept) == 4 * (2 + 2 * 2) + 2 * 2
    assert all("cpu_seconds" in row for row in rows.values())
    before = len(made)
    assert measure(bench, [], []) == (rows, [])
    assert len(made) == before
    size, large = PLAN.sizes
    assert best_trial(PLAN, PLAN.arms[0], size, rows) == 1
    judged = [one for one in made if one[3] == 2 and one[1] == "zprime"]
    assert [one[4]["epochs"] for one in judged[:3]] == [2, 2, 2]  # of the second trial, made with the first signal
    assert tuned_settings(PLAN, PLAN.arms[0], large, rows) == {
        "learning_rate": 4e-3, "epochs": 3, "batch_size": 20, "ema": 0.99}  # fmt: skip
    assert tuned_settings(PLAN, PLAN.arms[3], large, rows) == trials_of(PLAN.arms[3], size, 2)[1]


def test_an_arm_that_is_like_others_has_the_options_of_the_best_of_them(table):
    bench, _, made = table
    rows, _ = measure(bench, [], [])
    size = PLAN.sizes[0]
    assert options_of(PLAN, PLAN.arm("random"), size, rows).options == {"decay_weight": 3.0}
    assert options_of(PLAN, PLAN.arm("w1"), size, rows) is PLAN.arm("w1")
    random = [arm for arm, *_ in made if arm.relations == "random"]
    assert len(random) == 2 + 4
    assert all(arm.options == {"decay_weight": 3.0} for arm in random)


def test_processes_share_the_work_by_arms_and_sizes(table):
    bench, kept, made = table
    _, missing = measure(bench, ["random"], [])
    assert not kept  # it waits for the trials of what it is like
    assert len(missing) == 28
    rows, missing = measure(bench, ["w1", "w3"], [100])
    assert {arm.name for arm, *_ in made} == {"w1", "w3"}
    assert any(key.startswith("heavy_higgs 400 w1") for key in missing)
    assert table_of(PLAN, rows, "zprime").keys() == {"w1", "w3", "random", "trees"}
    assert table_of(PLAN, rows, "zprime")["random"] == {}
    assert len(rows_of(PLAN, rows, "zprime", PLAN.sizes[0], "w1")) == 2
    del rows["zprime 100 w1 2"]
    assert rows_of(PLAN, rows, "zprime", PLAN.sizes[0], "w1") == []
    measure(bench, ["random"], [])
    assert measure(bench, ["trees", "w1"], [])[1] == []


def test_what_another_process_made_meanwhile_is_seen(table, monkeypatch):
    bench, kept, made = table
    measure(bench, ["w1", "w3"], [])
    ready, calls = dict(kept), []
    # The first look finds nothing, as when the others have just begun.
    monkeypatch.setattr(module, "load_rows", lambda *_: {} if not calls and not calls.append(1) else dict(ready))
    rows, _ = measure(bench, ["random"], [])
    assert "trial 100 random 0" in rows
    assert made[-1][0].name == "random"


def test_the_command_sums_up_what_is_there_and_names_what_is_missing(table, tmp_path, monkeypatch, capsys):
    written = []
    monkeypatch.setattr(module, "make_parts", lambda *_: {})
    monkeypatch.setattr(module, "write_result", lambda name, **content: written.append((name, content)))

    def command(*words):
        monkeypatch.setattr("sys.argv", ["benchmark", "--quick", "--data", str(tmp_path), *words])
        module.conduct("toy", lambda quick: (PLAN, QUICK), [], lambda plan, rows: ({"rows_there": len(rows)}, []))

    command("--only", "w1", "--only", "trees", "--size", "100")
    (name, content), (_, kept, _) = written.pop(), table
    assert name == "toy"
    assert content["values"]["rows_there"] == len(kept) == 2 * (2 + 4)
    assert len(content["values"]["missing"]) == 28 - 12
    assert set(content["values"]["trials"]) == {"networks", "boosted trees"}
    assert [len(one) for one in content["values"]["trials"]["networks"].values()] == [2]
    assert list(content["seeds"]) == [1, 2]
    with pytest.raises(SystemExit):
        command("--only", "w2")
    assert "there is no arm 'w2'; there are w1, w3, random, trees" in capsys.readouterr().err
    assert not written
