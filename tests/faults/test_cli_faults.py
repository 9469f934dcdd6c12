"""Bad input by the command line: one sentence naming place and cure, the right exit code, nothing half-written."""

import json
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from castalia_console import altered, environment, here, listing, read, start, typed, write_config

SECONDS = 5  # for a file that is no good


def make_bad_file(kind, toy, path):
    content = toy.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "HTML":
        path.write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 20)
    elif kind == "no entries":
        altered(toy, path, lambda arrays: arrays.update({name: v[:0] for name, v in arrays.items()}))
    elif kind == "missing branch":
        altered(toy, path, lambda arrays: arrays.pop("photon_eta_true"))
    elif kind == "directory":
        path.mkdir()
    elif kind == "changed":  # one flipped bit, where the sidecar still says what was written
        shutil.copy(f"{toy}.json", f"{path}.json")
        path.write_bytes(content[:4000] + bytes([content[4000] ^ 1]) + content[4001:])


FILES = {
    "empty": "empty",
    "truncated": "",
    "HTML": "",
    "no entries": "",
    "missing branch": "photon_eta_true",
    "directory": "",
    "changed": "",
    "absent": "",
}


def commands(config, run, bad, folder):
    return {
        "train": ("simulate", "train", config, "-o", folder / "new_run"),
        "sample": ("simulate", "sample", run, bad, "-o", folder / "new.root"),
        "evaluate": ("simulate", "evaluate", run, bad, "-o", folder / "new_report"),
    }


@pytest.mark.parametrize("command", ["train", "sample", "evaluate"])
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_good(kind, command, toy, run, tmp_path):
    bad = tmp_path / "bad.root"
    make_bad_file(kind, toy, bad)
    words = commands(write_config(tmp_path / "c.toml", bad), run, bad, tmp_path)[command]
    before = listing(tmp_path)
    begin = time.monotonic()
    sentence = here(*words).refused(3)
    assert time.monotonic() - begin < SECONDS
    assert "bad.root" in sentence
    assert FILES[kind] in sentence
    assert listing(tmp_path) == before


def test_a_file_that_is_no_good_in_a_process_of_its_own(run, tmp_path):
    (tmp_path / "bad.root").write_text("<html>no</html>")
    before = listing(tmp_path)
    sentence = typed("simulate", "sample", run, tmp_path / "bad.root", "-o", tmp_path / "new.root").refused(3)
    assert "bad.root" in sentence
    assert listing(tmp_path) == before


def test_a_wrong_tree(toy, run, tmp_path):
    config = write_config(tmp_path / "c.toml", toy, **{'tree = "events"': 'tree = "Delphes"'})
    before = listing(tmp_path)
    for words in (
        ("simulate", "train", config, "-o", tmp_path / "new"),
        ("simulate", "sample", run, toy, "--tree", "Delphes", "-o", tmp_path / "new.root"),
        ("inspect", altered(toy, tmp_path / "plain.root", lambda arrays: None), "--tree", "Delphes"),
    ):
        sentence = here(*words).refused(3)
        assert "Delphes" in sentence
        assert "events" in sentence, "the trees there are"
    (tmp_path / "plain.root").unlink()
    assert listing(tmp_path) == before


def with_nan(arrays):
    arrays["photon_et_true"][[11, 200, 201], 0] = np.nan


def in_mev(arrays):
    for name in ("photon_et_true", "photon_et"):
        arrays[name] = arrays[name] * 1000


@pytest.mark.parametrize("command", ["train", "sample", "evaluate"])
def test_nan_names_column_count_and_first_row(command, toy, run, tmp_path):
    bad = altered(toy, tmp_path / "bad.root", with_nan)
    config = write_config(tmp_path / "c.toml", bad)
    words = commands(config, run, bad, tmp_path)[command]
    before = listing(tmp_path)
    sentence = here(*words).refused(3)
    assert "photon_et_true" in sentence
    assert "NaN" in sentence
    assert "--skip-bad" in sentence
    if command == "train":  # which looks at the rows of its own split only
        assert re.search(r"has [123] values .* \(first in row (11|200|201)\)", sentence)
    else:
        assert "has 3 values" in sentence
        assert "first in row 11)" in sentence
    assert listing(tmp_path) == before


def test_skip_bad_leaves_rows_out_and_counts_them(toy, run, tmp_path):
    bad = altered(toy, tmp_path / "bad.root", with_nan)
    out = tmp_path / "new.root"
    here("simulate", "sample", run, bad, "-o", out, "--skip-bad", 2).refused(3)
    assert not out.exists()
    summary = here("simulate", "sample", run, bad, "-o", out, "--skip-bad", 3, "--json").good().json
    assert summary["skipped"] == 3
    assert json.loads((tmp_path / "new.root.json").read_text())["counts"]["skipped"] == 3
    kept = np.delete(np.asarray(read(toy)["event"]), [11, 200, 201])
    np.testing.assert_array_equal(read(out)["event"], kept)
    config = write_config(tmp_path / "c.toml", bad, epochs=1)
    here("simulate", "train", config, "-o", tmp_path / "run", "--skip-bad", 3).good()


