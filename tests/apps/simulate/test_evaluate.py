"""Which events a model is judged on: never those it was trained on."""

import re
import shutil

import pytest
from castalia_console import here, write_config


def judged(run, *files, **options):
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return here("simulate", "evaluate", run, *files, "-o", run.parent / "unwritten", "--dry-run", "--json", *words)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    path = tmp_path_factory.mktemp("other") / "other.root"
    here("generate", "diphoton", "--process", "toy", "--events", 1000, "--seed", 8, "-o", path).good()
    return path


def test_of_a_training_file_the_test_split_even_under_another_name(toy, run, tmp_path):
    # A tenth of 4,000 events is too few to judge on, which the sentence says, with their number.
    def left(path):
        return int(re.search(r"only (\d+) events are left", judged(run, path).refused(3)).group(1))

    assert 300 < left(toy) < 500
    shutil.copy(toy, tmp_path / "renamed.root")
    assert left(tmp_path / "renamed.root") == left(toy)


def test_of_another_file_everything(other, run):
    assert judged(run, other).good().json["test_events"] == 1000


def test_not_of_both_together(toy, other, run):
    assert "evaluate them separately" in judged(run, toy, other).refused(3)


def test_files_of_their_own_for_the_test(toy, other, tmp_path):
    files = f'files = ["{toy}"]'
    config = write_config(tmp_path / "c.toml", toy, epochs=1, **{files: f'{files}\ntest_files = ["{other}"]'})
    here("simulate", "train", config, "-o", tmp_path / "run").good()
    assert judged(tmp_path / "run", other).good().json["test_events"] == 1000
    assert "learned from all of it" in judged(tmp_path / "run", toy).refused(3)
