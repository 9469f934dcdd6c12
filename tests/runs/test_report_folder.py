import errno
import json

import pytest

from castalia.errors import ConfigError, MachineError
from castalia.runs.record import read_record
from castalia.runs.report_folder import ReportFolder

SETTINGS = {"application": "simulate evaluate", "inputs": {"a.root": "0" * 64}, "seed": 3}


def write(path, value, overwrite=False):
    with ReportFolder.create(path, overwrite=overwrite, **SETTINGS) as report:
        report.write_metrics({"value": value})
        (report.figures / "a.png").write_bytes(b"png")
        report.note({"model": "abc"})
        assert not path.exists() or overwrite


def test_a_report_is_there_when_complete(tmp_path):
    path = tmp_path / "report [1]"
    write(path, float("nan"))
    assert json.loads((path / "metrics.json").read_text()) == {"value": None}
    assert sorted(entry.name for entry in path.iterdir()) == ["figures", "metrics.json", "run.json"]
    record = read_record(path / "run.json")
    assert (record.kind, record.status, record.results) == ("report", "finished", {"model": "abc"})
    assert [entry.name for entry in tmp_path.iterdir()] == ["report [1]"]


def test_a_failure_leaves_nothing_and_an_earlier_report_alone(tmp_path):
    path = tmp_path / "report"

    def fail(error, overwrite=False):
        with ReportFolder.create(path, overwrite=overwrite, **SETTINGS) as report:
            report.write_metrics({"value": 9})
            raise error

    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError())
    assert not list(tmp_path.iterdir())
    write(path, 1)
    with pytest.raises(MachineError, match="free some space"):
        fail(OSError(errno.ENOSPC, "No space left on device"), overwrite=True)
    with pytest.raises(FileNotFoundError):
        fail(FileNotFoundError("an input"), overwrite=True)
    assert json.loads((path / "metrics.json").read_text()) == {"value": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_overwriting_is_explicit_and_spares_what_is_no_report(tmp_path):
    path = tmp_path / "report"
    write(path, 1)
    with pytest.raises(ConfigError, match="pass --overwrite"):
        write(path, 2)
    write(path, 2, overwrite=True)
    assert json.loads((path / "metrics.json").read_text()) == {"value": 2}
    assert len(list(tmp_path.iterdir())) == 1
    (path / "run.json").unlink()
    with pytest.raises(ConfigError, match="is not a report folder"):
        write(path, 3, overwrite=True)


def test_leftovers_of_the_dead_are_swept_those_of_the_living_stay(tmp_path):
    path = tmp_path / "report"
    dead = tmp_path / ".report.partial-1"
    dead.mkdir()
    (dead / "metrics.json").write_text("{")
    with ReportFolder.create(path, overwrite=False, **SETTINGS) as living:
        assert not dead.exists()
        living.write_metrics({"value": 1})
        renamed = living.path.rename(tmp_path / ".report.partial-2")  # as another process would call it
        write(path, 2)
        assert (renamed / "metrics.json").exists()
        renamed.rename(living.path)
        path.rename(tmp_path / "other")
    assert json.loads((path / "metrics.json").read_text()) == {"value": 1}