@pytest.mark.parametrize("command", ["train", "sample", "evaluate"])
def test_mev_where_gev_is_declared(command, toy, run, tmp_path):
    bad = altered(toy, tmp_path / "bad.root", in_mev)
    words = commands(write_config(tmp_path / "c.toml", bad), run, bad, tmp_path)[command]
    sentence = here(*words).refused(3)
    assert "photon_et" in sentence
    assert "GeV" in sentence
    assert "MeV" in sentence
    assert not any(path.name.startswith((".", "new")) for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("epochs = 2", "epocs = 2", ("epocs", "epochs")),
        ("epochs = 2", "epochs = -1", ("epochs",)),
        ("epochs = 2", 'epochs = "many"', ("epochs",)),
        ("[objects]", "[object]", ("object", "objects")),
        ("take = 2", "take = 0", ("take",)),
        ('preset = "compact"', 'preset = "papr"', ("papr", "paper")),
        ('preset = "compact"', 'estimator = "mine"', ("mine", "masked_autoregressive_flow")),
        ("hidden = [16, 16]", "hiddens = [16, 16]", ("hiddens", "known")),
        ("scale = 20.0 }", "scale = 20.0", ()),
        ("[data]", "[data", ()),
        ('"photon_et", minus', '"photon_et", over = "mu", minus', ("minus", "over")),
    ],
)
def test_a_wrong_configuration(old, new, words, toy, tmp_path):
    config = write_config(tmp_path / "c.toml", toy, **{old: new})
    before = listing(tmp_path)
    sentence = here("simulate", "train", config, "-o", tmp_path / "new").refused(2)
    assert all(word in sentence for word in words), sentence
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x = " + "[" * 20_000 + "]" * 20_000, 2),
        ("x = " + "{ a = " * 20_000, 2),
        ("\x00\x01\x02", 2),
        ('[model]\nestimator = "os:system"\noptions = { command = "touch pwned" }', 2),
        ('[data]\nfiles = ["../../../../../../etc/passwd"]', 2),
    ],
    ids=["nested", "tables", "binary", "import", "outside"],
)
def test_hostile_toml(text, code, tmp_path):
    (tmp_path / "c.toml").write_text(text)
    before = listing(tmp_path)
    here("simulate", "train", tmp_path / "c.toml", "-o", tmp_path / "new").refused(code)
    assert listing(tmp_path) == before


def test_an_estimator_is_never_imported_by_path(toy, tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("evil:Evil", "evil.Evil", "../evil", "os:system"):
        model = f'[model]\nestimator = "{name}"'
        config = write_config(tmp_path / "c.toml", toy, model=model)
        assert name in here("simulate", "train", config, "-o", tmp_path / "new").refused(2)
    assert not (tmp_path / "pwned").exists()


def test_an_existing_output_is_not_replaced_unasked(toy, run, tmp_path):
    (tmp_path / "old.root").write_text("mine")
    (tmp_path / "old.html").write_text("mine")
    for folder in ("old_run", "old_report"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "notes.txt").write_text("mine")
    config = write_config(tmp_path / "c.toml", toy)
    before = listing(tmp_path)
    for words in (
        ("generate", "diphoton", "--process", "toy", "--events", 10, "-o", tmp_path / "old.root"),
        ("simulate", "train", config, "-o", tmp_path / "old_run"),
        ("simulate", "sample", run, toy, "-o", tmp_path / "old.root"),
        ("simulate", "evaluate", run, toy, "-o", tmp_path / "old_report"),
        ("report", run, "-o", tmp_path / "old.html"),
        ("demo", "--quick", "--process", "toy", "-o", tmp_path / "old_run"),
    ):
        sentence = here(*words).refused(2)
        assert "old" in sentence
    assert listing(tmp_path) == before
    # Nor is a folder that holds something else, even when asked.
    here("simulate", "train", config, "-o", tmp_path / "old_run", "--overwrite").refused(2)
    here("simulate", "evaluate", run, toy, "-o", tmp_path / "old_report", "--overwrite").refused(2)
    assert listing(tmp_path) == before


def test_overwrite_replaces(toy, run, tmp_path):
    out = tmp_path / "out.root"
    here("simulate", "sample", run, toy, "-o", out).good()
    first = out.read_bytes()
    here("simulate", "sample", run, toy, "-o", out, "--seed", 2, "--overwrite").good()
    assert out.read_bytes() != first
    here("inspect", out).good()


HOLD = """\
import sys, time
from pathlib import Path
from castalia.data.lock import FileLock
lock = FileLock(Path(sys.argv[1]), "it")
lock.acquire()
print("held", flush=True)
time.sleep(120)
"""


def test_a_run_folder_that_another_process_writes(toy, run, tmp_path):
    mine = tmp_path / "run"
    shutil.copytree(run, mine)
    words = [sys.executable, "-c", HOLD, str(mine / "lock")]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment())
    try:
        assert holder.stdout.readline() == "held\n"
        before = listing(mine)
        for option in ("--resume", "--overwrite"):
            config = run.parent / "toy.toml"
            sentence = here("simulate", "train", config, "-o", mine, option).refused(1)
            assert f"process {holder.pid}" in sentence
        assert listing(mine) == before
    finally:
        holder.kill()
        holder.communicate()
    here("simulate", "train", run.parent / "toy.toml", "-o", mine, "--resume").good()


