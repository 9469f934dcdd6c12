"""Threads of the process that runs a task, and memory that does not grow with the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from production_tasks import make
from production_threads import ThreadTask

from castalia.production.units import Unit

MEMORY = r"""
import re, sys
from pathlib import Path
from production_tasks import WideTask, make
make(Path(sys.argv[1]), WideTask(leak=sys.argv[3] == "leak"), entries=int(sys.argv[2]), unit_size=20_000)
print(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
"""


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


def test_a_worker_has_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    make(tmp_path / "out.parquet", ThreadTask(), unit_size=500, workers=2)
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert "MKL_NUM_THREADS" not in os.environ


def _peak(output: Path, entries: int, leak: bool = False) -> int:
    """Return the peak memory of a process that makes ``entries`` rows, in kilobytes."""
    source = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    command = [sys.executable, "-c", MEMORY, str(output), str(entries), "leak" if leak else ""]
    environment = {**os.environ, "PYTHONPATH": source}
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    small, large = (_peak(tmp_path / f"{n}.root", n) for n in (140_000, 1_000_000))
    assert large < 1.10 * small


def test_a_leak_would_be_noticed(tmp_path: Path) -> None:
    small, large = (_peak(tmp_path / f"{n}.root", n, leak=True) for n in (140_000, 1_000_000))
    assert large > 1.10 * small


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", "root"])
def test_memory_does_not_grow_with_a_large_file(tmp_path: Path, ending: str) -> None:
    small, large = (_peak(tmp_path / f"{n}.{ending}", n) for n in (1_000_000, 10_000_000))
    assert large < 1.10 * small
