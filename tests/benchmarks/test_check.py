"""The check of the result files accepts a true one, and names every planted falsehood."""

import fcntl
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import check
import record
from record import Goal

PATHS = ["src/measured.py"]
# What makes a module a benchmark is this import; the quick form of the copies in the tests writes no result.
SPEED = "if False:\n    from record import write_result\n"
GOAL = {"name": "kl", "value": 0.02, "error": None, "op": "<=", "goal": 0.03, "met": True, "peer": None, "ratio": None}


def git(root: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    done = subprocess.run(["git", *identity, *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "one")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "measured.py").write_text("x = 1\n")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "events.py").write_text("from record import ROOT\n")
    (tmp_path / "benchmarks" / "speed.py").write_text(SPEED)
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def write(root: Path, goal: Goal | None = None, **changes: object) -> None:
    """Write a true result called ``speed``, then replace the fields in ``changes``."""
    one = goal or Goal("events per second over zuko's", 6.0, ">=", 5.0, error=0.2, peer="zuko 1.6.0", ratio=6.0)
    path = record.write_result("speed", values={"a": 1.0}, goals=[one], paths=PATHS, seeds=[1], seconds=2.0, root=root)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_true_result_passes(repository, capsys):
    write(repository)
    assert check.main([], repository) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "events per second" in line]
    assert row.split("  ")[1] == "events per second over zuko's"
    assert row.split()[-9:] == ["6.00", "±", "0.20", ">=", "5", "met", "zuko", "1.6.0", "6"]
    assert check.main(["speed", "--fresh"], repository) == 0


def test_the_result_itself_does_not_make_the_tree_dirty(repository):
    write(repository)
    write(repository)
    assert check.check_file("speed", repository).errors == []


def test_a_missed_goal_falls_short(repository, capsys):
    write(repository, Goal("kl", 0.05, "<=", 0.03))
    assert check.main([], repository) == 1
    assert "MISSED" in capsys.readouterr().out


def test_a_value_that_is_no_number_meets_nothing(repository):
    write(repository, Goal("kl", float("nan"), "<=", 0.03))
    assert "kl = nothing, wanted <= 0.03" in check.check_file("speed", repository).errors[0]


def test_a_false_met_is_named(repository):
    write(repository, goals=[{**GOAL, "value": 0.05, "met": True}])
    assert "the file says met is True, and it is False" in check.check_file("speed", repository).errors[0]


