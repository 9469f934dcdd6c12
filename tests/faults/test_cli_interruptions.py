"""Commands that are killed, stopped or run out of disk: nothing is lost, and resuming changes no bit."""

import json
import resource
import signal
import time

import pytest
from castalia_console import column_hashes, ended, here, listing, read, start, typed, weights, write_config

# Small steps, so that the training lasts a few seconds and is saved several times.
TRAINING = "batch_size = 64\ncheckpoint_seconds = 0.1"
EPOCHS = 8


def wait_until(process, reached, seconds=60):
    """Wait for a state of a running command's files."""
    end = time.monotonic() + seconds
    while not reached():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            pytest.fail(f"the command ended before it was interrupted, or never got there: {process.communicate()}")
        time.sleep(0.02)


@pytest.fixture(scope="module")
def config(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupted")
    return write_config(folder / "c.toml", toy, epochs=EPOCHS, training=TRAINING)


@pytest.fixture(scope="module")
def whole(config):
    """A training that nobody interrupted."""
    folder = config.parent / "whole"
    typed("simulate", "train", config, "-o", folder).good()
    return folder


def history(folder):
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def interrupt(config, folder, how, lines):
    """Start or resume a training and strike once ``lines`` epochs are in its history."""
    process = start("simulate", "train", config, "-o", folder, *(["--resume"] if folder.exists() else []))
    file = folder / "history.jsonl"
    wait_until(
        process,
        lambda: (
            (folder / "state" / "training.json").exists()
            and file.exists()
            and len(file.read_text().splitlines()) >= lines
        ),
    )
    process.send_signal(how)
    return ended(process, timeout=30)


def check_resumed(config, folder, whole):
    here("simulate", "train", config, "-o", folder, "--resume").good()
    assert weights(folder) == weights(whole)
    assert history(folder) == history(whole)


def test_sigterm_saves_and_resuming_changes_no_bit(config, whole, tmp_path):
    result = interrupt(config, tmp_path / "run", signal.SIGTERM, 2)
    assert "SIGTERM" in result.refused(143)
    assert len(history(tmp_path / "run")) < EPOCHS
    assert not (tmp_path / "run" / "models" / "response").exists()
    check_resumed(config, tmp_path / "run", whole)


def test_a_kill_and_resuming_change_no_bit(config, whole, tmp_path):
    assert interrupt(config, tmp_path / "run", signal.SIGKILL, 2).code == -signal.SIGKILL
    check_resumed(config, tmp_path / "run", whole)


@pytest.mark.slow
def test_many_kills_and_resuming_change_no_bit(config, whole, tmp_path):
    for lines in range(1, EPOCHS - 1):
        assert interrupt(config, tmp_path / "run", signal.SIGKILL, lines).code == -signal.SIGKILL
    check_resumed(config, tmp_path / "run", whole)


def test_another_seed_is_another_model(config, whole, tmp_path):
    """Equal weights mean something only if they could differ."""
    here("simulate", "train", config, "-o", tmp_path / "run", "--seed", 2).good()
    assert weights(tmp_path / "run") != weights(whole)


def test_resuming_with_another_configuration_is_refused(whole, toy, tmp_path):
    other = write_config(tmp_path / "c.toml", toy, epochs=EPOCHS + 1, training=TRAINING)
    assert "another configuration" in here("simulate", "train", other, "-o", whole, "--resume").refused(2)


GENERATE = ("generate", "diphoton", "--process", "toy", "--events", 450_000, "--seed", 5)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_generation_goes_on(how, tmp_path):
    out = tmp_path / "out.root"
    process = start(*GENERATE, "-o", out)
    wait_until(process, lambda: list(tmp_path.rglob("part-*.json")))
    process.send_signal(how)
    result = ended(process, timeout=30)
    assert not out.exists()
    if how == signal.SIGTERM:
        assert "--resume" in result.refused(143)
    assert list(tmp_path.rglob("part-*.json")), "the finished parts stay"
    here(*GENERATE, "-o", out).refused(2)  # what is there is neither used nor dropped unasked
    summary = typed(*GENERATE, "-o", out, "--resume", "--json").good().json
    assert summary["events"] == 450_000
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["out.root", "out.root.json"]
    if how == signal.SIGTERM:
        again = tmp_path / "again.parquet"
        here(*GENERATE, "-o", again).good()
        assert column_hashes(out) == column_hashes(again)


def small_files(limit):
    """Limit what a process may write to one file, which it meets as it would a full disk."""

    def apply():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return apply


def test_a_full_disk_is_one_sentence_and_leaves_nothing(toy, run, config, tmp_path):
    (tmp_path / "old.root").write_bytes(toy.read_bytes())
    before = listing(tmp_path)
    for words in (
        ("generate", "diphoton", "--process", "toy", "--events", 20_000, "-o", tmp_path / "new.root"),
        ("simulate", "sample", run, toy, "-o", tmp_path / "old.root", "--overwrite"),
    ):
        sentence = typed(*words, preexec_fn=small_files(50_000)).refused(1)
        assert str(tmp_path) in sentence
        assert "space" in sentence
    assert listing(tmp_path) == before
    typed("simulate", "train", config, "-o", tmp_path / "run", preexec_fn=small_files(2_000)).refused(1)
    assert not (tmp_path / "run" / "models" / "response").exists()
    assert len(read(tmp_path / "old.root")) == 4000
