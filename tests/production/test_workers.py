"""Threads of the process that runs a task, and memory that does not grow with the file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from production_tasks import make
from threadpoolctl import threadpool_info

from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.production.units import Task, Unit

MEMORY = """
import resource, sys
from pathlib import Path
from production_tasks import WideTask, make
make(Path(sys.argv[1]), WideTask(leak=sys.argv[3] == "leak"), entries=int(sys.argv[2]), unit_size=20_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@dataclass(frozen=True)
class ThreadTask(Task):
    """Writes down how many threads it was given."""

    @property
    def schema(self) -> Schema:
        return Schema(columns=(ColumnSpec(name="threads", dtype="int64"),))

    def run(self, unit: Unit) -> Iterator[Table]:
        threads = [torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())]
        if max(threads) > 1:
            raise RuntimeError(f"{threads} threads")
        yield Table({"threads": np.ones(unit.entries, dtype=np.int64)})


def test_a_task_in_this_process_has_one_thread_and_gives_the_others_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(RuntimeError, match="threads"):  # outside of production there are two
            next(ThreadTask().run(Unit(0, "k", "", 0, 1)))
        make(tmp_path / "out.parquet", ThreadTask())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def _peak(output: Path, entries: int, leak: bool = False) -> int:
    """Return the peak memory of a process that makes ``entries`` rows, in kilobytes."""
    source = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    command = [sys.executable, "-c", MEMORY, str(output), str(entries), "leak" if leak else ""]
    environment = {**os.environ, "PYTHONPATH": source}
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("ending", ["parquet", "root"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, ending: str) -> None:
    small, large = (_peak(tmp_path / f"{n}.{ending}", n) for n in (140_000, 1_400_000))
    assert large < 1.10 * small


def test_a_leak_would_be_noticed(tmp_path: Path) -> None:
    small, large = (_peak(tmp_path / f"{n}.parquet", n, leak=True) for n in (140_000, 1_400_000))
    assert large > 1.10 * small


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", "root"])
def test_memory_does_not_grow_with_a_large_file(tmp_path: Path, ending: str) -> None:
    small, large = (_peak(tmp_path / f"{n}.{ending}", n) for n in (1_000_000, 10_000_000))
    assert large < 1.10 * small