def test_two_trainings_on_one_run_folder(toy, tmp_path):
    """A second one that is started while the first works is refused and changes nothing."""
    config = write_config(tmp_path / "c.toml", toy, epochs=2000, training="checkpoint_seconds = 0.2")
    first = start("simulate", "train", config, "-o", tmp_path / "run")
    try:
        for _ in range(600):
            if (tmp_path / "run" / "state" / "training.json").exists():
                break
            assert first.poll() is None, first.communicate()
            time.sleep(0.1)
        sentence = here("simulate", "train", config, "-o", tmp_path / "run", "--resume").refused(1)
        assert str(first.pid) in sentence
        first.terminate()
        assert first.wait(timeout=30) == 143
    finally:
        first.kill()
        first.communicate()


@pytest.mark.parametrize("model", ["response", "rival"])
def test_a_damaged_model(model, toy, run, tmp_path):
    mine = tmp_path / "run"
    shutil.copytree(run, mine)
    path = mine / "models" / model / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    before = listing(tmp_path)
    for words in (
        ("simulate", "sample", mine, toy, "-o", tmp_path / "new.root"),
        ("simulate", "evaluate", mine, toy, "-o", tmp_path / "new_report"),
        ("inspect", mine),
    ):
        assert "model.safetensors" in here(*words).refused(4)
    assert listing(tmp_path) == before


def test_what_is_no_run_folder(toy, tmp_path):
    (tmp_path / "folder").mkdir()
    before = listing(tmp_path)
    for place in ("folder", "absent", "../run"):
        sentence = here("simulate", "sample", tmp_path / place, toy, "-o", tmp_path / "new.root").refused(4)
        assert place in sentence
    assert listing(tmp_path) == before


PICKLE = b"cos\nsystem\n(S'touch %s'\ntR."  # what pickle.loads would run


@pytest.mark.parametrize("kind", ["pickle", "header", "record"])
def test_a_hostile_model_runs_nothing(kind, toy, run, tmp_path):
    mine, flag = tmp_path / "run", tmp_path / "pwned"
    shutil.copytree(run, mine)
    folder = mine / "models" / "response"
    if kind == "pickle":
        (folder / "model.safetensors").write_bytes(PICKLE % str(flag).encode())
    elif kind == "header":
        (folder / "model.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    else:
        record = json.loads((folder / "model.json").read_text())
        names = [name for name, value in record.items() if value == "masked_autoregressive_flow"]
        assert names, "the record names the estimator"
        (folder / "model.json").write_text(json.dumps({**record, names[0]: "../../evil:Evil"}))
    before = listing(tmp_path)
    here("simulate", "sample", mine, toy, "-o", tmp_path / "new.root").refused(4)
    assert listing(tmp_path) == before
    assert not flag.exists()


def test_a_missing_extra_names_itself(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    words = ("generate", "diphoton", "--process", "ttH", "--events", 10)
    sentence = here(*words, "-o", tmp_path / "new.root").refused(2)
    assert "castalia[processes]" in sentence
    assert listing(tmp_path) == {}


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "diphoton", "--process", "toy", "--events", 10, "-o", "new.csv"),
        ("generate", "diphoton", "--process", "toy", "--events", 10, "--rho", 0.5, "-o", "new.root"),
        ("generate", "diphoton", "--process", "qcd", "--events", 10, "-o", "new.root"),
        ("generate", "diphoton", "--process", "toy", "--events", 0, "-o", "new.root"),
        ("generate", "diphoton", "--process", "toy", "--events", 10, "--seed", -1, "-o", "new.root"),
        ("generate", "nothing"),
        ("simulate", "train"),
        ("simulate", "train", "absent.toml", "-o", "new"),
        ("demo", "pixel", "-o", "new"),
    ],
    ids=lambda words: " ".join(map(str, words)),
)
def test_a_wrong_option(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here(*words).refused(2)
    assert listing(tmp_path) == {}
