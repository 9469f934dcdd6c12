"""R8: one bad file among a hundred stops the work by its name, or is left out and recorded where that is asked for."""

import json
from pathlib import Path

import pytest
from castalia_console import column_hashes, here, listing, read, write_config

from castalia.data.readers import open_reader
from castalia.data.sidecar import read_sidecar
from castalia.data.writers import open_writer

FILES, EVENTS = 100, 4000
ROWS = EVENTS // FILES
BAD = 37


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """Events that no run has seen, in a hundred files, one of which is cut short."""
    folder = tmp_path_factory.mktemp("pieces")
    whole = folder / "whole.root"
    here("generate", "diphoton", "--process", "toy", "--events", EVENTS, "--seed", 7, "-o", whole).good()
    schema = read_sidecar(whole).schema_of_file
    table = read(whole, *schema.names)
    paths = [folder / f"{number:03d}.root" for number in range(FILES)]
    for number, path in enumerate(paths):
        with open_writer(path, schema) as writer:
            writer.write(table.slice(number * ROWS, (number + 1) * ROWS))
    content = paths[BAD].read_bytes()
    paths[BAD].write_bytes(content[: len(content) * 2 // 3])
    return paths


def words_of(command, pieces, run, folder):
    config = write_config(folder / "c.toml", pieces[0].parent / "???.root")
    return {
        "train": ("simulate", "train", config, "-o", folder / "out"),
        "sample": ("simulate", "sample", run, *pieces, "-o", folder / "out.root"),
        "evaluate": ("simulate", "evaluate", run, *pieces, "-o", folder / "out"),
    }[command]


@pytest.mark.parametrize("command", ["train", "sample", "evaluate"])
def test_one_bad_file_among_many_stops_the_work_by_its_name(command, pieces, run, tmp_path):
    words = words_of(command, pieces, run, tmp_path)
    before = listing(tmp_path)
    sentence = here(*words).refused(3)
    assert str(pieces[BAD]) in sentence
    assert "cut short" in sentence
    assert listing(tmp_path) == before


def skipped_by(command, pieces, run, tmp_path):
    """Run a command that may leave files out; return its summary and what it recorded."""
    ended = here(*words_of(command, pieces, run, tmp_path), "--skip-bad-files", "--json")
    if command != "evaluate":  # whose gate has its own opinion of a model trained for two epochs
        ended.good()
    assert ended.code in (0, 5), ended.err
    assert "left out" in ended.err
    if command == "sample":
        return ended.json, json.loads((tmp_path / "out.root.json").read_text())["provenance"]
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    return ended.json, {**record["results"], "inputs": record["inputs"]}


@pytest.mark.parametrize("command", ["train", "sample", pytest.param("evaluate", marks=pytest.mark.slow)])
def test_a_bad_file_is_left_out_and_recorded_where_that_is_asked_for(command, pieces, run, tmp_path, no_figures):
    summary, record = skipped_by(command, pieces, run, tmp_path)
    assert summary["skipped_files"] == 1
    assert list(record["skipped_files"]) == [str(pieces[BAD])]
    assert "cut short" in record["skipped_files"][str(pieces[BAD])]
    assert not any(Path(name) == pieces[BAD] for name in record["inputs"])
    assert sum(name.endswith(".root") for name in record["inputs"]) == FILES - 1


def test_the_others_are_sampled_as_if_the_bad_file_had_never_been_named(pieces, run, tmp_path):
    few = [*pieces[BAD - 3 : BAD], *pieces[BAD + 1 : BAD + 3]]
    here("simulate", "sample", run, *few, "-o", tmp_path / "without.root").good()
    here("simulate", "sample", run, *few, pieces[BAD], "-o", tmp_path / "with.root", "--skip-bad-files").good()
    assert column_hashes(tmp_path / "with.root") == column_hashes(tmp_path / "without.root")
    with open_reader(tmp_path / "with.root") as reader:
        assert reader.count() == ROWS * len(few)


def test_nothing_is_left_out_of_good_files(pieces, run, tmp_path):
    words = ("simulate", "sample", run, pieces[0], "-o", tmp_path / "out.root", "--skip-bad-files", "--json")
    assert here(*words).good().json["skipped_files"] == 0
    assert "skipped_files" not in read_sidecar(tmp_path / "out.root").provenance


def test_a_run_is_not_resumed_on_fewer_files(pieces, tmp_path):
    for number in range(3):
        (tmp_path / pieces[number].name).write_bytes(pieces[number].read_bytes())
    words = ("simulate", "train", write_config(tmp_path / "c.toml", tmp_path / "???.root"), "-o", tmp_path / "run")
    here(*words).good()
    bad = tmp_path / pieces[1].name
    bad.write_bytes(bad.read_bytes()[:500])
    sentence = here(*words, "--resume", "--skip-bad-files").refused(3)
    assert bad.name in sentence
