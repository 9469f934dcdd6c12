import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import castalia
from castalia.errors import ConfigError, MachineError, ModelError
from castalia.runs.folder import RunFolder, refuse_busy, refuse_content
from castalia.training import TrainingConfig
from castalia.training.checkpoint import load_checkpoint
from castalia.training.position import Position

FIXTURE = Path(__file__).parent / "fixtures" / "format1"


def test_what_is_created_opens_again(tmp_path, settings, schema):
    path = tmp_path / "räume und mehr" / "run 1"
    folder = RunFolder.create(path, overwrite=False, **settings)
    with folder.lock():
        folder.models.mkdir()
        folder.finish({"best_epoch": 2})
    opened = RunFolder.open(path)
    assert opened.schema() == schema
    assert opened.config_text() == settings["config_toml"]
    record = opened.record
    assert (record.format, record.kind, record.application, record.seed) == (1, "run", "simulate", 7)
    assert record.castalia_version == castalia.__version__
    assert record.inputs == settings["inputs"]
    assert (record.status, record.results) == ("finished", {"best_epoch": 2})
    assert record.created <= record.finished


def test_an_unfinished_run_says_so(tmp_path, settings):
    RunFolder.create(tmp_path / "run", overwrite=False, **settings)
    assert RunFolder.open(tmp_path / "run").record.status == "started"
    assert RunFolder.open(tmp_path / "run").record.finished is None


def test_nothing_is_overwritten_unless_asked_for(tmp_path, settings):
    with RunFolder.create(tmp_path, overwrite=False, **settings).lock():
        pass
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "training.json").write_text("{}")
    (tmp_path / "history.jsonl").write_text("{}\n")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="pass --overwrite"):
        RunFolder.create(tmp_path, overwrite=False, **settings)
    assert (tmp_path / "state" / "training.json").exists()
    with RunFolder.create(tmp_path, overwrite=True, **{**settings, "seed": 8}).lock():
        assert not (tmp_path / "state").exists()
        assert not (tmp_path / "history.jsonl").exists()
    assert RunFolder.open(tmp_path).record.seed == 8
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_overwrite_does_not_touch_what_is_no_run(tmp_path, settings):
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "models").mkdir()
    with pytest.raises(ConfigError, match=r"holds 'thesis\.tex' and is not a run folder"):
        RunFolder.create(tmp_path, overwrite=True, **settings)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["models", "thesis.tex"]
    with pytest.raises(ConfigError, match="is a file"):
        RunFolder.create(tmp_path / "thesis.tex", overwrite=True, **settings)


def test_a_creation_that_was_killed_can_be_repeated(tmp_path, settings):
    (tmp_path / "lock").write_text("")
    with RunFolder.create(tmp_path, overwrite=False, **settings).lock():
        pass
    (tmp_path / "run.json").unlink()
    (tmp_path / ".run.json.partial-1-1").write_text("{")
    with RunFolder.create(tmp_path, overwrite=True, **settings).lock():
        assert not list(tmp_path.glob(".*"))


def test_a_second_process_is_refused_until_the_first_ends(tmp_path, settings):
    program = (
        "import sys\nfrom pathlib import Path\nfrom castalia.runs.folder import RunFolder\n"
        "with RunFolder.open(Path(sys.argv[1])).lock():\n"
        "    print('locked', flush=True)\n    sys.stdin.readline()\n"
    )
    with RunFolder.create(tmp_path, overwrite=False, **settings).lock():
        pass
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        before = (tmp_path / "run.json").read_bytes()
        with pytest.raises(MachineError, match=rf"another process \(process {other.pid} on "):
            RunFolder.open(tmp_path).lock().__enter__()
        for overwrite in (False, True):  # "pass --overwrite" would be wrong advice
            with pytest.raises(MachineError, match=rf"process {other.pid} on "):
                RunFolder.create(tmp_path, overwrite=overwrite, **settings)
            with pytest.raises(MachineError, match=rf"process {other.pid} on "):
                refuse_content(tmp_path, overwrite)
        with pytest.raises(MachineError, match=rf"process {other.pid} on "):
            refuse_busy(tmp_path)
        assert (tmp_path / "run.json").read_bytes() == before
        assert RunFolder.open(tmp_path).record.seed == 7  # reading is free
        other.kill()
    refuse_busy(tmp_path)  # a dead process holds nothing
    with pytest.raises(ConfigError, match="pass --overwrite"):
        refuse_content(tmp_path, False)
    refuse_content(tmp_path, True)
    with RunFolder.open(tmp_path).lock():
        pass