PLANTED = {
    "dirty": ({"dirty": True}, "uncommitted sources"),
    "no goals": ({"goals": []}, "unfinished"),
    "another format": ({"format": 2}, "format 2"),
    "another name": ({"name": "pace"}, "calls itself 'pace'"),
    "no paths": ({"paths": []}, "names no 'paths'"),
    "no commit": ({"commit": None}, "'commit' is None"),
    "half a goal": ({"goals": [{"name": "kl"}]}, "lacks error, goal, met"),
    "an operator it cannot read": (
        {"goals": [{**GOAL, "op": "=="}]},
        "not with '=='",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_named(repository, name):
    changes, sentence = PLANTED[name]
    write(repository, **changes)
    assert sentence in check.check_file("speed", repository).errors[0]
    assert check.main([], repository) == 1


def test_uncommitted_sources_are_recorded(repository):
    (repository / "src" / "measured.py").write_text("x = 2\n")
    write(repository)
    assert "uncommitted" in check.check_file("speed", repository).errors[0]


def test_a_benchmark_without_result_is_named(repository):
    assert "no result" in check.check_file("speed", repository).errors[0]
    assert check.main([], repository) == 1
    assert check.main(["pace"], repository) == 1


def test_modules_that_write_no_result_are_no_benchmarks(repository):
    assert check.benchmark_names(repository) == ["speed"]


def test_a_failing_quick_form_does_not_hide_the_others(repository, capsys):
    (repository / "benchmarks" / "crash.py").write_text(SPEED + "raise SystemExit('no such peer')\n")
    commit(repository)
    write(repository)
    assert check.main(["--quick"], repository) == 1
    out = capsys.readouterr().out
    assert "speed --quick" in out
    assert "crash: its quick form failed with exit code 1 (no such peer)." in out
    assert "events per second over zuko's" in out
    assert "speed_quick: no result" in out


def test_quick_forms_are_run_for_the_names_given(repository, capsys):
    (repository / "benchmarks" / "crash.py").write_text(SPEED + "raise SystemExit('no such peer')\n")
    check.main(["speed", "--quick"], repository)
    assert "crash" not in capsys.readouterr().out


def test_the_table_fits_120_columns(repository, capsys):
    write(repository, Goal("a figure of many words " * 5, 1.23456e-9, "<=", 1e-8, 1e-10, "a peer of many words", 0.12))
    (repository / "src" / "measured.py").write_text("x = 2\n")
    check.main([], repository)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 120


def test_a_broken_file_is_named(repository):
    write(repository)
    record.result_path("speed", repository).write_text("{")
    assert "not JSON" in check.check_file("speed", repository).errors[0]


def test_a_change_elsewhere_leaves_a_result_fresh(repository):
    write(repository)
    (repository / "src" / "other.py").write_text("y = 1\n")
    commit(repository)
    assert check.check_file("speed", repository).stale == []


@pytest.mark.parametrize("committed", [True, False])
def test_a_change_of_the_measured_source_makes_it_stale(repository, capsys, committed):
    write(repository)
    (repository / "src" / "measured.py").write_text("x = 2\n")
    if committed:
        commit(repository)
    assert check.main([], repository) == 0
    assert "older than src/measured.py" in capsys.readouterr().out
    assert check.main(["--fresh"], repository) == 1


def test_a_new_file_in_a_measured_folder_makes_it_stale(repository):
    write(repository, paths=["src/"])
    assert check.check_file("speed", repository).stale == []
    (repository / "src" / "new.py").write_text("y = 1\n")
    assert check.check_file("speed", repository).stale == ["src/"]


def test_a_path_or_commit_that_is_not_there_makes_it_stale(repository):
    write(repository, paths=["src/gone.py"])
    assert check.check_file("speed", repository).stale == ["src/gone.py"]
    write(repository, commit="0" * 40)
    assert check.check_file("speed", repository).stale == PATHS


def test_rows_survive_a_stop_and_end_in_the_result(repository):
    for key in ["seed 1", "seed 2"]:
        record.add_row("speed", key, {"kl": 0.01}, paths=PATHS, seconds=1.0, root=repository)
    assert "unfinished" in check.check_file("speed", repository).errors[0]
    assert list(record.load_rows("speed", PATHS, repository)) == ["seed 1", "seed 2"]
    write(repository)
    content = json.loads(record.result_path("speed", repository).read_text())
    assert content["values"] == {"a": 1.0, "rows": {"seed 1": {"kl": 0.01}, "seed 2": {"kl": 0.01}}}


def test_rows_of_other_sources_are_not_taken_up(repository):
    record.add_row("speed", "seed 1", {"kl": 0.01}, paths=PATHS, seconds=1.0, root=repository)
    (repository / "src" / "measured.py").write_text("x = 2\n")
    commit(repository)
    assert record.load_rows("speed", PATHS, repository) == {}


def add(root: Path, key: str) -> None:
    record.add_row("speed", key, {"kl": 0.01}, paths=PATHS, seconds=1.0, root=root)


def rows_of(root: Path) -> list[str]:
    return sorted(json.loads(record.result_path("speed", root).read_text())["values"]["rows"])


def test_rows_of_committed_sources_are_not_given_up_for_a_dirty_tree(repository):
    add(repository, "seed 1")
    (repository / "notes.txt").write_text("scratch")
    for attempt in (lambda: add(repository, "seed 2"), lambda: write(repository)):
        with pytest.raises(RuntimeError, match=r"row 'seed 1' and 0 more .* commit changes"):
            attempt()
    (repository / "notes.txt").unlink()
    add(repository, "seed 2")
    assert rows_of(repository) == ["seed 1", "seed 2"]


def test_a_dirty_tree_keeps_the_rows_of_its_process(repository, monkeypatch):
    (repository / "notes.txt").write_text("scratch")
    add(repository, "seed 1")
    add(repository, "seed 2")
    write(repository)
    assert rows_of(repository) == ["seed 1", "seed 2"]
    commit(repository)
    with pytest.raises(RuntimeError, match="measured on other sources"):
        add(repository, "seed 3")  # the file would say that all are of this commit
    monkeypatch.setattr(record, "_OWN", {})  # as of another process, which begins anew
    add(repository, "seed 3")
    assert rows_of(repository) == ["seed 3"]


def test_rows_are_not_taken_over_by_sources_that_changed_meanwhile(repository):
    add(repository, "seed 1")
    (repository / "src" / "measured.py").write_text("x = 2\n")
    commit(repository)
    with pytest.raises(RuntimeError, match="row 'seed 1' and 0 more were measured on other sources"):
        add(repository, "seed 2")
    assert rows_of(repository) == ["seed 1"]


def test_a_result_waits_for_the_row_of_another_process(repository):
    add(repository, "seed 1")
    with Path(record.__file__).open() as other, ThreadPoolExecutor(1) as pool:
        fcntl.flock(other, fcntl.LOCK_EX)
        written = pool.submit(write, repository)
        with pytest.raises(TimeoutError):
            written.result(timeout=0.5)
        fcntl.flock(other, fcntl.LOCK_UN)
        written.result()
    assert rows_of(repository) == ["seed 1"]


def test_the_state_of_sources_is_what_is_in_them(repository):
    def state():
        record.state_of.cache_clear()  # as of another process
        return record.state_of(("src", "benchmarks/speed.py"), repository)

    first = state()
    (repository / "notes.txt").write_text("scratch")
    commit(repository)
    assert state() == first
    (repository / "src" / "measured.py").write_text("x = 2\n")
    edited = state()
    commit(repository)
    assert len({first, edited, state()}) == 3
    assert record.state_of(("src", "benchmarks/speed.py"), repository) == state()


def test_the_machine_is_described_without_its_name():
    found = record.machine()
    assert found["cpu"]
    assert found["cores"] >= 1
    assert found["memory_gib"] > 0


@pytest.mark.parametrize(("op", "met"), [("<=", True), (">=", True), ("<", False), (">", False)])
def test_operators_at_the_boundary(op, met):
    assert record.is_met(1.0, op, 1.0) is met


def test_the_repository_results_hold():
    for name in [path.stem for path in record.RESULTS.glob("*.json")]:
        found = check.check_file(name)
        assert not [line for line in found.errors if "met is" in line or "lacks" in line], found.errors
