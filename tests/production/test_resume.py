"""Kills, signals and damage: what is finished stays, what comes out is the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from production_tasks import CountingTask, make

from castalia.data.atomic import atomic_path
from castalia.errors import ConfigError, MachineError
from castalia.production import pool

SCRIPT = """
import sys
from pathlib import Path
from castalia.errors import StoppedError
from production_tasks import CountingTask, make
try:
    make(Path(sys.argv[1]), CountingTask(pause=float(sys.argv[3])), workers=int(sys.argv[2]))
except StoppedError as error:
    print(error, file=sys.stderr)
    raise SystemExit(error.exit_code)
"""


def _start(output: Path, workers: int, pause: float = 0.1, finished: int = 2) -> subprocess.Popen[str]:
    """Run a slow job in a process of its own until so many units are finished; with 0, until the first is begun."""
    source = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(output), str(workers), str(pause)],
        env={**os.environ, "PYTHONPATH": source},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    pattern = "*.parts/part-*.parquet.json" if finished else "*.parts/job.json"
    while len(list(output.parent.glob(pattern))) < max(finished, 1):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def _workers_of(process: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children]


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_job_goes_on_to_the_same_file(tmp_path: Path, workers: int) -> None:
    output = tmp_path / "out.parquet"
    process = _start(output, workers)
    children = _workers_of(process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while any(map(_alive, children)):  # workers end with their parent
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not output.exists()
    with pytest.raises(ConfigError, match=r"unfinished job; pass --resume"):
        make(output)
    with pytest.raises(ConfigError, match="parts of another job"):
        make(output, resume=True, provenance={"seed": 2})
    resumed = make(output, resume=True)
    assert 2 <= resumed.resumed < 7
    assert resumed.sha256 == make(tmp_path / "whole.parquet").sha256
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "out.parquet", "out.parquet.json", "whole.parquet", "whole.parquet.json",
    ]  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_stops_with_143_and_keeps_the_parts(tmp_path: Path, workers: int) -> None:
    output = tmp_path / "out.root"
    process = _start(output, workers)
    process.send_signal(signal.SIGTERM)
    _, words = process.communicate(timeout=30)
    assert process.returncode == 143
    assert words.splitlines() == [f"{output}: stopped by SIGTERM; run the same command with --resume to go on."]
    assert [p.name for p in tmp_path.iterdir()] == ["out.root.parts"]
    assert not list((tmp_path / "out.root.parts").glob(".*"))
    resumed = make(output, resume=True)
    assert resumed.resumed >= 2
    assert resumed.column_hashes == make(tmp_path / "whole.root").column_hashes


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_before_the_first_part_keeps_nothing_and_says_so(tmp_path: Path, workers: int) -> None:
    output = tmp_path / "out.root"
    process = _start(output, workers, pause=2.0, finished=0)
    process.send_signal(signal.SIGTERM)
    _, words = process.communicate(timeout=30)
    assert process.returncode == 143
    assert words.splitlines() == [
        f"{output}: stopped by SIGTERM before the first part was finished, so nothing was kept; "
        "run the same command again."
    ]
    assert not list(tmp_path.iterdir())


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    marks = {unit: str(tmp_path / f"died-{unit}") for unit in (1, 4)}
    produced = make(tmp_path / "out.parquet", CountingTask(die_in=marks), workers=2)
    assert all(Path(mark).exists() for mark in marks.values())
    assert produced.sha256 == make(tmp_path / "whole.parquet").sha256


def test_a_unit_that_always_kills_its_worker_ends_the_job(tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    with pytest.raises(MachineError, match=r"killed 3 times in a row .* pass --resume"):
        make(output, CountingTask(die_in={2: ""}), workers=2)
    assert not output.exists()
    mended = make(output, resume=True, overwrite=not (tmp_path / "out.parquet.parts").exists())
    assert mended.sha256 == make(tmp_path / "whole.parquet").sha256


def _stopped_at_the_end(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finish all units and the output, and stop just before its sidecar."""

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pool, "write_sidecar", stop)
        with pytest.raises(KeyboardInterrupt):
            make(output)


def test_a_stop_between_the_output_and_its_sidecar_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out.parquet"
    _stopped_at_the_end(output, monkeypatch)
    assert output.exists()
    resumed = make(output, CountingTask(fail_in=frozenset(range(7))), resume=True)  # nothing is computed again
    assert resumed.resumed == 7
    again = make(output, CountingTask(fail_in=frozenset(range(7))), resume=True)
    assert again == resumed
    with pytest.raises(ConfigError, match="exists already"):
        make(output, resume=True, provenance={"seed": 2})


def test_a_damaged_part_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out.parquet"
    _stopped_at_the_end(output, monkeypatch)
    parts = sorted((tmp_path / "out.parquet.parts").glob("part-*.parquet"))
    content = bytearray(parts[1].read_bytes())
    content[len(content) // 2] ^= 1
    parts[1].write_bytes(content)
    parts[3].unlink()
    parts[5].with_name(parts[5].name + ".json").write_text('{"format": 1')
    resumed = make(output, resume=True)
    assert resumed.resumed == 4
    assert resumed.sha256 == make(tmp_path / "whole.parquet").sha256


def test_overwrite_drops_the_parts_of_an_earlier_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out.parquet"
    _stopped_at_the_end(output, monkeypatch)
    fresh = make(output, CountingTask(seed=2), overwrite=True, provenance={"seed": 2})
    assert fresh.resumed == 0
    assert fresh.sha256 == make(tmp_path / "whole.parquet", CountingTask(seed=2)).sha256


def test_half_written_parts_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out.parquet"
    _stopped_at_the_end(output, monkeypatch)
    with atomic_path(tmp_path / "out.parquet.parts" / "part-0000000.parquet") as partial:
        orphan = partial.with_name(partial.name + "9")
        partial.touch()
        orphan.touch()
    assert make(output, resume=True).resumed == 6
    assert not orphan.exists()