def test_asking_whether_a_folder_is_busy_leaves_no_trace(tmp_path):
    refuse_busy(tmp_path / "absent")
    refuse_content(tmp_path / "absent", False)
    refuse_busy(tmp_path)
    assert not list(tmp_path.iterdir())


def test_how_files_were_used_is_remembered(tmp_path, settings):
    splits = {"a.root": "train", "b.root": "split"}
    with RunFolder.create(tmp_path / "run", overwrite=False, splits=splits, **settings).lock():
        pass
    assert RunFolder.open(tmp_path / "run").record.splits == splits
    with RunFolder.create(tmp_path / "other", overwrite=False, **settings).lock():
        pass
    assert RunFolder.open(tmp_path / "other").record.splits == {}


def test_created_folder_stays_locked_until_its_block_ends(tmp_path, settings):
    folder = RunFolder.create(tmp_path, overwrite=False, **settings)
    with pytest.raises(MachineError, match="another process"), RunFolder.open(tmp_path).lock():
        pass
    with folder.lock():
        pass
    with RunFolder.open(tmp_path).lock():
        pass


def test_log_keeps_what_the_package_says(tmp_path, settings):
    folder = RunFolder.create(tmp_path, overwrite=False, **settings)
    logger = logging.getLogger("castalia.somewhere")
    with folder.lock(), folder.logging():
        logger.info("three of %d", 5)
        logger.debug("not this")
    logger.warning("nor this")
    lines = folder.log.read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("INFO castalia.somewhere: three of 5")
    assert not logging.getLogger("castalia").handlers


def test_folders_that_cannot_be_opened(tmp_path, settings):
    with pytest.raises(ModelError, match="no such run folder"):
        RunFolder.open(tmp_path / "absent")
    with pytest.raises(
        ModelError, match=r"nothing to open or to resume here.* run\.json is missing.* without --resume"
    ):
        RunFolder.open(tmp_path)
    (tmp_path / "run.json").mkdir()
    with pytest.raises(ModelError, match=r"run\.json: cannot be read"):  # there, but not readable
        RunFolder.open(tmp_path)
    (tmp_path / "run.json").rmdir()
    with RunFolder.create(tmp_path, overwrite=False, **settings).lock():
        pass
    record = json.loads((tmp_path / "run.json").read_text())
    for change, message in [
        ({"format": 2}, "format 2 is not the format 1"),
        ({"kind": "report"}, "is a report folder"),
        ({"seed": "x"}, r"run\.json: is damaged \(seed"),
    ]:
        (tmp_path / "run.json").write_text(json.dumps({**record, **change}))
        with pytest.raises(ModelError, match=message):
            RunFolder.open(tmp_path)
    (tmp_path / "run.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="not UTF-8"):
        RunFolder.open(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({**record, "invented_later": [1]}))
    folder = RunFolder.open(tmp_path)
    (tmp_path / "schema.json").write_text("{}")
    with pytest.raises(ModelError, match=r"schema\.json: is damaged"):
        folder.schema()
    (tmp_path / "config.toml").unlink()
    with pytest.raises(ModelError, match=r"config\.toml: cannot be read"):
        folder.config_text()


def test_a_folder_of_format_1_loads_for_ever(tmp_path):
    """Written once by version 0.1.0 and never again: this test may only grow."""
    shutil.copytree(FIXTURE, tmp_path / "run")
    folder = RunFolder.open(tmp_path / "run")
    record = folder.record
    assert (record.application, record.castalia_version, record.seed) == ("simulate", "0.1.0", 7)
    assert record.results == {"best_epoch": 3, "best_value": 0.5}
    assert record.inputs == {"diphoton.root": "5" * 64}
    assert record.splits == {}  # added after 0.1.0 began
    assert folder.schema().column("photon_et").unit == "GeV"
    assert folder.schema().column("photon_et").shape == 2
    assert folder.config_text().startswith("[training]")
    assert len(folder.history.read_text().splitlines()) == 3
    checkpoint = load_checkpoint(folder.state)
    assert Position.from_record(checkpoint.record["position"]).step == 3
    assert {name.partition("/")[0] for name in checkpoint.tensors} == {"raw", "best", "average", "optimiser"}
    assert TrainingConfig(**checkpoint.record["config"]).epochs == 3
