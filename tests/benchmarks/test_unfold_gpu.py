"""The measurement of sizes on a GPU keeps every row that it makes, goes on from them, and can fail."""

from types import SimpleNamespace

import pytest

import unfold_gpu as module

RATES = {"cpu": 10.0, "cuda": 200.0}
SCORES = {module.DEFAULT: 0.2, module.FULL_MODEL: 0.25}
BENCH = SimpleNamespace(
    judged=lambda run: {"crps": SCORES[run.parent.name], "wasserstein_all": 2.0, "wasserstein_all_floor": 1.0}
)


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """Stand in for trainings, and keep rows and the result where files would."""
    rows, runs, results = {}, [], []

    def trained(_bench, _plan, preset, device, epochs):
        runs.append((preset, device, epochs))
        return tmp_path / preset / device

    monkeypatch.setattr(module, "load_rows", lambda *_: dict(rows))
    monkeypatch.setattr(module, "add_row", lambda _name, key, row, **_: rows.update({key: row}))
    monkeypatch.setattr(module, "write_result", lambda _name, **result: results.append(result))
    monkeypatch.setattr(module, "trained", trained)
    monkeypatch.setattr(module, "step_rate", lambda run: RATES[run.name])
    monkeypatch.setattr(module, "control", lambda *_: {"crps": 0.5})
    return rows, runs, results


def test_every_row_is_kept_and_made_once(kept):
    rows, runs, _ = kept
    found = module.measure(BENCH, module.FULL_SIZE)
    assert rows == found
    assert rows["processor"] == {"steps_per_second": 10.0}
    assert rows[module.DEFAULT]["steps_per_second"] == 200.0
    assert (module.DEFAULT, "cpu", 3) in runs
    runs.clear()
    assert module.measure(BENCH, module.FULL_SIZE) == rows
    assert runs == []


def test_what_knows_little_more_than_the_control_meets_no_goal(kept, monkeypatch):
    rows, _, results = kept
    monkeypatch.setattr(module, "bench_of", lambda *_: BENCH)
    monkeypatch.setattr("sys.argv", ["unfold_gpu.py", "--quick"])
    for worth in (0.5, 0.3):
        monkeypatch.setattr(module, "control", lambda *_, worth=worth: {"crps": worth})
        rows.clear()
        module.main()
    assert [[goal.value <= goal.goal for goal in one["goals"]] for one in results] == [[True, True], [True, False]]
