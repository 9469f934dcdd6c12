"""Run the slow tests in a rotating order until a time budget is spent, and name those that did not run.

The order is a hash of (seed, test), and the seed is the commit: every commit gives each test the same chance to come
early, so a budget too small for all of them guards all of them over time. The test running at the end of the budget is
allowed to finish (each has its own time-out).
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

__all__ = ["Budget", "default_seed", "main", "rotated"]


def rotated(names: Sequence[str], seed: str) -> list[str]:
    """Order ``names`` by a hash of seed and name: the same for the same seed, unrelated for another."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}\x1f{name}".encode()).digest())


def default_seed() -> str:
    """Return the commit checked out, or today's date outside a repository."""
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else time.strftime("%Y-%m-%d")


class Budget:
    """A pytest plugin: rotates the order, and once the time is spent leaves out what has not begun.

    Attributes:
        not_run: Names of the tests left out, in the order they would have run.
        ran: How many tests began.
    """

    def __init__(self, seconds: float, seed: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.seed = seed
        self.not_run: list[str] = []
        self.ran = 0
        self._clock = clock
        self._start = clock()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the tests in this seed's order; last of all plugins, so that deselection has happened."""
        order = {name: place for place, name in enumerate(rotated([item.nodeid for item in items], self.seed))}
        items.sort(key=lambda item: order[item.nodeid])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Leave the test out when the time is spent; otherwise let pytest run it."""
        if self._clock() - self._start >= self.seconds:
            self.not_run.append(item.nodeid)
            return True
        self.ran += 1
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the slow tests; return pytest's exit status, 0 when there is no slow test, 1 when time allowed none."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0, help="budget in minutes (default: 30)")
    parser.add_argument("--seed", default=None, help="what the order is made from (default: the commit)")
    parser.add_argument("tests", nargs="*", help="test files or folders (default: all)")
    options = parser.parse_args(arguments)
    budget = Budget(60 * options.minutes, options.seed or default_seed())
    words = ["-m", "slow", "--durations=0", *options.tests]
    status = int(pytest.main(words, plugins=[budget]))
    sys.stdout.write(f"slow tests: {budget.ran} run, {len(budget.not_run)} not run; order by seed {budget.seed}\n")
    for name in budget.not_run:
        sys.stdout.write(f"  did not run: {name}\n")
    if status == int(pytest.ExitCode.NO_TESTS_COLLECTED):
        return 0
    return 1 if budget.not_run and not budget.ran else status


if __name__ == "__main__":
    # As `python -m pytest` does, so that tests find what they find there.
    sys.path.insert(0, str(Path.cwd()))
    sys.exit(main())
