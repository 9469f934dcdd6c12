import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from castalia.errors import ConfigError, DataError, MachineError, StoppedError
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


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_one_process_at_a_time_writes_a_report(tmp_path):
    path = tmp_path / "report"
    with ReportFolder.create(path, overwrite=False, **SETTINGS) as first:
        first.write_metrics({"value": 1})
        for overwrite in (False, True):
            with pytest.raises(MachineError, match=rf"report: another process \(process {os.getpid()} on "):
                write(path, 2, overwrite)
        write(tmp_path / "other", 3)  # another report is free
        assert (first.path / "metrics.json").exists()
    assert json.loads((path / "metrics.json").read_text()) == {"value": 1}
    assert names(tmp_path) == ["other", "report"]


def test_leftovers_of_the_dead_are_swept_and_nothing_else(tmp_path):
    dead = tmp_path / ".report.partial"
    dead.mkdir()
    (dead / "metrics.json").write_text("{")
    (tmp_path / ".report.lock").write_text('{"pid": 1, "host": "elsewhere"}')
    for stranger in (".report.partial.partial", ".report2.partial", ".report.partial-mine"):
        (tmp_path / stranger).mkdir()
    write(tmp_path / "report", 1)
    assert names(tmp_path / "report") == ["figures", "metrics.json", "run.json"]
    assert names(tmp_path) == [".report.partial-mine", ".report.partial.partial", ".report2.partial", "report"]


def test_a_kill_between_the_two_renames_loses_no_report(tmp_path):
    write(tmp_path / "report", 1)
    (tmp_path / "report").rename(tmp_path / ".report.partial-old")
    with pytest.raises(ConfigError, match="pass --overwrite"):
        write(tmp_path / "report", 2)
    assert names(tmp_path) == ["report"]
    assert json.loads((tmp_path / "report" / "metrics.json").read_text()) == {"value": 1}


def test_a_stop_between_the_two_renames_loses_no_report(tmp_path, monkeypatch):
    write(tmp_path / "report", 1)
    rename = Path.rename

    def stop(path, target):
        if path.name == ".report.partial":
            raise StoppedError("stopped by SIGTERM")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", stop)
        with pytest.raises(StoppedError):
            write(tmp_path / "report", 2, overwrite=True)
    assert names(tmp_path) == ["report"]
    assert json.loads((tmp_path / "report" / "metrics.json").read_text()) == {"value": 1}
    write(tmp_path / "report", 2, overwrite=True)
    assert json.loads((tmp_path / "report" / "metrics.json").read_text()) == {"value": 2}


SIGTERM = """\
import signal, sys, time
from pathlib import Path
from castalia.errors import StoppedError
from castalia.runs.report_folder import ReportFolder

def stop(number, frame):
    raise StoppedError("stopped by SIGTERM")

if sys.argv[2] == "handled":
    signal.signal(signal.SIGTERM, stop)
with ReportFolder.create(Path(sys.argv[1]), "simulate evaluate", {}, 1, False) as report:
    report.write_metrics({"value": 9})
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(("how", "left"), [("handled", []), ("unhandled", [".report.lock", ".report.partial"])])
def test_sigterm_leaves_nothing_where_it_is_handled(tmp_path, how, left):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SIGTERM, str(tmp_path / "report"), how]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        assert process.stdout.readline() == "writing\n"
        process.terminate()
        process.communicate(timeout=30)
    assert names(tmp_path) == left
    write(tmp_path / "report", 1)
    assert names(tmp_path) == ["report"]


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.ENOSPC])
@pytest.mark.parametrize("make", [OSError, PermissionError], ids=["disk", "place"])
def test_errors_name_the_report_and_not_the_hidden_folder(tmp_path, monkeypatch, number, make):
    path = tmp_path / "report"

    def refused(partial, *arguments, **options):
        raise make(number if make is OSError else errno.EACCES, "refused", str(partial))

    def fail():
        with ReportFolder.create(path, overwrite=False, **SETTINGS) as report, monkeypatch.context() as patch:
            assert ".partial" in str(report.path)
            patch.setattr(Path, "write_text", refused)
            report.write_metrics({"value": 1})

    def draw():
        with ReportFolder.create(path, overwrite=False, **SETTINGS) as report:
            refused(report.figures / "a.png")

    def read():
        with ReportFolder.create(path, overwrite=False, **SETTINGS) as report:
            raise DataError(f"{report.figures / 'a.png'}: cannot be read.")

    for action, error, place in (
        (fail, MachineError, path / "metrics.json"),
        (draw, MachineError, path),
        (read, DataError, path / "figures" / "a.png"),
    ):
        with pytest.raises(error) as caught:
            action()
        assert str(caught.value).startswith(f"{place}: cannot be ")
        assert ".partial" not in str(caught.value)
        assert not names(tmp_path)


def test_a_folder_without_a_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="name a report folder"):
        write(Path("."), 1)
