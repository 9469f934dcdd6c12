"""One output whatever the workers: identity, totals, refusals, progress."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from production_tasks import SCHEMA, CountingTask, WorkerTask, make

from castalia.data.lock import FileLock
from castalia.data.readers import open_reader
from castalia.data.sidecar import Truth, read_sidecar, sidecar_path, verify
from castalia.errors import ConfigError, DataError, MachineError
from castalia.production.parts import job_key, open_parts
from castalia.production.units import plan_units


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    files = {}
    for workers in (1, 2, 4):
        folder = tmp_path / str(workers)
        produced = make(folder / "out.parquet", workers=workers)
        assert (produced.entries, produced.units, produced.resumed) == (1000, 7, 0)
        assert produced.counts == {"read": 1000, "odd": 20, "written": 1000}
        assert _names(folder) == ["out.parquet", "out.parquet.json"]
        files[workers] = [(folder / name).read_bytes() for name in _names(folder)]
    assert files[1] == files[2] == files[4]
    with open_reader(tmp_path / "2" / "out.parquet") as reader:
        (table,) = reader.iterate(SCHEMA.names, 5000)
    assert np.array_equal(table["event"], np.arange(1, 1001))


def test_the_comparison_notices_a_task_that_depends_on_its_worker(tmp_path: Path) -> None:
    hashes = [make(tmp_path / f"{n}.parquet", WorkerTask(), workers=n).sha256 for n in (1, 2)]
    assert hashes[0] != hashes[1]
    assert make(tmp_path / "a.parquet").sha256 != make(tmp_path / "b.parquet", CountingTask(seed=2)).sha256


def test_root_has_the_content_of_parquet(tmp_path: Path) -> None:
    root, parquet = make(tmp_path / "out.root", tree="other"), make(tmp_path / "out.parquet")
    assert root.column_hashes == parquet.column_hashes
    assert verify(root.path).passed
    assert verify(parquet.path).passed
    truth = Truth(process="toy", scenario="baseline", rho=0.0, parametrisation="repaired", mixture="area")
    make(tmp_path / "t.parquet", truth=truth)
    sidecar = read_sidecar(tmp_path / "t.parquet")
    assert sidecar is not None
    assert sidecar.truth == truth
    assert sidecar.provenance["seed"] == 1


@pytest.mark.parametrize("ending", ["parquet", "root"])
def test_units_without_rows_are_complete(tmp_path: Path, ending: str) -> None:
    some = make(tmp_path / f"some.{ending}", CountingTask(empty_in=frozenset({0, 3})))
    assert some.entries == 700
    none = make(tmp_path / f"none.{ending}", CountingTask(empty_in=frozenset(range(7))))
    assert (none.entries, none.counts["read"]) == (0, 1000)


def test_an_existing_output_is_kept(tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    output.write_text("precious")
    with pytest.raises(ConfigError, match="exists already; choose another name or pass --overwrite"):
        make(output)
    with pytest.raises(ConfigError, match="exists already"):
        make(output, resume=True)
    with pytest.raises(DataError, match="row 0 is bad"):
        make(output, CountingTask(fail_in=frozenset({0})), overwrite=True)
    assert output.read_text() == "precious"
    assert _names(tmp_path) == ["out.parquet"]
    assert make(output, overwrite=True).entries == 1000


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_leaves_no_output(tmp_path: Path, workers: int) -> None:
    with pytest.raises(DataError, match="row 900 is bad"):
        make(tmp_path / "out.parquet", CountingTask(fail_in=frozenset({6})), workers=workers)
    assert _names(tmp_path) in ([], ["out.parquet.parts"])  # what other units have finished may stay for --resume
    with pytest.raises(ConfigError, match=r"ends in '.csv'"):
        make(tmp_path / "other" / "out.csv", workers=workers)
    assert not list((tmp_path / "other").glob("*"))


def test_counts_can_refuse_the_output(tmp_path: Path) -> None:
    def refuse(counts: object) -> None:
        raise DataError(f"too many: {counts}")

    with pytest.raises(DataError, match="'read': 1000"):
        make(tmp_path / "out.parquet", accept=refuse)
    assert _names(tmp_path) == ["out.parquet.parts"]
    assert make(tmp_path / "out.parquet", accept=lambda counts: None, resume=True).resumed == 7


def test_progress_grows_to_the_whole(tmp_path: Path) -> None:
    seen: list[tuple[float, float, float | None]] = []
    make(tmp_path / "out.parquet", progress=lambda *values: seen.append(values))
    assert seen[0] == (0, 1000, None)
    done = [values[0] for values in seen]
    assert done == [0, 150, 300, 450, 600, 750, 900, 1000]
    assert all(values[2] is not None and values[2] > 0 for values in seen[1:-1])
    assert seen[-1][2] == 0


def test_two_processes_do_not_share_an_output(tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    with open_parts(output, "job", resume=False, overwrite=False):
        before = _names(tmp_path)
        for there in (False, True):  # an old output does not change the advice
            if there:
                output.touch()
            with pytest.raises(
                MachineError, match=r"out\.parquet: another process \(process \d+ on .* is working on it"
            ):
                make(output)
        output.unlink()
        assert _names(tmp_path) == before
    assert make(output, overwrite=True).entries == 1000  # the lock is gone with its owner


def test_removed_parts_can_be_taken_over_at_any_moment(tmp_path: Path) -> None:
    """Every thread makes the folder, works alone in it and removes it, while the others try the same."""
    output, inside, taken, failures = tmp_path / "out.parquet", [], [], []

    def work() -> None:
        while len(taken) < 200 and not failures:
            try:
                with open_parts(output, "job", resume=False, overwrite=False) as parts:
                    inside.append(1)
                    if len(inside) > 1:
                        failures.append("two at once")
                    taken.append(1)
                    inside.pop()
                    parts.remove()
            except MachineError:
                continue
            except Exception as error:
                failures.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert len(taken) >= 200
    assert _names(tmp_path) == []


def test_an_output_that_appears_while_the_lock_is_taken_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, acquire = tmp_path / "out.parquet", FileLock.acquire

    def finish_first(lock: FileLock) -> None:
        output.write_text("precious")
        acquire(lock)

    monkeypatch.setattr(FileLock, "acquire", finish_first)
    with pytest.raises(ConfigError, match="exists already"):
        make(output)
    assert output.read_text() == "precious"
    assert _names(tmp_path) == ["out.parquet"]
    assert make(output, overwrite=True).entries == 1000


def test_senseless_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 workers"):
        make(tmp_path / "out.parquet", workers=0)
    with pytest.raises(ConfigError, match="JSON"):
        make(tmp_path / "out.parquet", provenance={"path": tmp_path})
    assert _names(tmp_path) == []


def test_a_job_is_all_that_its_rows_depend_on() -> None:
    task, units = CountingTask(), plan_units("k", 100, 10)
    key = job_key(task, units, {"a": 1, "b": 2}, None)
    assert key == job_key(task, units, {"b": 2, "a": 1}, None)
    truth = Truth(process="toy", scenario="baseline", rho=0.0, parametrisation="repaired", mixture="area")
    others = [
        job_key(WorkerTask(), units, {"a": 1, "b": 2}, None),
        job_key(task, units[:-1], {"a": 1, "b": 2}, None),
        job_key(task, units, {"a": 1}, None),
        job_key(task, units, {"a": 1, "b": 2}, truth),
    ]
    assert len({key, *others}) == 5


def test_sidecars_of_outputs_verify(tmp_path: Path) -> None:
    output = make(tmp_path / "out.parquet").path
    assert sidecar_path(output).exists()
    content = bytearray(output.read_bytes())
    content[len(content) // 2] ^= 1
    output.write_bytes(content)
    assert not verify(output).passed
