"""The slow runner rotates, stops at its budget, names what did not run, and passes failures on."""

import subprocess
import sys
from pathlib import Path

import pytest

from run_slow import rotated

RUNNER = Path(__file__).resolve().parents[2] / "tools" / "run_slow.py"
NAMES = [f"test_{letter}" for letter in "abcdefgh"]
TESTS = "import time, pytest\n" + "".join(
    f"@pytest.mark.slow\ndef {name}():\n    time.sleep(SLEEP)\n    assert '{name}' != FAILING\n" for name in NAMES
)


def run(folder: Path, *words: str, sleep: float = 0.0, failing: str = "") -> tuple[int, str]:
    quick = "def test_quick():\n    raise RuntimeError('a quick test ran')\n"
    (folder / "test_them.py").write_text(f"SLEEP = {sleep}\nFAILING = {failing!r}\n{TESTS}{quick}")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    command = [sys.executable, str(RUNNER), *words, "--seed", "1", "test_them.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_all_run_in_time(tmp_path):
    status, out = run(tmp_path)
    assert status == 0
    assert "slow tests: 8 run, 0 not run; order by seed 1" in out
    assert "did not run" not in out


def test_a_spent_budget_names_what_did_not_run(tmp_path):
    # Two tests of 0.4 s fill 0.01 minutes; a slow machine fits one.
    status, out = run(tmp_path, "--minutes", "0.01", sleep=0.4)
    missed = [line for line in out.splitlines() if "did not run: test_them.py::" in line]
    assert status == 0
    assert 6 <= len(missed) <= 7
    order = rotated([f"test_them.py::{name}" for name in NAMES], "1")
    assert [line.split(": ")[1] for line in missed] == order[len(order) - len(missed) :]


def test_no_time_at_all_is_a_failure(tmp_path):
    status, out = run(tmp_path, "--minutes", "0")
    assert status == 1
    assert "0 run, 8 not run" in out


def test_a_failure_is_passed_on(tmp_path):
    status, out = run(tmp_path, failing="test_d")
    assert status == 1
    assert "8 run" in out


def test_no_slow_test_is_no_failure(tmp_path):
    (tmp_path / "empty.py").write_text("")
    command = [sys.executable, str(RUNNER), "empty.py"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


@pytest.mark.statistical
def test_every_test_comes_first_for_some_seed():
    # 400 seeds, 8 names: each first 50 times, with a standard deviation of sqrt(400 * 1/8 * 7/8) = 6.6.
    first = [rotated(NAMES, str(seed))[0] for seed in range(400)]
    assert all(abs(first.count(name) - 50) <= 5 * 6.6 for name in NAMES)
    assert rotated(NAMES, "1") == rotated(NAMES[::-1], "1")
