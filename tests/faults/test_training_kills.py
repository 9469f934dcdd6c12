"""R1 to R4 of the reliability table: kills, kills while saving, a full disk and SIGTERM during a training."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from castalia.training.checkpoint import load_checkpoint

SCRIPT = Path(__file__).parents[1] / "training" / "toy_run.py"
EPOCHS = 20


def start(mode, folder, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    words = [f"{key}={value}" for key, value in options.items()]
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), mode, str(folder), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finish(process) -> str:
    """Wait for a good end and return what was said."""
    said, complaint = process.communicate(timeout=240)
    assert process.returncode == 0, complaint
    return said


def wait_for(process, word):
    return any(line.strip() == word for line in process.stdout)


def ending(folder):
    """All bits that must not depend on interruptions."""
    checkpoint = load_checkpoint(folder / "state")
    position = {k: v for k, v in checkpoint.record["position"].items() if k not in ("seconds", "history_size")}
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    for line in history:
        del line["seconds"]
    assert {name.partition("/")[0] for name in checkpoint.tensors} == {"raw", "best", "average", "optimiser"}
    return {name: tensor.numpy().tobytes() for name, tensor in checkpoint.tensors.items()}, position, history


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    finish(start("train", folder, epochs=EPOCHS))
    return folder


def check_kills(folder, kills, epochs, reference):
    said = finish(start("kill-training", folder, epochs=epochs, kills=kills))
    assert said.strip() == f"struck {kills}", "a training had ended before it was killed; make it longer"
    assert load_checkpoint(folder / "state").record["position"]["step"] > 0
    finish(start("train", folder, epochs=epochs))
    assert ending(folder) == ending(reference)


def test_three_kills_change_no_bit(tmp_path, whole):
    check_kills(tmp_path, 3, EPOCHS, whole)


@pytest.mark.slow
def test_twenty_five_kills_change_no_bit(tmp_path):
    finish(start("train", tmp_path / "whole", epochs=150))
    check_kills(tmp_path / "killed", 25, 150, tmp_path / "whole")


def check_kills_while_saving(folder, kills):
    words = finish(start("kill-saving", folder, kills=kills)).split()
    struck, orphans, highest = (int(word) for word in words[1::2])
    assert struck == kills
    assert highest > 0
    return orphans


def test_kills_while_saving_leave_a_good_checkpoint(tmp_path):
    check_kills_while_saving(tmp_path, 5)


@pytest.mark.slow
def test_a_hundred_kills_while_saving_leave_a_good_checkpoint(tmp_path):
    orphans = check_kills_while_saving(tmp_path, 100)
    assert orphans >= 5, "hardly a kill struck during a save; the test has lost its force"


def test_full_disk_is_one_sentence_and_the_checkpoint_stays(tmp_path):
    """From the first step on no file may have more than a thousand bytes, which is less than a checkpoint has."""
    process = start("train", tmp_path, epochs=EPOCHS, checkpoint_seconds=0, limit=1000)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert complaint.count("\n") == 1
    assert complaint.startswith(f"error: {tmp_path}")
    assert "cannot be written (File too large); free some space" in complaint
    names = sorted(path.name for path in (tmp_path / "state").iterdir())
    assert names == ["training-00000001.safetensors", "training.json"]
    assert load_checkpoint(tmp_path / "state").record["position"]["step"] == 1


@pytest.mark.parametrize("moment", ["running", "validating"])
def test_sigterm_saves_and_exits_143(tmp_path, whole, moment):
    options = {"slow_metrics": 60} if moment == "validating" else {}
    process = start("train", tmp_path, epochs=EPOCHS, checkpoint_seconds=1000, **options)
    assert wait_for(process, moment)
    begin = time.monotonic()
    process.terminate()
    _, complaint = process.communicate(timeout=60)
    assert time.monotonic() - begin < 30
    assert process.returncode == 143
    assert complaint.count("\n") == 1
    assert "stopped by SIGTERM, saved in" in complaint
    step = load_checkpoint(tmp_path / "state").record["position"]["step"]
    assert step == 20 if moment == "validating" else 0 < step < 20 * EPOCHS
    finish(start("train", tmp_path, epochs=EPOCHS, checkpoint_seconds=1000))
    assert ending(tmp_path) == ending(whole)
